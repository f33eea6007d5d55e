// Lanes, and the hold that an operator puts on one.
import { by_id, put_text } from '../dom.js';
import { bytes, count, plural, short } from '../format.js';
import { Table } from '../table.js';

const classes = { durable: 'durable', best_effort: 'best effort', dead_letters: 'dead letters' };

export class LanesView {
  needs = ['lanes'];
  constructor(acts) {
    this.table = new Table(by_id('lanes-body'), {
      label: 'Lanes',
      empty: 'No lane has carried an event yet.',
      columns: [
        { name: 'Lane', text: (lane) => lane.id },
        { name: 'State', text: (lane) => (lane.is_held ? 'on hold' : 'open'), level: (lane) => (lane.is_held ? 'watch' : 'calm') },
        { name: 'Class', text: (lane) => classes[lane.class] ?? lane.class ?? '–', full: (lane) => `${plural(lane.edges ?? 0, 'edge')}; ${lane.credit_bytes ? `each may have ${bytes(lane.credit_bytes)} on its way in it` : 'no bound of its own'}` },
        { name: 'Events/s', text: (lane) => short(lane.events_per_s), is_number: true },
        { name: 'Stored', text: (lane) => count(lane.appended), is_number: true },
        { name: 'Gap', title: 'Events that are gone for good, by their sequences', text: (lane) => count(lane.gap), is_number: true },
      ],
      act: {
        text: (lane) => (lane.is_held ? 'Release' : 'Hold'),
        is_open: () => true,
        run: (lane) => acts.open({
          title: lane.is_held ? `Release ${lane.id}` : `Hold ${lane.id}`,
          what: lane.is_held ? 'Central grants credit for it again.' : 'Central takes no more of this lane; edges keep what they have. Other lanes go on.',
          path: `/api/v1/lanes/${encodeURIComponent(lane.id)}/${lane.is_held ? 'release' : 'hold'}`,
          query: () => null,
          done: () => (lane.is_held ? 'Released.' : 'On hold.'),
        }),
      },
    });
  }
  render(state, now_ms) {
    const lanes = state.rows('lanes').sort((a, b) => (a.id < b.id ? -1 : 1));
    const held = lanes.filter((lane) => lane.is_held).length;
    put_text(by_id('lanes-note'), held > 0 ? `${plural(held, 'lane')} on hold` : '');
    this.table.show(lanes, now_ms);
  }
}
