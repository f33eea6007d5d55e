// The few words this page needs of the DOM. Text goes in as text, and only where it changed.
export const by_id = (id) => document.getElementById(id);

export function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  set(node, attributes);
  node.append(...children);
  return node;
}
export function make_svg(name, attributes = {}, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  set(node, attributes);
  node.append(...children);
  return node;
}
export function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) {
      if (node.hasAttribute(name)) node.removeAttribute(name);
    } else if (node.getAttribute(name) !== String(value)) {
      node.setAttribute(name, value);
    }
  }
}
export function put_text(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
// `nodes` become the children of `parent`, in this order; what is in its place already is left alone.
export function put_children(parent, nodes) {
  nodes.forEach((node, at) => { if (parent.children[at] !== node) parent.insertBefore(node, parent.children[at] ?? null); });
  while (parent.children.length > nodes.length) parent.lastElementChild.remove();
}
