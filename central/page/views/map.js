// The map of edges: each with a shape for its state and a wire to central as thick as its rate. One edge is in the tab order; arrows
// go to the others, Enter to its row in the table.
import { make_svg, put_text, set } from '../dom.js';
import { duration_ms, short } from '../format.js';
import { edge_text } from './edge_text.js';
import { layout, regions_of } from './map_layout.js';

const name_letters_max = 18;
const shapes = {
  calm: 'M-6 0a6 6 0 1 0 12 0a6 6 0 1 0 -12 0',
  watch: 'M0 -7.5L8 6.5H-8z',
  act: 'M0 -8.5L8.5 0L0 8.5L-8.5 0z',
  off: 'M-5 -5H5V5H-5z',
};

export class EdgeMap {
  #entries = new Map();
  #shape = '';
  #current = null;

  constructor(box, on_chosen) {
    Object.assign(this, { box, on_chosen });
    this.svg = make_svg('svg', { role: 'group', 'aria-label': 'Map of edges and their connections to central' });
    box.append(this.svg);
    box.hidden = true;
    new ResizeObserver(() => { if (this.edges?.length > 0) this.#draw(); }).observe(box);
    this.svg.addEventListener('keydown', (event) => this.#on_key(event));
  }

  render(edges, rate, name, now_ms) {
    Object.assign(this, { edges, rate, name, now_ms });
    this.box.hidden = edges.length === 0;
    if (edges.length > 0) this.#draw();
  }

  #draw() {
    const width = Math.max(280, Math.floor(this.box.clientWidth || this.box.parentElement.clientWidth - 28));
    const regions = regions_of(this.edges);
    const shape = `${width} ${regions.map((region) => `${region.name}:${region.edges.map((edge) => edge.id)}`).join(';')}`;
    if (shape !== this.#shape) {
      this.#shape = shape;
      this.#build(layout(regions, width), regions);
    }
    for (const edge of this.edges) this.#update(edge);
    put_text(this.rate_text, `${short(this.rate)}/s`);
    put_text(this.name_text, this.name || 'central');
  }

  #build(plan, regions) {
    const focused = this.svg.contains(document.activeElement) ? this.#current : null;
    this.#entries.clear();
    const wires = make_svg('g', { 'aria-hidden': 'true' });
    const boxes = make_svg('g');
    plan.boxes.forEach((box) => {
      const region = regions.find((one) => one.name === box.name);
      const below = box.side === 'below';
      boxes.append(make_svg('rect', { class: 'region', x: box.x, y: box.y, width: box.width, height: box.height, rx: 8 }));
      const label = make_svg('text', { class: 'region-name', x: box.side === 'right' ? box.x + box.width - 10 : box.x + 10, y: below ? box.y + box.height - 8 : box.y + 17,
        'text-anchor': box.side === 'right' ? 'end' : 'start' });
      label.textContent = `${box.name || 'edges'}${box.is_dots ? ` (${region.edges.length})` : ''}`;
      boxes.append(label);
      region.edges.forEach((edge, at) => this.#add(edge, box, box.places[at], plan.hub, wires));
    });
    const hub = make_svg('g', { 'aria-hidden': 'true' }, make_svg('circle', { class: 'hub', cx: plan.hub.x, cy: plan.hub.y, r: 47 }));
    this.name_text = make_svg('text', { class: 'hub-name', x: plan.hub.x, y: plan.hub.y - 2 });
    this.rate_text = make_svg('text', { class: 'hub-rate', x: plan.hub.x, y: plan.hub.y + 14 });
    hub.append(this.name_text, this.rate_text);
    set(this.svg, { viewBox: `0 0 ${plan.width} ${Math.ceil(plan.height)}`, width: plan.width, height: Math.ceil(plan.height) });
    this.svg.replaceChildren(boxes, wires, hub, ...[...this.#entries.values()].map((entry) => entry.node));
    this.#make_current(this.#entries.has(this.#current) ? this.#current : this.edges[0].id);
    if (focused && this.#entries.has(focused)) this.#entries.get(focused).node.focus();
  }

  #add(edge, box, place, hub, wires) {
    const wire = make_svg('path', { class: 'wire', d: wire_path(box, place, hub) });
    wires.append(wire);
    const node = make_svg('g', { class: 'edge', tabindex: '-1', role: 'button', transform: `translate(${place.x} ${place.y})` });
    const shape = make_svg('path', { class: 'shape' });
    const halo = make_svg('circle', { class: 'halo', r: 12 });
    const title = make_svg('title');
    const entry = { node, wire, shape, title, name: null, sub: null };
    node.append(title, halo, shape);
    if (box.is_dots) {
      set(shape, { transform: 'scale(0.62)' });
    } else if (box.side === 'below') {
      entry.name = make_svg('text', { y: 28, 'text-anchor': 'middle' });
      entry.sub = make_svg('text', { class: 'sub', y: 43, 'text-anchor': 'middle' });
    } else {
      const is_left = box.side === 'left';
      entry.name = make_svg('text', { x: is_left ? 19 - box.width + 9 : box.width - 28, y: 4, 'text-anchor': is_left ? 'start' : 'end' });
      entry.sub = make_svg('text', { class: 'sub', x: is_left ? -18 : 18, y: 4, 'text-anchor': is_left ? 'end' : 'start' });
    }
    if (entry.name) node.append(entry.name, entry.sub);
    node.addEventListener('click', () => this.on_chosen(edge.id));
    node.addEventListener('focus', () => this.#make_current(edge.id));
    this.#entries.set(edge.id, entry);
  }

  #update(edge) {
    const entry = this.#entries.get(edge.id);
    if (!entry) return;
    set(entry.node, { 'data-level': edge.level });
    set(entry.shape, { d: shapes[edge.level] });
    set(entry.wire, { 'data-level': edge.level, 'stroke-width': (1 + Math.min(4, Math.log10(1 + (edge.events_per_s ?? 0)))).toFixed(1) });
    const said = edge_text(edge, this.now_ms);
    if (entry.name) {
      put_text(entry.name, edge.id.length > name_letters_max ? `${edge.id.slice(0, 8)}…${edge.id.slice(9 - name_letters_max)}` : edge.id);
      put_text(entry.sub, edge.connected && edge.level === 'calm' ? `${short(edge.events_per_s)}/s` : said);
    }
    put_text(entry.title, `${edge.id}: ${said}`);
    // Of many edges only what calls is said: the table has the rest.
    const numbers = entry.name ? `, ${short(edge.events_per_s)} events a second, lag ${duration_ms(edge.lag_ms)}, ${short(edge.held)} held` : '';
    set(entry.node, { 'aria-label': `${edge.id}, ${said}${numbers}` });
  }

  #make_current(id) {
    this.#entries.get(this.#current)?.node.setAttribute('tabindex', '-1');
    this.#current = id;
    this.#entries.get(id)?.node.setAttribute('tabindex', '0');
  }

  #on_key(event) {
    const ids = [...this.#entries.keys()];
    const at = ids.indexOf(this.#current);
    const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: ids.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.#entries.get(ids[Math.min(Math.max(to, 0), ids.length - 1)])?.node.focus();
    } else if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      this.on_chosen(this.#current);
    }
  }
}

function wire_path(box, place, hub) {
  if (box.side === 'below') {
    return `M${place.x} ${place.y - 8}C${place.x} ${place.y - 34} ${hub.x} ${place.y - 10} ${hub.x} ${hub.y}`;
  }
  const from = box.is_dots ? (box.side === 'left' ? box.x + box.width : box.x) : place.x + (box.side === 'left' ? 9 : -9);
  const middle = (from + hub.x) / 2;
  return `M${from} ${place.y}C${middle} ${place.y} ${middle} ${hub.y} ${hub.x} ${hub.y}`;
}
