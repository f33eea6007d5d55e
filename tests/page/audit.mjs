// What is looked at in every element of the page: runs in the browser.

// Texts whose contrast to what is behind them is below WCAG's AA: [{text, ratio}].
export function low_contrast() {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const svg_fill = at.closest?.('svg') && at.tagName === 'svg' ? null : getComputedStyle(at).backgroundColor;
      const colour = svg_fill ? rgba(svg_fill) : [0, 0, 0, 0];
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll('body *')) {
    const text = [...node.childNodes].filter((child) => child.nodeType === Node.TEXT_NODE).map((child) => child.data.trim()).join('');
    const box = node.getBoundingClientRect();
    if (!text || box.width < 2 || box.height < 2 || node.closest('dialog:not([open]), noscript, option, title')) continue;
    const style = getComputedStyle(node);
    if (style.visibility === 'hidden') continue;
    const ink = rgba(node.closest('svg') ? style.fill : style.color);
    const behind = node.closest('.map .region, .map') ? rgba(getComputedStyle(document.documentElement).getPropertyValue('--raised').trim()) : ground(node);
    const [a, b] = [light(ink), light(behind)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const px = parseFloat(style.fontSize);
    const is_large = px >= 24 || (px >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (is_large ? 3 : 4.5)) found.push({ text: text.slice(0, 40), ratio: Number(ratio.toFixed(2)), of: node.className?.baseVal ?? node.className });
  }
  return found;
}

// Things that can be used and have no name, and ids that are there twice.
export function unnamed() {
  const name = (node) => node.getAttribute('aria-label') || node.textContent.trim() || node.labels?.[0]?.textContent.trim() || node.getAttribute('title');
  const bad = [...document.querySelectorAll('button, a, input, select, [role=button], [tabindex="0"]')].filter((node) => !name(node) && !node.hidden).map((node) => node.outerHTML.slice(0, 80));
  const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
  return [...bad, ...ids.filter((id, at) => ids.indexOf(id) !== at)];
}

// Where the focus is: whether it can be seen that it is there.
export function focused() {
  const node = document.activeElement;
  if (!node || node === document.body) return null;
  const box = node.getBoundingClientRect();
  const style = getComputedStyle(node);
  const halo = node.querySelector?.('.halo');
  const shows = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1) || style.boxShadow !== 'none' || (halo && getComputedStyle(halo).stroke !== 'none');
  const section = node.closest('section');
  return { what: `${node.tagName} ${node.id || node.dataset.row || node.textContent.trim().slice(0, 30)}`, section: section?.id ?? null, shows: Boolean(shows),
    is_inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth };
}
