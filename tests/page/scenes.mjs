// Scenes: states of a cluster of 12 edges in 3 regions, for MockCentral: idle, busy, on fire. Made up, without chance.
const regions = ['center', 'north', 'south'];
export const edge_ids = regions.flatMap((region) => [1, 2, 3, 4].map((number) => `${region}-${number}`));
const wave = (n, period, phase = 0) => Math.sin((n / period) * 2 * Math.PI + phase);
const hour_ms = 3_600_000;
const letters_kept = 30;
const event_start_ms = Date.parse('2017-12-01T00:00:00Z');

function health(more = {}) {
  return { name: 'main', version: '0.1.0', status: 'healthy', ready: true, reasons: [], notes: [], started_ms: 0, memory_bytes: 91e6, cpu_percent: 23, connections: 12,
    stream_clients: 1, scrub_damaged_segments: 0, journal_bytes_per_s: 0, asks_for_tokens: false, ...more };
}
function edge(id, at, now_ms, more = {}) {
  return { id, region: id.split('-')[0], connected: true, connections: 1, lineages: 1, epoch: 3, last_seen_ms: now_ms - 40, events: 8000 + at * 211, events_per_s: 200 + 40 * at, lag_ms: 0.8 + at * 0.1,
    backlog_lag_ms: null, held: at, backlog: 0, held_bytes: at * 4096, held_as_of_ms: now_ms - 400, rung: 'healthy', clock_offset_ms: (at - 5) * 0.31, last_ack_ms: now_ms - 30, is_over_quota: false, stored_bytes: 1e6, can_replay: true, ...more };
}
export function letter(sequence, now_ms, more = {}) {
  return { id: `north-2/00000000000000a1//${sequence}`, edge: 'north-2', lineage: '00000000000000a1', lane: '', sequence, reason: 'out_of_range', stage: 'validate', type: 'violation.parking', source: 'philly/ppa',
    time_ms: now_ms, bytes: 231, producer: 'meter-7', state: 'kept', ...more };
}
const alert = (serial, now_ms, more) => ({ serial, key: '', state: 'open', severity: 'warning', since_ms: now_ms, time_ms: event_start_ms + 200 * hour_ms, arrival_ms: now_ms, kind: 'fired', fate: 'told', count: 1, is_silenced: false, silenced_until_ms: null, ...more });
export const fire_alert = (now_ms) => alert(90, now_ms, { id: 'possible-fraud/9ce0396fcdf4', name: 'possible-fraud', key: '9ce0396fcdf4', severity: 'critical', count: 3 });
const hops = (factor) => ({ hops: [
  { hop: 'intake to spool', p50_us: 210 * factor, p99_us: 640 * factor, max_us: 2100 * factor, count: 48210 },
  { hop: 'spool to central', p50_us: 90 * factor, p99_us: 310 * factor, max_us: 4100 * factor, count: 48210 },
  { hop: 'central to disk', p50_us: 420 * factor, p99_us: 1300 * factor, max_us: 9800 * factor, count: 48210 },
  { hop: 'end to end', p50_us: 780 * factor, p99_us: 2400 * factor, max_us: 14100 * factor, count: 48210 },
] });

export function window_row(number, key) {
  const size = { ppa: 130, police: 40, penn: 12 }[key.split('/')[1]] ?? 20;
  const daily = 1 + 0.8 * wave(number, 24, -1.6);
  const count = Math.round(size * daily + (number === 150 && key.endsWith('police') ? 260 : 0) + 6 * wave(number * 7, 11));
  const start_ms = event_start_ms + number * hour_ms;
  return { id: `tickets/${key}/${start_ms}/0`, serial: number * 3 + key.length % 3, name: 'tickets', key, start_ms, end_ms: start_ms + hour_ms, version: 1, count: Math.max(0, count), sum: count * 41, avg: 41, min: 26, max: 301, position: number, arrival_ms: 0 };
}
export const keys = ['philly/ppa', 'philly/police', 'philly/penn'];
export const anomaly = (serial, number = 150) => ({ id: String(serial), serial, name: 'odd-source', window: 'tickets', of: 'count', key: 'philly/police', time_ms: event_start_ms + (number + 1) * hour_ms, value: window_row(number, 'philly/police').count, score: 2.31, by: 'level' });
const windows = (from, to) => Array.from({ length: to - from }, (_, at) => keys.map((key) => window_row(from + at, key))).flat();
const ledger = (n, more = {}) => ({ received: 104_000 + n, appended: 103_900 + n, duplicates: 96, rejected: 4, dead_lettered: 61, gap: 0, elsewhere: 0, dead_letters_expired: 0, residue: 0, edges_held: 66, ...more });
const rates = (per_s, more = {}) => ({ over_ms: 1000, events_per_s: per_s, appended_per_s: per_s * 0.985, duplicates_per_s: per_s * 0.01, rejected_per_s: 0, dead_letters_per_s: 0, batches_per_s: per_s / 40, bytes_per_s: per_s * 180, results_per_s: 3, ...more });
const lanes = (per_s) => [
  { id: 'default', class: 'durable', appended: 99_000, events_per_s: per_s * 0.9, credit_bytes: 0, is_held: false, edges: 12, gap: 0 },
  { id: 'urgent', class: 'durable', appended: 4_500, events_per_s: per_s * 0.1, credit_bytes: 4_194_304, is_held: false, edges: 12, gap: 0 },
  { id: 'dead-letters', class: 'dead_letters', appended: 61, events_per_s: 0, credit_bytes: 2_097_152, is_held: false, edges: 3, gap: 0 },
];
const positions = (now_ms, more = {}) => ({ durable: 1e8, read: 1e8, analytics: 1e8, read_lag_bytes: 0, analytics_lag_bytes: 0, read_staleness_ms: 0, analytics_staleness_ms: 0, watermark_ms: 0, durable_ms: now_ms, ...more });
const sums = (total) => ({ total, by_reason: [{ reason: 'out_of_range', count: total - 9 }, { reason: 'malformed', count: 9 }], expired: 0, bytes: 9000, read_to: 1 });

