// How an edge stands, in a word or two.
import { duration_s } from '../format.js';
import { edge_word } from '../levels.js';

export function edge_text(edge, now_ms) {
  const word = edge_word(edge, now_ms);
  const away_s = Math.floor((now_ms - (edge.last_seen_ms ?? now_ms)) / 1000);
  return word === 'away' && away_s >= 2 ? `away ${duration_s(away_s)}` : word;
}
