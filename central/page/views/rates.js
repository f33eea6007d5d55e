// Rates over the last three minutes. What central says ten times a second is looked at twice a second.
import { Chart, swatch } from '../chart.js';
import { by_id, make, put_text } from '../dom.js';
import { short } from '../format.js';
import { History } from '../history.js';

const span_s = 180;
const span_s_min = 30;
const sample_ms = 500;
const shown = [
  { label: 'received', of: 'events_per_s', at: 0, is_filled: true },
  { label: 'stored', of: 'appended_per_s', at: 1 },
  { label: 'dead letters', of: 'dead_letters_per_s', at: 4, scale: 'few' },
];

export class RatesView {
  needs = ['rates'];
  #history = new History(shown.map((one) => one.of), (span_s * 1000) / sample_ms + 2);
  #sampled_ms = 0;
  #values = new Map();

  constructor() {
    const range = (least) => (_u, _min, max) => [0, Math.max(least, (max ?? 0) * 1.12)];
    this.chart = new Chart(by_id('rates-chart'), {
      label: 'Events per second over the last three minutes',
      scales: { x: { time: true, range: () => this.#window() }, y: { range: range(10) }, few: { range: range(4) } },
      axes: [
        { values: '{HH}:{mm}:{ss}', space: 84, size: 26 },
        { scale: 'y', size: 48, values: (_u, marks) => marks.map(short) },
        { scale: 'few', side: 1, size: 44, values: (_u, marks) => marks.map(short), grid: { show: false } },
      ],
    });
    for (const one of shown) {
      const value = make('strong');
      this.#values.set(one.of, value);
      by_id('rates-legend').append(make('span', { class: 'key' }, swatch(one.at), one.scale ? `${one.label} (right)` : one.label, value));
    }
  }

  render(state, now_ms) {
    const rates = state.object('rates');
    for (const [name, node] of this.#values) put_text(node, short(rates[name]));
    if (now_ms - this.#sampled_ms < sample_ms || state.sequence === null) return;
    // A hole in what was heard is a hole in the line.
    if (this.#sampled_ms && now_ms - this.#sampled_ms > 6 * sample_ms) this.#history.add((now_ms - sample_ms) / 1000, null);
    this.#sampled_ms = now_ms;
    this.#history.add(now_ms / 1000, rates);
    this.chart.show(shown, this.#history.columns, 'nothing has come yet');
    this.chart.describe(`Events per second over the last three minutes; now ${short(rates.events_per_s)} received, ${short(rates.dead_letters_per_s)} dead letters`);
  }
  has_ages = true;

  #window() {
    const end = this.#sampled_ms / 1000;
    const first = this.#history.columns[0][0] ?? end;
    return [Math.max(end - span_s, Math.min(first, end - span_s_min)), end];
  }
}
