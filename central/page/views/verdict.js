// The verdict: one word, one shape, why, and the six numbers that matter.
import { by_id, make, put_children, put_text, set } from '../dom.js';
import { age, count, clock_text, duration_us, plural, short } from '../format.js';
import { reasons, worst } from '../levels.js';

const reasons_max = 6;
const shapes = {
  calm: 'M24 5a19 19 0 1 0 0 38a19 19 0 0 0 0-38M15 25l6 6l12-13',
  watch: 'M24 6L44 41H4zM24 19v10M24 35v0.5',
  act: 'M24 3L45 24L24 45L3 24zM24 14v13M24 33v0.5',
  blind: 'M6 6l36 36M9 24c8-12 22-12 30 0c-8 12-22 12-30 0',
  unknown: 'M24 6a18 18 0 1 0 0 36a18 18 0 0 0 0-36',
};
const words = { calm: 'All is well', watch: 'Watch', act: 'Act now', blind: 'Cut off', unknown: 'Connecting' };

export class VerdictView {
  needs = ['health', 'rates', 'ledger', 'hops', 'dead_letters', 'edges', 'lanes', 'alerts', 'positions'];
  has_ages = true;
  #cells = new Map();
  constructor(announce) { this.announce = announce; }

  render(state, now_ms, link) {
    const found = state.sequence === null ? [] : reasons(state, now_ms, plural);
    let level = state.sequence === null ? 'unknown' : worst(found.map((one) => one.level));
    if (link.state === 'cut') level = 'blind';
    set(by_id('verdict'), { 'data-level': level });
    set(by_id('verdict-path'), { d: shapes[level] });
    const is_idle = level === 'calm' && !(state.object('rates').events_per_s > 0);
    const word = is_idle ? 'All is well, and idle' : words[level];
    put_text(by_id('verdict-word'), word);
    const texts = level === 'blind' ? blind_texts(state, link) : found.length > 0 ? listed(found) : [calm_text(state, now_ms)];
    const list = by_id('verdict-reasons');
    put_children(list, texts.map((text, at) => {
      const item = list.children[at] ?? make('li');
      put_text(item, text);
      return item;
    }));
    this.#figures(state);
    document.title = `${{ act: '◆ Act', watch: '▲ Watch', blind: '✕ Cut off', calm: '●', unknown: '…' }[level]} weir`;
    // What counts as news: another word, or another first reason.
    this.announce(level, `${word}. ${texts.slice(0, 3).join('; ')}`);
  }

  #figures(state) {
    const health = state.object('health');
    const hops = state.object('hops').hops ?? [];
    const whole = hops.find((hop) => /\bend\b|whole|total/i.test(hop.hop)) ?? hops.reduce((a, b) => (!a || b.p99_us > a.p99_us ? b : a), null);
    const edges = state.rows('edges');
    const ledger = state.object('ledger');
    const rows = [
      ['Events/s', short(state.object('rates').events_per_s), ''],
      [whole ? `p99 ${whole.hop}` : 'p99', duration_us(whole?.p99_us), ''],
      ['Edges', `${edges.filter((edge) => edge.connected).length}`, `of ${edges.length}`],
      ['Held at edges', short(ledger.edges_held), ''],
      ['Dead letters', short(state.object('dead_letters').total), ''],
      ['Residue', count(ledger.residue), ''],
      ['CPU', health.cpu_percent === undefined ? '–' : `${Math.round(health.cpu_percent)}`, '%'],
    ];
    const list = by_id('figures');
    for (const [at, [name, value, unit]] of rows.entries()) {
      let cell = this.#cells.get(at);
      if (!cell) {
        cell = { name: make('dt'), value: make('span'), unit: make('span', { class: 'unit' }) };
        list.append(make('div', {}, cell.name, make('dd', {}, cell.value, cell.unit)));
        this.#cells.set(at, cell);
      }
      put_text(cell.name, name);
      put_text(cell.value, value);
      put_text(cell.unit, unit);
    }
  }
}

function listed(found) {
  const texts = found.slice(0, reasons_max).map((one) => one.text);
  if (found.length > reasons_max) texts.push(`and ${found.length - reasons_max} more`);
  return texts;
}
function blind_texts(state, link) {
  const again = link.next_ms === null ? 'trying now' : `trying again in ${Math.max(0, Math.ceil((link.next_ms - Date.now()) / 1000))} s`;
  const seen = state.sequence === null ? [] : [`what stands below is from ${clock_text(state.now_ms)}`];
  return [`since ${clock_text(link.since_ms)}: ${link.why}`, ...seen, again];
}
function calm_text(state, now_ms) {
  const edges = state.rows('edges');
  const newest = state.object('positions').durable_ms;
  const kept = newest ? `; last event ${age(newest, now_ms)}` : '';
  return `${plural(edges.length, 'edge')} connected, nothing fires, the ledger closes${kept}`;
}
