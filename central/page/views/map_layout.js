// Where regions, edges and central stand on the map: plain numbers, no nodes. Regions left and right of central, an odd last one below it;
// on a narrow page all of them stand above each other, central at their right.
const row_height = 27;
const head_height = 24;
const pad = 8;
const gap = 14;
export const named_max = 12;   // edges of a region that are named; more are dots
const dot_step = 15;

const narrow_px = 560;
const below_max = 6;
const below_gap = 34;  // room for the wires to fan out

// regions: [{name, edges: [...]}] -> {width, height, hub: {x, y}, boxes: [{name, x, y, width, height, side, is_dots, places: [{x, y}]}]}
export function layout(regions, width) {
  const is_narrow = width < narrow_px;
  const box_width = is_narrow ? width - 104 : Math.min(250, (width - 170) / 2);
  const is_below = (region, at) => !is_narrow && regions.length > 2 && regions.length % 2 === 1 && at === regions.length - 1 && region.edges.length <= below_max;
  const columns = { left: [], right: [], below: [] };
  regions.forEach((region, at) => {
    const side = is_narrow ? 'left' : is_below(region, at) ? 'below' : at % 2 === 0 ? 'left' : 'right';
    columns[side].push({ region, side, ...measured(region, box_width) });
  });
  const tall = (column) => column.reduce((sum, box) => sum + box.height, 0) + Math.max(0, column.length - 1) * gap;
  const middle = Math.max(tall(columns.left), tall(columns.right), 110);
  const below_height = head_height + 62;
  const height = middle + (columns.below.length > 0 ? below_height + below_gap : 0);
  const boxes = [];
  for (const side of ['left', 'right']) {
    let y = (middle - tall(columns[side])) / 2;
    for (const box of columns[side]) {
      boxes.push(placed(box, side === 'left' ? 0 : width - box_width, y, box_width));
      y += box.height + gap;
    }
  }
  for (const box of columns.below) boxes.push(placed_below(box, width, middle + below_gap, below_height));
  return { width, height, hub: { x: is_narrow ? width - 44 : width / 2, y: middle / 2 }, boxes };
}

function measured(region, box_width) {
  const is_dots = region.edges.length > named_max;
  const a_row = Math.floor((box_width - 2 * pad) / dot_step);
  const rows = is_dots ? Math.ceil(region.edges.length / a_row) * dot_step : region.edges.length * row_height;
  return { is_dots, a_row, height: head_height + rows + pad };
}

function placed({ region, side, is_dots, a_row, height }, x, y, width) {
  const inner = side === 'left' ? x + width - pad - 9 : x + pad + 9;
  const places = region.edges.map((_edge, at) => (is_dots
    ? { x: x + pad + 6 + (at % a_row) * dot_step, y: y + head_height + 6 + Math.floor(at / a_row) * dot_step }
    : { x: inner, y: y + head_height + row_height / 2 + at * row_height - 2 }));
  return { name: region.name, side, is_dots, x, y, width, height, places };
}

function placed_below({ region, is_dots }, width, y, height) {
  const box_width = Math.min(width, Math.max(160, region.edges.length * 112));
  const x = (width - box_width) / 2;
  const step = (box_width - 2 * pad) / region.edges.length;
  const places = region.edges.map((_edge, at) => ({ x: x + pad + step * (at + 0.5), y: y + 14 }));
  return { name: region.name, side: 'below', is_dots, x, y, width: box_width, height, places };
}

// Regions of edges: as configured, else by what stands before the last / or - in the name where several share it.
export function regions_of(edges) {
  const prefix = (id) => id.match(/^(.+)[/-][^/-]+$/)?.[1] ?? '';
  const times = new Map();
  for (const edge of edges) times.set(prefix(edge.id), (times.get(prefix(edge.id)) ?? 0) + 1);
  const regions = new Map();
  for (const edge of [...edges].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    const name = edge.region ?? (times.get(prefix(edge.id)) > 1 ? prefix(edge.id) : '') ?? '';
    if (!regions.has(name)) regions.set(name, { name, edges: [] });
    regions.get(name).edges.push(edge);
  }
  return [...regions.values()].sort((a, b) => (a.name === '' ? 1 : b.name === '' ? -1 : a.name < b.name ? -1 : 1));
}