export function busy(mock) {
  const now = mock.now_ms();
  mock.objects = { health: health(), rates: rates(4200), ledger: ledger(0), positions: positions(now), hops: hops(1), dead_letters: sums(61) };
  mock.lists = { edges: edge_ids.map((id, at) => edge(id, at, now)), lanes: lanes(4200), windows: windows(0, 200), anomalies: [], alerts: [alert(12, now - 400_000, { id: 'many-fines/19139', name: 'many-fines', key: '19139', state: 'cleared', kind: 'resolved' })],
    letters: Array.from({ length: letters_kept }, (_, at) => letter(at + 1, now - at * 7000, at % 9 === 0 ? { reason: 'malformed', stage: 'decode', type: null, source: null } : {})), silences: [] };
}
export function idle(mock) {
  busy(mock);
  const now = mock.now_ms();
  mock.objects.rates = rates(0);
  mock.objects.positions = positions(now - 1_260_000);
  mock.objects.hops = { hops: [] };
  mock.objects.dead_letters = { ...sums(9), total: 0, by_reason: [] };
  mock.objects.health = health({ cpu_percent: 0.4 });
  mock.lists.edges = edge_ids.map((id, at) => edge(id, at, now, { events_per_s: 0, lag_ms: null, held: 0, last_ack_ms: now - 1_260_000 }));
  mock.lists.lanes = lanes(0);
  mock.lists.letters = [];
  mock.lists.alerts = [];
}
export function on_fire(mock) {
  busy(mock);
  const now = mock.now_ms();
  mock.objects.health = health({ status: 'degraded', notes: ['analytics is 14 s behind'], cpu_percent: 91 });
  mock.objects.ledger = ledger(0, { residue: 3, edges_held: 41_200, gap: 12 });
  mock.objects.hops = hops(9);
  mock.objects.rates = rates(9100, { dead_letters_per_s: 38 });
  const fall = { 'north-2': { connected: false, connections: 0, last_seen_ms: now - 47_000, events_per_s: 0, held: 31_000 }, 'north-3': { connected: false, connections: 0, last_seen_ms: now - 8000, events_per_s: 0, held: 10_100 },
    'south-1': { lag_ms: 14_200, backlog: 900 }, 'center-4': { is_over_quota: true } };
  mock.lists.edges = edge_ids.map((id, at) => edge(id, at, now, fall[id]));
  mock.lists.lanes[1].is_held = true;
  mock.lists.anomalies = [anomaly(7), anomaly(8, 176)];
  mock.lists.alerts = [fire_alert(now - 21_000), alert(91, now - 60_000, { id: 'odd-source/philly/police', name: 'odd-source', key: 'philly/police' }),
    alert(70, now - 900_000, { id: 'odd-source/philly/penn', name: 'odd-source', key: 'philly/penn', is_silenced: true, silenced_until_ms: now + 900_000 }), ...mock.lists.alerts];
}

// What changes in 100 ms of full work: step by step, from n = 0.
export function step(n, now_ms) {
  const per_s = 4200 + 900 * wave(n, 130) + 250 * wave(n, 17);
  const change = { objects: { rates: rates(per_s, { dead_letters_per_s: Math.max(0, 3 * wave(n, 60)) }), ledger: ledger(n * 420), positions: positions(now_ms) },
    lists: { edges: { rows: edge_ids.map((id, at) => edge(id, at, now_ms, { events_per_s: 200 + 40 * at + 30 * wave(n, 40, at), events: 8000 + at * 211 + n * 35 })) }, lanes: { rows: lanes(per_s) } } };
  if (n % 10 === 0) change.objects.hops = hops(1 + 0.2 * wave(n, 90));
  const number = 200 + n;
  change.lists.windows = { rows: keys.map((key) => window_row(number, key)), gone: keys.map((key) => window_row(number - 200, key).id) };
  if (n % 20 === 0) {  // one comes, the oldest goes: first those that were there, then those of this work
    const oldest = n < 20 * letters_kept ? 1 + n / 20 : 1000 + n - 20 * letters_kept;
    change.lists.letters = { rows: [letter(1000 + n, now_ms)], gone: [letter(oldest, 0).id] };
  }
  return change;
}
