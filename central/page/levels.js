// How things stand, in four levels: calm, watch, act, and blind (nothing is known). And "off": not a state to worry about.
// Every judgement that the page makes of what central says is here.
export const lag_watch_ms = 10_000;
export const away_act_ms = 30_000;    // an edge that is away for so long
const away_forgotten_ms = 86_400_000; // and after a day it is taken for gone: no alarm stays for ever
const rank = { off: 0, calm: 0, watch: 1, act: 2 };

export const worst = (levels) => levels.reduce((a, b) => (rank[b] > rank[a] ? b : a), 'calm');

export function edge_level(edge, now_ms) {
  if (!edge.connected) {
    const away_ms = now_ms - (edge.last_seen_ms ?? 0);
    if (away_ms > away_forgotten_ms) return 'off';
    return away_ms > away_act_ms ? 'act' : 'watch';
  }
  return edge_word(edge, now_ms) === 'connected' ? 'calm' : 'watch';
}
export function edge_word(edge, now_ms) {
  if (!edge.connected) return now_ms - (edge.last_seen_ms ?? 0) > away_forgotten_ms ? 'gone' : 'away';
  if (edge.is_over_quota) return 'over quota';
  if (edge.rung === 'critical') return 'short of room';
  if (edge.lag_ms > lag_watch_ms) return 'late';
  return 'connected';
}
// Silenced ones stay visible and no longer call.
export function alert_level(alert) {
  if (alert.state !== 'open' || alert.is_silenced) return 'off';
  return { critical: 'act', warning: 'watch' }[alert.severity] ?? 'calm';
}

// What is the matter, worst first: [{level, text}].
export function reasons(state, now_ms, plural) {
  const found = [];
  const add = (level, text) => found.push({ level, text });
  const health = state.object('health');
  const ledger = state.object('ledger');
  if (health.status === 'critical') add('act', 'central is critical');
  if (health.status === 'degraded') add('watch', 'central is degraded');
  for (const text of [...(health.reasons ?? []), ...(health.notes ?? [])]) add(health.status === 'critical' ? 'act' : 'watch', text);
  if (ledger.residue) add('act', `the ledger does not close: residue ${ledger.residue}`);
  if (health.scrub_damaged_segments) add('act', `${plural(health.scrub_damaged_segments, 'damaged segment')} on central's disk`);
  const alerts = state.rows('alerts');
  for (const [level, word] of [['act', 'critical'], ['watch', 'warning']]) {
    const open = alerts.filter((alert) => alert_level(alert) === level);
    const names = new Map();
    for (const alert of open) names.set(alert.name, (names.get(alert.name) ?? 0) + 1);
    for (const [name, times] of [...names].slice(0, 3)) add(level, `${word}: ${name}${times > 1 ? ` (${times} keys)` : ''}`);
    if (names.size > 3) add(level, `${names.size - 3} more ${word} alerts`);
  }
  const edges = state.rows('edges').map((edge) => ({ edge, level: edge_level(edge, now_ms), word: edge_word(edge, now_ms) }));
  for (const word of ['away', 'over quota', 'short of room', 'late']) {
    const these = edges.filter((one) => one.word === word);
    if (these.length === 0) continue;
    const names = these.slice(0, 3).map((one) => one.edge.id).join(', ');
    add(worst(these.map((one) => one.level)), these.length <= 3 ? `${names} ${word}` : `${plural(these.length, 'edge')} ${word}: ${names} …`);
  }
  const held = state.rows('lanes').filter((lane) => lane.is_held);
  if (held.length > 0) add('watch', `${held.map((lane) => lane.id).join(', ')} on hold`);
  return found.sort((a, b) => rank[b.level] - rank[a.level]);
}
