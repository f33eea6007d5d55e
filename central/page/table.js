// Table: rows by id, kept as nodes while they stay. One row is in the tab order with its button; arrows go from row to row.
import { make, put_children, put_text, set } from './dom.js';

const page_rows = 8;

// columns: [{name, title?, text(row, now), is_number?, is_wide?, level?(row, now), full?(row)}]; act: {text(row), is_open(row), run(row)}, or none.
// Cells with `level` are shown as a state: a shape, a colour and the word.
export class Table {
  #rows = new Map();
  #current = null;
  constructor(parent, { label, columns, act = null, empty, rows_max = 200, row_level = () => null }) {
    Object.assign(this, { label, columns, act, rows_max, row_level });
    this.empty = make('p', { class: 'none' }, empty);
    const head = make('tr', {}, ...columns.map((column) => make('th', { scope: 'col', class: column.is_number ? 'n' : null, title: column.title }, column.name)));
    if (act) head.append(make('th', { scope: 'col', class: 'act-cell' }, make('span', { class: 'unseen' }, 'Act')));
    this.body = make('tbody');
    this.table = make('table', { 'aria-label': label }, make('thead', {}, head), this.body);
    this.more = make('p', { class: 'none', hidden: '' });
    parent.append(this.table, this.empty, this.more);
    this.body.addEventListener('keydown', (event) => this.#on_key(event));
    this.body.addEventListener('focusin', (event) => this.#on_focus(event.target.closest('tr')));
  }

  // `rows` in the order in which they are shown.
  show(rows, now) {
    const shown = rows.slice(0, this.rows_max);
    const nodes = shown.map((row) => this.#node(row, now));
    const kept = new Set(shown.map((row) => row.id));
    for (const id of this.#rows.keys()) if (!kept.has(id)) this.#drop(id, nodes);
    // Moving a node takes its focus away: the one that has it is put back.
    const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
    put_children(this.body, nodes);
    if (focused && focused !== document.activeElement && this.body.contains(focused)) focused.focus({ preventScroll: true });
    // While nobody is in the table, who comes to it comes to its first row.
    if (!focused || !this.#rows.has(this.#current)) this.#make_current(shown[0]?.id ?? null);
    this.table.hidden = shown.length === 0;
    this.empty.hidden = shown.length > 0;
    this.more.hidden = rows.length <= shown.length;
    put_text(this.more, `${rows.length - shown.length} more are not shown`);
  }

  focus_row(id) {
    const entry = this.#rows.get(id);
    entry?.node.focus();
    return entry !== undefined;
  }

  #node(row, now) {
    let entry = this.#rows.get(row.id);
    if (!entry) this.#rows.set(row.id, (entry = this.#made(row.id)));
    entry.row = row;
    this.columns.forEach((column, at) => {
      const inner = entry.inner[at];
      put_text(inner, column.text(row, now));
      if (column.level) set(inner, { 'data-level': column.level(row, now) });
      if (column.full) set(inner, { title: column.full(row) });
    });
    set(entry.node, { 'data-level': this.row_level(row, now) });
    if (this.act) {
      const text = this.act.is_open(row) ? this.act.text(row) : '';
      put_text(entry.button, text);
      entry.button.hidden = text === '';
    }
    return entry.node;
  }

  #made(id) {
    const inner = [];
    const node = make('tr', { tabindex: '-1' });
    node.dataset.row = id;
    for (const column of this.columns) {
      const cell = make('td', { class: [column.is_number && 'n', column.is_wide && 'wide'].filter(Boolean).join(' ') || null });
      const place = column.level ? make('span', { class: 'state' }) : cell;
      if (place !== cell) cell.append(place);
      inner.push(place);
      node.append(cell);
    }
    const entry = { node, inner, row: null, button: null };
    if (this.act) {
      entry.button = make('button', { type: 'button', class: 'small', tabindex: '-1' });
      entry.button.addEventListener('click', () => this.act.run(entry.row));
      node.append(make('td', { class: 'act-cell' }, entry.button));
    }
    return entry;
  }

  #drop(id, nodes) {
    const { node } = this.#rows.get(id);
    const had_focus = node.contains(document.activeElement);
    this.#rows.delete(id);
    if (this.#current === id) this.#current = null;
    if (had_focus) nodes[0]?.focus({ preventScroll: true });
  }

  #make_current(id) {
    if (this.#current === id) return;
    const put = (of, index) => {
      const entry = this.#rows.get(of);
      if (!entry) return;
      entry.node.tabIndex = index;
      if (entry.button) entry.button.tabIndex = index;
    };
    put(this.#current, -1);
    this.#current = id;
    put(id, 0);
  }

  #on_focus(node) {
    if (node) this.#make_current(node.dataset.row);
  }

  #on_key(event) {
    const node = event.target.closest('tr');
    const all = [...this.body.children];
    const at = all.indexOf(node);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page_rows, PageUp: at - page_rows, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      all[Math.min(Math.max(to, 0), all.length - 1)]?.focus();
    } else if (event.key === 'Enter' && event.target === node && this.act) {
      const { row } = this.#rows.get(node.dataset.row);
      if (this.act.is_open(row)) {
        event.preventDefault();
        this.act.run(row);
      }
    }
  }
}
