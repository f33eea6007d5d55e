// The ledger: received - appended - duplicates - rejected = residue, as a sum that closes or does not.
import { by_id, make, put_text, set } from '../dom.js';
import { count } from '../format.js';

const sum = [
  ['Received', (ledger) => ledger.received], '−',
  ['Stored', (ledger) => ledger.appended], '−',
  ['Duplicates', (ledger) => ledger.duplicates], '−',
  ['Rejected', (ledger) => ledger.rejected], '=',
  ['Residue', (ledger) => ledger.residue, 'residue'],
];
const beside = [
  ['Held at edges', (ledger) => ledger.edges_held],
  ['Dead-lettered', (ledger) => ledger.dead_lettered],
  ['Expired letters', (ledger) => ledger.dead_letters_expired],
  ['Gap', (ledger) => ledger.gap],
  ['Elsewhere', (ledger) => ledger.elsewhere],
];

export class LedgerView {
  needs = ['ledger'];
  #terms = [];
  constructor() {
    by_id('ledger-body').append(this.#line(sum, 'What central was sent, and what became of it'), this.#line(beside, 'Beside it'));
  }
  #line(parts, label) {
    const line = make('dl', { class: 'ledger', 'aria-label': label });
    for (const part of parts) {
      if (typeof part === 'string') {
        line.append(make('div', { class: 'op', 'aria-hidden': 'true' }, part));
        continue;
      }
      const [name, of, kind] = part;
      const value = make('dd');
      const node = make('div', { class: `term ${kind ?? ''}`.trim() }, make('dt', {}, name), value);
      this.#terms.push({ node, value, of, kind });
      line.append(node);
    }
    return line;
  }
  render(state) {
    const ledger = state.object('ledger');
    for (const { node, value, of, kind } of this.#terms) {
      put_text(value, count(of(ledger)));
      if (kind) set(node, { 'data-level': of(ledger) ? 'act' : 'calm' });
    }
    put_text(by_id('ledger-note'), ledger.residue === undefined ? '' : ledger.residue === 0 ? 'it closes' : 'it does not close: keep the disks as they are and run weir-central audit');
  }
}
