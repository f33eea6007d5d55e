// Acts: one dialog that says what will be done, asks why, does it, and says what came of it.
import { act } from './api.js';
import { by_id, put_text, set } from './dom.js';

export class Acts {
  #wanted = null;
  #is_busy = false;
  constructor() {
    this.dialog = by_id('act');
    this.reason = by_id('act-reason');
    this.go = by_id('act-go');
    by_id('act-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#run();
    });
  }

  // {title, what, path, query(), done(answer) -> text or {level, text}}
  open(wanted) {
    this.#wanted = wanted;
    put_text(by_id('act-h'), wanted.title);
    put_text(by_id('act-what'), wanted.what);
    this.#say('', '');
    this.go.hidden = false;
    this.reason.value = '';
    this.dialog.showModal();
    this.reason.focus();
  }

  async #run() {
    if (this.#is_busy || this.go.hidden) return;
    this.#is_busy = true;
    this.go.disabled = true;
    this.#say('Doing it …', '');
    const wanted = this.#wanted;
    const done = await act(wanted.path, wanted.query(), this.reason.value);
    this.#is_busy = false;
    this.go.disabled = false;
    if (!done.is_done) return this.#say(`Not done. ${done.text}`, 'act');
    const said = wanted.done(done.answer);
    this.#say(said.text ?? said, said.level ?? 'calm');
    this.go.hidden = true;
    by_id('act-cancel').focus();
  }

  #say(text, level) {
    put_text(by_id('act-outcome'), text);
    set(by_id('act-outcome'), { 'data-level': level || null });
    put_text(by_id('act-cancel'), level && level !== 'act' ? 'Close' : 'Cancel');
  }
}
