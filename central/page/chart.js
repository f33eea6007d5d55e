// Chart: uPlot in this page's colours. Follows the theme and its box; draws only when told to.
import { make, make_svg } from './dom.js';

const dashes = [[], [7, 4], [2, 3], [10, 3, 2, 3], [4, 2], [12, 4]];
export const colours_max = dashes.length;
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
export const series_colour = (at) => colour(`s${(at % colours_max) + 1}`);
export const series_dash = (at) => dashes[at % colours_max];

// How a series looks, for a legend: its colour and its dashes.
export function swatch(at) {
  return make_svg('svg', { viewBox: '0 0 22 8', 'aria-hidden': 'true' },
    make_svg('line', { x1: 0, x2: 22, y1: 4, y2: 4, stroke: `var(--s${(at % colours_max) + 1})`, 'stroke-width': 2.5, 'stroke-dasharray': series_dash(at).join(' ') || null }));
}

// `series`: [{label, at, scale?, fill?, values?}]; `axes`: uPlot's, less their colours; `draw(u)`: on top of the lines.
export class Chart {
  #plot = null;
  #shape = '';
  #data = [[]];
  constructor(box, { label, axes, scales, draw, time_zone }) {
    Object.assign(this, { box, axes, scales, draw, time_zone });
    this.empty = make('p', { class: 'empty' });
    this.holder = make('div', { role: 'img', 'aria-label': label });
    box.append(this.holder, this.empty);
    new ResizeObserver(() => this.#fit()).observe(box);
    addEventListener('weir-theme', () => this.#remake());
  }

  // `series` may change from call to call; the chart is made anew only then.
  show(series, data, empty_text) {
    this.series = series;
    this.#data = data;
    const is_empty = data[0].length === 0;
    this.empty.hidden = !is_empty;
    this.empty.textContent = is_empty ? empty_text : '';
    this.holder.hidden = is_empty;
    if (is_empty) return;
    const shape = series.map((one) => `${one.at}${one.label}`).join('|');
    if (shape !== this.#shape || !this.#plot) {
      this.#shape = shape;
      this.#remake();
    } else {
      this.#plot.setData(data);
    }
  }

  describe(text) { this.holder.setAttribute('aria-label', text); }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (this.#plot && width > 0 && (width !== this.#plot.width || height !== this.#plot.height)) this.#plot.setSize({ width, height });
  }

  #remake() {
    if (!this.series || this.#data[0].length === 0) return;
    this.#plot?.destroy();
    const line = colour('line');
    const ink = colour('ink-dim');
    const font = '11px system-ui, sans-serif';
    const options = {
      width: Math.max(this.box.clientWidth, 60),
      height: Math.max(this.box.clientHeight, 60),
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { size: 6 } },
      scales: this.scales,
      axes: this.axes.map((axis) => ({
        stroke: ink, font, labelFont: font, ...axis,
        grid: { stroke: line, width: 1, ...axis.grid }, ticks: { stroke: line, width: 1, size: 4, ...axis.ticks },
      })),
      series: [{}, ...this.series.map((one) => ({
        label: one.label, scale: one.scale ?? 'y', stroke: series_colour(one.at), width: 2, dash: series_dash(one.at), spanGaps: one.spans ?? false,
        fill: one.is_filled ? `${series_colour(one.at)}22` : undefined, points: { show: one.has_points ?? false, size: 5 },
      }))],
      hooks: { draw: this.draw ? [this.draw] : [] },
    };
    if (this.time_zone === 'UTC') options.tzDate = (s) => uPlot.tzDate(new Date(s * 1000), 'Etc/UTC');
    this.#plot = new uPlot(options, this.#data, this.holder);
  }
}
