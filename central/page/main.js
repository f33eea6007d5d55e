// The page: one state, one stream, and views that are drawn when what they show has changed, five times a second at most.
import { Acts } from './acts.js';
import { is_let_in } from './api.js';
import { announce } from './announce.js';
import { by_id, put_text, set } from './dom.js';
import { clock_text } from './format.js';
import { install_keys } from './keys.js';
import { State } from './state.js';
import { Stream } from './stream.js';
import { was_declined } from './token.js';
import { AlertsView } from './views/alerts.js';
import { EdgesView } from './views/edges.js';
import { HopsView } from './views/hops.js';
import { LanesView } from './views/lanes.js';
import { LedgerView } from './views/ledger.js';
import { LettersView } from './views/letters.js';
import { RatesView } from './views/rates.js';
import { VerdictView } from './views/verdict.js';
import { WindowsView } from './views/windows.js';

const draw_ms = 200;
const ages_ms = 1000;

const state = new State();
const acts = new Acts();
const views = [new VerdictView(announce), new RatesView(), new HopsView(), new AlertsView(acts), new EdgesView(), new WindowsView(), new LanesView(acts), new LettersView(acts), new LedgerView()];
let link = { state: 'connecting', since_ms: Date.now(), next_ms: null, why: '' };
let is_link_changed = true;
let is_paused = false;
let is_asking = false;
let aged_ms = 0;

const stream = new Stream({
  url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/v1/stream`,
  on_message: (message) => {
    const is_first = state.sequence === null;
    const is_good = state.take(message);
    if (is_first && is_good) requestAnimationFrame(draw);
    return is_good;
  },
  on_status: (status) => { link = status; is_link_changed = true; },
  // A browser does not say why a socket was refused: a request does, and asks for a token where that is it.
  on_refused: async () => {
    if (is_asking || was_declined()) return;
    is_asking = true;
    try {
      const was_asked = await asks_for_token();
      if (was_asked && await is_let_in()) stream.now();
    } catch { /* central is away: the stream goes on trying */ }
    is_asking = false;
  },
});
const asks_for_token = async () => (await fetch('/api/v1/health', { cache: 'no-store' })).status === 401;

function draw() {
  if (document.hidden || is_paused && link.state !== 'cut') return;
  const now = performance.now();
  const changed = state.changes();
  const is_aged = now - aged_ms >= ages_ms || is_link_changed;
  if (is_aged) aged_ms = now;
  const now_ms = state.clock(now);
  for (const view of views) {
    if (view.needs.some((name) => changed.has(name)) || (is_aged && view.has_ages && (state.sequence !== null || view instanceof VerdictView))) view.render(state, now_ms, link, changed);
  }
  if (is_aged) draw_link();
  if (state.sequence !== null) window.weirShown ??= now;  // for tests: when the first state was drawn
  put_text(by_id('central-name'), state.object('health').name ?? '');
  is_link_changed = false;
}

function draw_link() {
  const shown = is_paused ? 'paused' : link.state;
  set(by_id('link'), { 'data-state': shown });
  document.body.dataset.link = link.state;
  const texts = { live: `live ${clock_text(state.clock())}`, cut: `cut off since ${clock_text(link.since_ms)}`, connecting: 'connecting', paused: `paused at ${clock_text(paused_ms)}` };
  put_text(by_id('link-text'), texts[shown]);
  put_text(by_id('foot-as-of'), state.sequence === null ? '' : `weir-central ${state.object('health').version ?? ''}, state ${state.sequence}. Event times are UTC, other times are ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`);
}

let paused_ms = 0;
function pause() {
  is_paused = !is_paused;
  paused_ms = state.clock();
  set(by_id('pause'), { 'aria-pressed': is_paused });
  put_text(by_id('pause'), is_paused ? 'Go on' : 'Pause');
  draw_link();
}
function theme(choice = window.weirTheme.next()) { put_text(by_id('theme'), `Theme: ${choice}`); }

for (const button of document.querySelectorAll('[data-closes]')) button.addEventListener('click', () => button.closest('dialog').close(''));
by_id('pause').addEventListener('click', pause);
by_id('theme').addEventListener('click', () => theme());
theme(window.weirTheme.choice());
install_keys({ pause, theme });
setInterval(() => requestAnimationFrame(draw), draw_ms);
stream.start();
// For tests: what the page knows, to be read.
window.weir = { state, views };
