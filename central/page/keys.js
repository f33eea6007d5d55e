// Keys: one letter each, where nothing is being typed. They can be switched off; Tab, arrows and Enter always work.
import { by_id, make } from './dom.js';

export const panels = [
  ['1', 'verdict', 'State'], ['2', 'rates', 'Rates'], ['3', 'hops', 'Latency'], ['4', 'alerts', 'Alerts'], ['5', 'map', 'Edges'],
  ['6', 'windows', 'Windows'], ['7', 'lanes', 'Lanes'], ['8', 'letters', 'Dead letters'], ['9', 'ledger', 'Ledger'],
];

export function install_keys({ pause, theme }) {
  const help = by_id('help');
  const is_on = by_id('keys-on');
  try { is_on.checked = localStorage.weirKeys !== 'off'; } catch { /* on */ }
  is_on.addEventListener('change', () => { try { localStorage.weirKeys = is_on.checked ? 'on' : 'off'; } catch { /* for now */ } });
  by_id('help-open').addEventListener('click', () => help.showModal());
  const listed = [
    ...panels.map(([key, , name]) => [key, name]),
    ['p', 'Pause: what is shown stands still; nothing is lost'], ['t', 'Theme: system, light, dark'], ['?', 'These keys'],
    ['↑ ↓ Home End', 'In a table or on the map: to another row'], ['Enter', 'In a table: the act of the row (replay, silence, hold). On the map: to its row'], ['Tab', 'To the next part of the page'], ['Esc', 'Closes a dialog'],
  ];
  for (const [key, what] of listed) by_id('help-list').append(make('dt', {}, ...key.split(' ').map((one) => make('kbd', {}, one))), make('dd', {}, what));
  by_id('panels-nav').append(...panels.slice(1).map(([key, id, name]) => make('a', { href: `#${id}`, 'aria-keyshortcuts': key }, name)));

  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector('dialog[open]') || event.target.closest('input, select, textarea')) return;
    if (event.key !== '?' && !is_on.checked) return;
    const panel = panels.find(([key]) => key === event.key);
    if (panel) go_to(panel[1]);
    else if (event.key === 'p') pause();
    else if (event.key === 't') theme();
    else if (event.key === '?') help.showModal();
    else return;
    event.preventDefault();
  });
}

function go_to(id) {
  const section = by_id(id);
  section.scrollIntoView({ block: 'nearest' });
  // Into its table where it has one: there the arrows go on.
  (section.querySelector('[tabindex="0"]') ?? section).focus();
}
