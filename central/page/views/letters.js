// Dead letters: the newest, why they failed, and their replay.
import { by_id, put_text } from '../dom.js';
import { age, bytes, clock_text, plural, short } from '../format.js';
import { Table } from '../table.js';

export class LettersView {
  needs = ['letters', 'dead_letters', 'edges'];
  has_ages = true;
  constructor(acts) {
    this.table = new Table(by_id('letters-body'), {
      label: 'Dead letters, newest first',
      empty: 'No dead letters.',
      columns: [
        { name: 'Age', text: (letter, now) => age(letter.time_ms, now).replace(' ago', ''), is_number: true, full: (letter) => clock_text(letter.time_ms) },
        { name: 'Reason', text: (letter) => words(letter.reason) },
        { name: 'State', text: (letter) => letter.state ?? 'kept' },
        { name: 'Edge', text: (letter) => letter.edge },
        { name: 'Type', text: (letter) => letter.type ?? 'no event', is_wide: true },
        { name: 'Source', text: (letter) => letter.source ?? '–', is_wide: true },
        { name: 'Stage', text: (letter) => letter.stage },
        { name: 'Size', text: (letter) => bytes(letter.bytes), is_number: true, full: (letter) => `sequence ${letter.sequence}, producer ${letter.producer || 'unnamed'}` },
      ],
      act: {
        text: () => 'Replay',
        // Bytes that are no event cannot be replayed, nor what was; nor can letters of an edge whose intake central was not told.
        is_open: (letter) => letter.type !== null && (letter.state ?? 'kept') === 'kept' && this.state?.row('edges', letter.edge)?.can_replay === true,
        run: (letter) => acts.open({
          title: 'Replay this dead letter',
          what: `${letter.type} of ${letter.source ?? 'an unknown source'} goes back to ${letter.edge}, through the rules of now. It is applied at most once.`,
          path: '/api/v1/dead-letters/replay',
          query: () => ({ edge: letter.edge, sequence: String(letter.sequence), limit: '1' }),
          done: outcome,
        }),
      },
    });
  }
  render(state, now_ms) {
    this.state = state;
    const sums = state.object('dead_letters');
    const top = (sums.by_reason ?? []).slice(0, 3).map((one) => `${words(one.reason)} ${short(one.count)}`);
    put_text(by_id('letters-note'), [plural(sums.total ?? 0, 'letter'), ...top, sums.expired ? `${short(sums.expired)} expired` : ''].filter(Boolean).join(' · '));
    this.table.show(state.rows('letters').sort((a, b) => b.time_ms - a.time_ms || b.sequence - a.sequence), now_ms);
  }
}

const words = (reason) => reason.replaceAll('_', ' ');

// Lines of JSON, one for each letter; an act's outcome in words.
export function outcome(answer) {
  const lines = answer.text !== undefined ? answer.text.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line)) : [answer];
  const outcomes = lines.map((line) => line.outcome).filter(Boolean);
  if (outcomes.length === 0) return { level: 'act', text: 'No letter fitted: nothing was replayed.' };
  const said = { accepted: 'Applied.', duplicate: 'It had been applied before.', rejected: 'It fails still, and stays the letter it was.', refused: 'The edge refused it', not_an_event: 'It is no event', unanswered: 'The edge did not answer' };
  const all = [...new Set(outcomes)];
  if (all.length > 1) return { level: 'watch', text: all.map((one) => `${one}: ${outcomes.filter((other) => other === one).length}`).join(', ') };
  const is_applied = ['accepted', 'duplicate'].includes(all[0]);
  const why = is_applied ? '' : lines.find((line) => line.reason)?.reason ?? '';
  return { level: is_applied ? 'calm' : 'act', text: `${said[all[0]] ?? words(all[0])}${why ? ` (${words(why)})` : ''}` };
}
