// Latency per hop: p50, p99 and maximum, on one logarithmic scale from 10 µs to 10 s.
import { by_id, make, put_children, put_text } from '../dom.js';
import { duration_us, short } from '../format.js';

const least_us = 10;
const decades = 6;
const share = (us) => `${Math.min(100, Math.max(0, (Math.log10(Math.max(us, least_us) / least_us) / decades) * 100))}%`;

export class HopsView {
  needs = ['hops'];
  #rows = new Map();
  constructor() {
    this.body = by_id('hops-body');
    this.none = make('p', { class: 'none' }, 'not measured yet');
    this.head = make('div', { class: 'hop head', 'aria-hidden': 'true' }, make('span', {}, 'hop'), make('span', { class: 'n' }, 'p50'),
      make('span', { class: 'n' }, 'p99'), make('span', { class: 'n' }, 'max'));
    this.list = make('ul', { 'aria-label': 'Latency per hop' });
    this.scale = make('p', { class: 'hop-scale dim', 'aria-hidden': 'true' }, ...['10 µs', '1 ms', '100 ms', '10 s'].map((text) => make('span', {}, text)));
    this.body.append(this.head, this.list, this.scale, this.none);
  }

  render(state) {
    const hops = state.object('hops').hops ?? [];
    for (const node of [this.head, this.scale]) node.hidden = hops.length === 0;
    this.none.hidden = hops.length > 0;
    put_children(this.list, hops.map((hop) => this.#row(hop)));
    for (const name of this.#rows.keys()) if (!hops.some((hop) => hop.hop === name)) this.#rows.delete(name);
    put_text(by_id('hops-note'), hops.length > 0 ? `last 10 s, ${short(Math.max(...hops.map((hop) => hop.count ?? 0)))} measured` : '');
  }

  #row(hop) {
    let row = this.#rows.get(hop.hop);
    if (!row) {
      const part = (name) => make('span', { class: name });
      row = { name: part('name'), p50: part('n'), p99: part('n'), max: part('n'), range: part('range'), dot: part('dot'), tick: part('tick'), most: part('max') };
      row.node = make('li', { class: 'hop' }, row.name, row.p50, row.p99, row.max,
        make('span', { class: 'track', 'aria-hidden': 'true' }, row.range, row.dot, row.tick, row.most));
      this.#rows.set(hop.hop, row);
    }
    put_text(row.name, hop.hop);
    put_text(row.p50, duration_us(hop.p50_us));
    put_text(row.p99, duration_us(hop.p99_us));
    put_text(row.max, duration_us(hop.max_us));
    row.dot.style.left = share(hop.p50_us);
    row.tick.style.left = share(hop.p99_us);
    row.most.style.left = share(hop.max_us);
    row.range.style.left = share(hop.p50_us);
    row.range.style.right = `calc(100% - ${share(hop.p99_us)})`;
    return row.node;
  }
}
