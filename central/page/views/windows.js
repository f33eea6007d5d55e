// Windows: one definition's values over event time, a line for each of its largest keys, anomalies marked on the line they are of.
import { Chart, colours_max, swatch, colour } from '../chart.js';
import { by_id, make, put_children, put_text } from '../dom.js';
import { axis_time_text, event_time_text, plural, short } from '../format.js';
import { Table } from '../table.js';
import { columns_of, definitions_of } from './window_series.js';

const least_ms = 500;  // between two drawings: thousands of rows are looked at for one
const marks_max = 60;

export class WindowsView {
  needs = ['windows', 'anomalies'];
  #name = null;
  #drawn_ms = 0;
  #is_due = true;
  #is_chosen = false;
  has_ages = true;

  constructor() {
    this.pick = by_id('windows-pick');
    this.value = by_id('windows-value');
    for (const pick of [this.pick, this.value]) pick.addEventListener('change', () => { this.#drawn_ms = 0; this.#is_due = true; this.#name = this.pick.value || null; this.#is_chosen ||= pick === this.pick; });
    this.chart = new Chart(by_id('windows-chart'), {
      label: 'Windows over event time',
      time_zone: 'UTC',
      scales: { x: { time: true }, y: { range: (_u, min, max) => [Math.min(0, min ?? 0), Math.max(1, (max ?? 0) * 1.12)] } },
      axes: [{ space: 90, size: 26, values: (plot, marks) => marks.map((s) => axis_time_text(s * 1000, (plot.scales.x.max - plot.scales.x.min) * 1000)) }, { scale: 'y', size: 52, space: 44, values: (_u, marks) => marks.map(short) }],
      draw: (plot) => this.#draw_marks(plot),
    });
    this.table = new Table(by_id('anomalies-body'), {
      label: 'Anomalies, the newest first',
      empty: 'No anomalies.',
      rows_max: 50,
      columns: [
        { name: 'Anomaly', text: () => 'unusual', level: () => 'watch' },
        { name: 'At', text: (one) => event_time_text(one.time_ms), is_number: true },
        { name: 'Series', text: (one) => `${one.window} ${one.key}`.trim(), is_wide: true },
        { name: 'Value', text: (one) => `${short(one.value)} (${one.of})`, is_number: true },
        { name: 'Score', title: '1 is what a series does once in 500 values', text: (one) => short(one.score), is_number: true },
        { name: 'Seen by', text: (one) => one.by ?? '–' },
      ],
    });
  }

  render(state, now_ms, _link, changed) {
    if (changed.has('windows') || changed.has('anomalies')) this.#is_due = true;
    if (!this.#is_due || now_ms - this.#drawn_ms < least_ms) return;
    this.#is_due = false;
    this.#drawn_ms = now_ms;
    const anomalies = state.rows('anomalies').sort((a, b) => b.serial - a.serial);
    this.table.show(anomalies, now_ms);
    const rows = state.rows('windows');
    this.#offer(definitions_of(rows), anomalies[0]?.window);
    const of = this.value.value || 'count';
    const { keys, data, others } = columns_of(rows, this.#name, of, colours_max, anomalies.filter((one) => one.window === this.#name).map((one) => one.key));
    this.shown = { keys, data, marks: anomalies.filter((one) => one.window === this.#name && one.of === of).slice(0, marks_max) };
    this.chart.show(keys.map((key, at) => ({ label: key || this.#name, at, spans: true, is_filled: keys.length === 1 })), data, 'No window has closed yet. What to compute is told in [[windows]].');
    this.chart.describe(`${this.#name ?? ''} over event time, ${plural(keys.length, 'key')}, ${plural(this.shown.marks.length, 'anomaly', 'anomalies')} marked`);
    this.#legend(keys, data, others);
  }

  // Until the viewer chooses, the one in which something unusual was seen last.
  #offer(names, unusual) {
    if (!this.#is_chosen && names.includes(unusual)) this.#name = unusual;
    if (names.join() !== [...this.pick.options].map((option) => option.value).join()) {
      this.pick.replaceChildren(...names.map((name) => make('option', { value: name }, name)));
      if (this.value.options.length === 0) this.value.replaceChildren(...['count', 'sum', 'avg', 'min', 'max'].map((name) => make('option', { value: name }, name)));
    }
    if (!names.includes(this.#name)) this.#name = names[0] ?? null;
    if (this.pick.value !== this.#name && this.#name !== null) this.pick.value = this.#name;
  }

  #legend(keys, data, others) {
    const nodes = keys.map((key, at) => make('span', { class: 'key' }, swatch(at), key || this.#name || '', make('strong', {}, short(data[at + 1].findLast((value) => value !== null)))));
    if (this.shown.marks.length > 0) nodes.push(make('span', { class: 'key' }, '◆ unusual'));
    if (others > 0) nodes.push(make('span', {}, `${plural(others, 'key')} not drawn`));
    const legend = by_id('windows-legend');
    if (legend.textContent !== nodes.map((node) => node.textContent).join('')) put_children(legend, nodes);
  }

  // A diamond on the line, and a stalk down to the time.
  #draw_marks(plot) {
    const { ctx } = plot;
    const scale = devicePixelRatio;
    ctx.save();
    for (const mark of this.shown.marks) {
      const s = mark.time_ms / 1000;
      if (s < plot.scales.x.min || s > plot.scales.x.max || !this.shown.keys.includes(mark.key)) continue;
      const x = plot.valToPos(s, 'x', true);
      const y = plot.valToPos(mark.value, 'y', true);
      ctx.strokeStyle = colour('bad');
      ctx.lineWidth = scale;
      ctx.setLineDash([3 * scale, 3 * scale]);
      ctx.beginPath();
      ctx.moveTo(x, y);
      ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.lineWidth = 2 * scale;
      ctx.fillStyle = colour('panel');
      const r = 6 * scale;
      ctx.beginPath();
      ctx.moveTo(x, y - r);
      ctx.lineTo(x + r, y);
      ctx.lineTo(x, y + r);
      ctx.lineTo(x - r, y);
      ctx.closePath();
      ctx.fill();
      ctx.stroke();
    }
    ctx.restore();
  }
}
