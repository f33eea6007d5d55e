// What is said aloud: another state of things, at most one line in five seconds, the newest.
import { by_id } from './dom.js';

const pause_ms = 5000;
let last_level = null;
let said_ms = -pause_ms;
let waiting = 0;

export function announce(level, text) {
  if (level === last_level || level === 'unknown') return;
  const is_first = last_level === null;
  last_level = level;
  if (is_first && level === 'calm') return;
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    said_ms = performance.now();
    by_id(level === 'act' || level === 'blind' ? 'shout' : 'say').textContent = text;
  }, Math.max(0, said_ms + pause_ms - performance.now()));
}
