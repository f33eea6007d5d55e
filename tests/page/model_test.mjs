// The parts of the page that know no browser: state, series, layout, words.
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, run, test } from './harness.mjs';
import { History } from '../../central/page/history.js';
import { State } from '../../central/page/state.js';
import { age, axis_time_text, duration_us, short, signed_ms } from '../../central/page/format.js';
import { alert_level, edge_level, reasons } from '../../central/page/levels.js';
import { layout, named_max, regions_of } from '../../central/page/views/map_layout.js';
import { columns_of } from '../../central/page/views/window_series.js';
import { outcome } from '../../central/page/views/letters.js';

const whole = (more = {}) => ({ type: 'state', format: 1, sequence: 7, now_ms: 1000, objects: { health: { name: 'a' } }, lists: { edges: [{ id: 'x', n: 1 }, { id: 'y', n: 1 }] }, ...more });
const same = (a, b, what) => expect(JSON.stringify(a) === JSON.stringify(b), what, { got: a, wanted: b });

test('a delta goes on top of its base only', () => {
  const state = new State();
  expect(!state.take({ type: 'delta', base: 0, sequence: 1, now_ms: 1, objects: {}, lists: {} }), 'no delta before a state');
  expect(!state.take(whole({ format: 2 })), 'no format that is not known');
  expect(state.take(whole()), 'the state');
  expect(!state.take({ type: 'delta', base: 6, sequence: 8, now_ms: 1, objects: {}, lists: {} }), 'not on another base');
  expect(state.take({ type: 'delta', base: 7, sequence: 9, now_ms: 2, objects: { health: { name: 'b' } }, lists: { edges: { rows: [{ id: 'y', n: 2 }, { id: 'z', n: 3 }], gone: ['x'] } } }), 'on its own');
  same(state.rows('edges'), [{ id: 'y', n: 2 }, { id: 'z', n: 3 }], 'rows');
  same(state.object('health'), { name: 'b' }, 'object');
  expect(state.take({ type: 'beat', sequence: 9, now_ms: 3 }) && !state.take({ type: 'beat', sequence: 8, now_ms: 3 }), 'a beat must fit too');
});
test('what has changed is said once', () => {
  const state = new State();
  state.take(whole());
  same([...state.changes()].sort(), ['edges', 'health'], 'all');
  state.take({ type: 'delta', base: 7, sequence: 8, now_ms: 2, objects: {}, lists: { edges: { gone: ['x'] } } });
  same([...state.changes()], ['edges'], 'edges');
  same([...state.changes()], [], 'nothing');
});
test('a history keeps its bound and its order', () => {
  const history = new History(['a'], 3);
  for (const s of [1, 2, 2, 3, 4]) history.add(s, { a: s * 10 });
  same(history.columns, [[2, 3, 4], [20, 30, 40]], 'columns');
});
test('numbers are short and say their unit', () => {
  same([short(null), short(0), short(0.421), short(7.25), short(1204), short(38_249), short(1_310_000)], ['–', '0', '0.42', '7.3', '1,204', '38.2k', '1.31M'], 'short');
  same([duration_us(12), duration_us(1234), duration_us(45_678), duration_us(2_500_000)], ['12 µs', '1.23 ms', '45.7 ms', '2.5 s'], 'durations');
  same([signed_ms(0.01), signed_ms(1.5), signed_ms(-200)], ['0 ms', '+1.50 ms', '−200 ms'], 'signed');
  same([age(0, 9), age(1000, 2000), age(1000, 66_000)], ['–', 'now', '65 s ago'], 'ages');
  same([axis_time_text(43_200_000, 3e6), axis_time_text(0, 4e8)], ['12:00', '1 Jan'], 'axis');
});
test('an edge that is away calls, then calls louder, and not for ever', () => {
  const edge = { connected: false, last_seen_ms: 100_000_000 };
  same([1, 40, 90_000].map((s) => edge_level(edge, 100_000_000 + s * 1000)), ['watch', 'act', 'off'], 'levels');
  same([edge_level({ connected: true, lag_ms: null }, 0), edge_level({ connected: true, lag_ms: 20_000 }, 0)], ['calm', 'watch'], 'lag');
  same(['healthy', 'degraded', 'critical', null].map((rung) => edge_level({ connected: true, rung }, 0)), ['calm', 'calm', 'watch', 'calm'], 'rung');
});
test('an alert that is silenced is seen and does not call', () => {
  same([{ state: 'open', severity: 'critical' }, { state: 'open', severity: 'warning' }, { state: 'open', severity: 'info' }, { state: 'open', severity: 'critical', is_silenced: true }, { state: 'cleared', severity: 'critical' }].map(alert_level),
    ['act', 'watch', 'calm', 'off', 'off'], 'levels');
});
test('a residue is the first thing that is said', () => {
  const state = new State();
  state.take(whole({ objects: { health: { status: 'degraded' }, ledger: { residue: 2 } }, lists: { edges: [], lanes: [{ id: 'a', is_held: true }], alerts: [] } }));
  same(reasons(state, 0, String)[0].level, 'act', 'level');
  expect(reasons(state, 0, String)[0].text.includes('residue 2'), 'text');
});
test('windows become columns: versions replace, rows of one window add up, unusual keys come first', () => {
  const row = (key, end_ms, count) => ({ name: 'w', key, end_ms, count, avg: count });
  const rows = [row('a', 2000, 5), row('a', 1000, 3), row('b', 2000, 50), row('a', 2000, 1), row('c', 1000, 1), { ...row('a', 3000, 9), name: 'other' }];
  same(columns_of(rows, 'w', 'count', 2, []), { keys: ['a', 'b'], data: [[1, 2], [3, 6], [null, 50]], others: 1 }, 'largest');
  same(columns_of(rows, 'w', 'count', 2, ['c']).keys, ['b', 'c'], 'unusual');
  same(columns_of(rows, 'w', 'avg', 1, []).data[1], [null, 50], 'what cannot be added is not');
});
test('regions come from configuration or from names', () => {
  same(regions_of([{ id: 'north-1', region: null }, { id: 'north-2', region: null }, { id: 'lone', region: null }, { id: 'z', region: 'harbour' }]).map((one) => one.name), ['harbour', 'north', ''], 'names');
});
test('no two edges stand on one place, and all stand on the map', () => {
  for (const sizes of [[1], [4, 4, 4], [3, 12, 5, 9], [200, 40, 1], [5, 5, 5, 5, 5]]) {
    for (const width of [280, 700, 1200]) {
      const regions = sizes.map((size, at) => ({ name: `r${at}`, edges: Array.from({ length: size }, (_, n) => ({ id: `r${at}-${n}` })) }));
      const plan = layout(regions, width);
      const places = plan.boxes.flatMap((box) => box.places);
      expect(new Set(places.map(({ x, y }) => `${x} ${y}`)).size === sizes.reduce((a, b) => a + b), 'places are apart', { sizes, width });
      expect(places.every(({ x, y }) => x > 0 && x < width && y > 0 && y < plan.height), 'inside', { sizes, width });
      expect(plan.boxes.every((box) => box.is_dots === box.places.length > named_max || box.side === 'below'), 'many are dots');
      const overlaps = plan.boxes.some((a, i) => plan.boxes.some((b, j) => i < j && a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height));
      expect(!overlaps, 'boxes are apart', { sizes, width });
    }
  }
});
test('what came of a replay is said in words', () => {
  same(outcome({ outcome: 'accepted' }).text, 'Applied.', 'one');
  same(outcome({ outcome: 'refused', reason: 'another edge' }).text, 'The edge refused it (another edge)', 'why');
  same(outcome({ text: '{"outcome":"rejected"}\n' }).level, 'act', 'still fails');
  same(outcome({ text: '{"outcome":"accepted"}\n{"outcome":"duplicate"}\n' }).text, 'accepted: 1, duplicate: 1', 'several');
  same(outcome({ text: '' }).level, 'act', 'none fitted');
});
test('the page names all its modules, so that they come at once', () => {
  const page = fileURLToPath(new URL('../../central/page/', import.meta.url));
  const modules = [...readdirSync(page), ...readdirSync(`${page}views`).map((name) => `views/${name}`)].filter((name) => name.endsWith('.js') && name !== 'theme.js').sort();
  const named = [...readFileSync(`${page}index.html`, 'utf8').matchAll(/(?:href|src)="assets\/([^"]+\.js)"/g)].map(([, name]) => name).filter((name) => !['theme.js', 'uplot.js'].includes(name)).sort();
  same(named, modules, 'modules');
});
process.exit(await run() ? 0 : 1);
