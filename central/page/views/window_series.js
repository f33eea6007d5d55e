// Rows of windows as columns for a chart: plain data, no nodes.
const adds = new Set(['count', 'sum']);

export const definitions_of = (rows) => [...new Set(rows.map((row) => row.name))].sort();

// {keys, data: [times in s, values of each key], others: keys that have no line}. Keys of anomalies come first, then the largest.
export function columns_of(rows, name, of, keys_max, urgent) {
  const by_key = new Map();
  const times = new Set();
  for (const row of rows) {
    if (row.name !== name) continue;
    let points = by_key.get(row.key);
    if (!points) by_key.set(row.key, (points = { total: 0, at: new Map() }));
    const value = row[of];
    points.total += row.count ?? 0;
    // A window whose state was gone has several rows: what can be added is.
    const before = points.at.get(row.end_ms);
    points.at.set(row.end_ms, before !== undefined && before !== null && adds.has(of) ? before + (value ?? 0) : value);
    times.add(row.end_ms);
  }
  const is_urgent = new Set(urgent.slice(0, keys_max - 1));
  const ranked = [...by_key].sort(([a, x], [b, y]) => is_urgent.has(b) - is_urgent.has(a) || y.total - x.total || (a < b ? -1 : 1)).slice(0, keys_max);
  // Lines keep their colours: by name, not by rank.
  ranked.sort(([a], [b]) => (a < b ? -1 : 1));
  const sorted = [...times].sort((a, b) => a - b);
  return {
    keys: ranked.map(([key]) => key),
    data: [sorted.map((ms) => ms / 1000), ...ranked.map(([, points]) => sorted.map((ms) => points.at.get(ms) ?? null))],
    others: by_key.size - ranked.length,
  };
}
