// State: what central last said, as ../api/FORMAT.md describes it. Holds no more rows than central names, and never more than
// rows_max of one list.
export const format_known = 1;
const rows_max = 4096;

export class State {
  objects = {};
  lists = {};
  sequence = null;
  now_ms = 0;
  #heard_at = 0;     // by performance.now(), when now_ms was heard
  #changed = new Set();

  // False: this cannot go on top of what is here; the stream must be opened again.
  take(message, at = performance.now()) {
    if (message.type === 'state') {
      if (message.format !== format_known) return false;
      this.objects = message.objects;
      this.lists = {};
      for (const [name, rows] of Object.entries(message.lists)) this.lists[name] = new Map(rows.map((row) => [row.id, row]));
      for (const name of [...Object.keys(this.objects), ...Object.keys(this.lists)]) this.#changed.add(name);
    } else if (message.type === 'delta') {
      if (this.sequence === null || message.base !== this.sequence) return false;
      this.#change(message);
    } else if (message.type !== 'beat' || this.sequence !== message.sequence) {
      return false;
    }
    this.sequence = message.sequence;
    this.now_ms = message.now_ms;
    this.#heard_at = at;
    return true;
  }

  #change(message) {
    for (const [name, value] of Object.entries(message.objects)) {
      this.objects[name] = value;
      this.#changed.add(name);
    }
    for (const [name, change] of Object.entries(message.lists)) {
      const rows = (this.lists[name] ??= new Map());
      for (const row of change.rows ?? []) if (rows.has(row.id) || rows.size < rows_max) rows.set(row.id, row);
      for (const id of change.gone ?? []) rows.delete(id);
      this.#changed.add(name);
    }
  }

  // Central's clock now, as far as this page can tell.
  clock(at = performance.now()) { return this.now_ms + (at - this.#heard_at); }
  rows(name) { return this.lists[name] ? [...this.lists[name].values()] : []; }
  row(name, id) { return this.lists[name]?.get(id); }
  object(name) { return this.objects[name] ?? {}; }
  changes() {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }
}
