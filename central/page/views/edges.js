// Edges: the map, and the same as a table, the worst first.
import { by_id, put_text } from '../dom.js';
import { age, bytes, clock_text, duration_ms, plural, short, signed_ms } from '../format.js';
import { edge_level } from '../levels.js';
import { edge_text } from './edge_text.js';
import { EdgeMap } from './map.js';
import { Table } from '../table.js';

const rank = { act: 3, watch: 2, calm: 1, off: 0 };

// Since when it is known, and what else the edge has said.
function held_words(edge) {
  if (edge.held_as_of_ms == null) return 'it has not said';
  const more = edge.rung == null ? '' : `; ${bytes(edge.held_bytes)} of its spool; ${edge.rung}`;
  return `as of ${clock_text(edge.held_as_of_ms)}${more}`;
}

export class EdgesView {
  needs = ['edges', 'rates', 'health'];
  has_ages = true;
  constructor() {
    this.map = new EdgeMap(by_id('map-body'), (id) => this.table.focus_row(id));
    this.table = new Table(by_id('edges-body'), {
      label: 'Edges, the worst first',
      empty: 'No edge has come yet.',
      columns: [
        { name: 'Edge', text: (edge) => edge.id },
        { name: 'State', text: (edge, now) => edge_text(edge, now), level: (edge, now) => edge_level(edge, now) },
        { name: 'Events/s', text: (edge) => short(edge.events_per_s), is_number: true },
        { name: 'Lag', title: 'From closing a batch at the edge to its arrival', text: (edge) => duration_ms(edge.lag_ms), is_number: true },
        { name: 'Held', title: "Events in the edge's spool that are not here yet", text: (edge) => short(edge.held), full: held_words, is_number: true },
        { name: 'Backlog', title: 'Of what is held: left behind by an outage', text: (edge) => short(edge.backlog), is_number: true },
        { name: 'Clock', title: "The edge's clock less central's", text: (edge) => signed_ms(edge.clock_offset_ms), is_number: true },
        { name: 'Last ack', text: (edge, now) => age(edge.last_ack_ms, now), is_number: true },
      ],
    });
  }

  render(state, now_ms) {
    const edges = state.rows('edges').map((edge) => ({ ...edge, level: edge_level(edge, now_ms) }));
    edges.sort((a, b) => rank[b.level] - rank[a.level] || (a.id < b.id ? -1 : 1));
    const away = edges.filter((edge) => !edge.connected).length;
    put_text(by_id('map-note'), edges.length === 0 ? '' : `${plural(edges.length - away, 'edge')} connected${away ? `, ${away} away` : ''}`);
    this.map.render(edges, state.object('rates').events_per_s, state.object('health').name, now_ms);
    this.table.show(edges, now_ms);
  }
}
