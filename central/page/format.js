// Numbers and times as a person reads them at a glance. What is not known is a dash.
const dash = '–';
const grouped = new Intl.NumberFormat('en-GB');
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: '2-digit', month: 'short', hour: '2-digit', minute: '2-digit', timeZone: 'UTC' });

const is_known = (value) => value !== null && value !== undefined && !Number.isNaN(value);

export const count = (value) => (is_known(value) ? grouped.format(Math.round(value)) : dash);
export const clock_text = (ms) => (is_known(ms) ? clock.format(ms) : dash);
export const event_time_text = (ms) => (is_known(ms) ? day.format(ms) : dash);

// For an axis that spans so long: days, then minutes, then seconds. UTC, as event time is.
const axis_days = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
const axis_minutes = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: 'UTC' });
const axis_seconds = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit', timeZone: 'UTC' });
export function axis_time_text(ms, span_ms) {
  if (span_ms <= 1_200_000) return axis_seconds.format(ms);
  const is_midnight = ms % 86_400_000 === 0;
  return span_ms > 259_200_000 || is_midnight ? axis_days.format(ms) : axis_minutes.format(ms);
}

// 3 digits that matter: 0.42, 7.3, 12, 1,204, 38.2k, 1.31M.
export function short(value) {
  if (!is_known(value)) return dash;
  const size = Math.abs(value);
  if (size >= 1e9) return `${(value / 1e9).toPrecision(3)}G`;
  if (size >= 1e6) return `${(value / 1e6).toPrecision(3)}M`;
  if (size >= 1e4) return `${(value / 1e3).toPrecision(3)}k`;
  if (size >= 10 || Number.isInteger(value)) return grouped.format(Math.round(value));
  return size >= 1 ? value.toFixed(1) : value.toFixed(2);
}
export function bytes(value) {
  if (!is_known(value)) return dash;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) { value /= 1024; ++at; }
  return `${at === 0 ? value : value.toPrecision(3)} ${units[at]}`;
}
export function duration_us(us) {
  if (!is_known(us)) return dash;
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 10_000) return `${(us / 1000).toFixed(2)} ms`;
  if (us < 100_000) return `${(us / 1000).toFixed(1)} ms`;
  if (us < 1e6) return `${Math.round(us / 1000)} ms`;
  return duration_s(us / 1e6);
}
export const duration_ms = (ms) => (is_known(ms) ? duration_us(ms * 1000) : dash);
export function duration_s(s) {
  if (s < 10) return `${Number.isInteger(s) ? s : s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172_800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} d`;
}
// How long ago; below two seconds it is now.
export function age(then_ms, now_ms) {
  if (!is_known(then_ms) || then_ms === 0) return dash;
  const s = Math.max(0, (now_ms - then_ms) / 1000);
  return s < 2 ? 'now' : `${duration_s(Math.floor(s))} ago`;
}
export function signed_ms(ms) {
  if (!is_known(ms)) return dash;
  if (Math.abs(ms) < 0.05) return '0 ms';
  return `${ms > 0 ? '+' : '−'}${duration_ms(Math.abs(ms))}`;
}
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
