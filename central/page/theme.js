// Light or dark, before the first paint: the system's, unless the viewer chose. A classic script, so that nothing flashes.
(() => {
  const choices = ['system', 'light', 'dark'];
  const system = matchMedia('(prefers-color-scheme: dark)');
  const read = () => {
    try { return choices.includes(localStorage.weirTheme) ? localStorage.weirTheme : 'system'; } catch { return 'system'; }
  };
  let choice = read();
  const put = () => {
    document.documentElement.dataset.theme = choice === 'system' ? (system.matches ? 'dark' : 'light') : choice;
    dispatchEvent(new Event('weir-theme'));
  };
  system.addEventListener('change', put);
  window.weirTheme = {
    choice: () => choice,
    next() {
      choice = choices[(choices.indexOf(choice) + 1) % choices.length];
      try { localStorage.weirTheme = choice; } catch { /* a browser that keeps nothing */ }
      put();
      return choice;
    },
  };
  put();
})();
