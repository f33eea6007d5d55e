// Requests to central: what the page asks and does by HTTP (../api/openapi.yaml).
import { ask_token, forget_token, token_text } from './token.js';

function headers(more) {
  const token = token_text();
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

// What went wrong, as a person reads it: RFC 9457 or plain text.
async function why_not(response) {
  const text = await response.text();
  try {
    const problem = JSON.parse(text);
    return problem.detail ?? problem.title ?? problem.error ?? text;
  } catch {
    return text.trim() || `${response.status} ${response.statusText}`;
  }
}

async function ask(path, options) {
  const response = await fetch(path, { cache: 'no-store', ...options, headers: headers(options.headers) });
  if (response.status !== 401) return response;
  forget_token();
  if (!await ask_token('Central asks who you are: the token is missing, or it is not known.')) return response;
  return fetch(path, { cache: 'no-store', ...options, headers: headers(options.headers) });
}

// 401 asks for a token; resolves to true when central answers (again).
export async function is_let_in() {
  const response = await ask('/api/v1/health', { headers: {} });
  return response.ok;
}

// One act; `reason` in printable ASCII. {is_done, text, answer}.
export async function act(path, query, reason) {
  const target = query ? `${path}?${new URLSearchParams(query)}` : path;
  try {
    const response = await ask(target, { method: 'POST', headers: { 'X-Weir': '1', 'Weir-Reason': plain(reason) } });
    // Lines say what became of each, whatever the status says of all.
    const has_lines = (response.headers.get('Content-Type') ?? '').startsWith('application/x-ndjson');
    if (!response.ok && !has_lines) return { is_done: false, text: `${response.status}: ${await why_not(response)}` };
    const text = await response.text();
    let answer = {};
    try { answer = JSON.parse(text); } catch { answer = { text }; }
    return { is_done: true, text: '', answer };
  } catch (error) {
    return { is_done: false, text: `central does not answer (${error.message})` };
  }
}

function plain(text) {
  const folded = text.normalize('NFKD').replace(/[\u0300-\u036f]/g, '').replace(/[^\x20-\x7e]/g, '?').trim();
  return folded.slice(0, 1000);
}
