// Stream: the socket to central. Opens it, and opens it again, later each time, until it is back; says what it is doing.
import { token_text } from './token.js';

const pause_ms_min = 500;
const pause_ms_max = 10_000;
const silent_ms_max = 5_000;

// on_message(message) -> false where it cannot be used; on_status({state: "connecting" | "live" | "cut", since_ms, next_ms, why}).
export class Stream {
  #socket = null;
  #status = { state: 'connecting', since_ms: Date.now(), next_ms: null, why: '' };
  #pause_ms = pause_ms_min;
  #retry = 0;
  #heard_ms = 0;

  constructor({ url, on_message, on_status, on_refused }) {
    Object.assign(this, { url, on_message, on_status, on_refused });
    setInterval(() => this.#look(), 500);
    addEventListener('online', () => this.now());
  }

  start() {
    const token = token_text();
    this.#heard_ms = Date.now();
    const socket = new WebSocket(this.url, token ? ['weir.v1', `weir.token.${token}`] : ['weir.v1']);
    this.#socket = socket;
    let is_first = true;
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#heard_ms = Date.now();
      let is_good = false;
      try { is_good = this.on_message(JSON.parse(data)); } catch (error) { console.error(error); }
      if (!is_good) return this.#lost('a message that did not fit');
      if (is_first) {
        is_first = false;
        this.#pause_ms = pause_ms_min;
        this.#say({ state: 'live', since_ms: Date.now(), next_ms: null, why: '' });
      }
    };
    socket.onclose = () => { if (socket === this.#socket) this.#lost(is_first ? 'central does not answer' : 'the connection ended'); };
  }

  // Tries at once: the viewer asked, or a token is there.
  now() {
    if (this.#status.state === 'live') return;
    clearTimeout(this.#retry);
    this.#drop();
    this.start();
  }

  #look() {
    if (this.#socket && Date.now() - this.#heard_ms > silent_ms_max) this.#lost('nothing was heard for 5 s');
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #lost(why) {
    this.#drop();
    const pause_ms = this.#pause_ms * (0.5 + Math.random());
    this.#pause_ms = Math.min(this.#pause_ms * 2, pause_ms_max);
    const since_ms = this.#status.state === 'cut' ? this.#status.since_ms : Date.now();
    this.#say({ state: 'cut', since_ms, next_ms: Date.now() + pause_ms, why });
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.start(), pause_ms);
    this.on_refused?.();  // a refused upgrade does not tell why: who owns the stream may ask by HTTP
  }

  #say(status) {
    this.#status = status;
    this.on_status(status);
  }
}
