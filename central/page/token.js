// The token of this tab, and the question for it. Kept in sessionStorage: gone with the tab, never sent to anyone but central.
const key = 'weirToken';
let kept = '';
let open = null;
let is_declined = false;

export function token_text() {
  try { return sessionStorage[key] ?? kept; } catch { return kept; }
}
export function forget_token() {
  kept = '';
  try { delete sessionStorage[key]; } catch { /* nothing is kept */ }
}
// Was the question closed without an answer: nobody asks again by itself.
export const was_declined = () => is_declined;

// Resolves to true when there is a token now. Asked only once, however many want it.
export function ask_token(why) {
  open ??= new Promise((done) => {
    const dialog = document.getElementById('token');
    const value = document.getElementById('token-value');
    if (why) document.getElementById('token-why').textContent = why;
    value.value = '';
    dialog.onclose = () => {
      const text = value.value.trim();
      const is_given = dialog.returnValue === 'ok' && text !== '';
      value.value = '';
      is_declined = !is_given;
      open = null;
      if (is_given) {
        kept = text;
        try { sessionStorage[key] = text; } catch { /* this page's memory does */ }
      }
      done(is_given);
    };
    dialog.returnValue = '';
    dialog.showModal();
    value.focus();
  });
  return open;
}
