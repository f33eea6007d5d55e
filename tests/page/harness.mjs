// Tests in order, one line each; exit 1 where one failed. A test is a sentence and a function; --only TEXT runs those whose name has it.
const found = [];
const one_seconds_max = 120;

export const test = (name, body) => found.push({ name, body });
export function expect(is_so, what, seen = '') {
  if (!is_so) throw new Error(`${what}${seen === '' ? '' : `: ${typeof seen === 'string' ? seen : JSON.stringify(seen)}`}`);
}
// Looks again until it is so. Of waiting only the bound is said, never how long it takes.
export async function until(look, what, seconds_max = 10) {
  const end = performance.now() + seconds_max * 1000;
  let seen;
  while (performance.now() < end) {
    seen = await look();
    if (seen) return seen;
    await new Promise((done) => setTimeout(done, 25));
  }
  throw new Error(`not within ${seconds_max} s: ${what}`);
}

export async function run() {
  const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : '';
  let failed = 0;
  let done = 0;
  for (const { name, body } of found) {
    if (!name.includes(only)) continue;
    const began = performance.now();
    ++done;
    let timer;
    try {
      await Promise.race([body(), new Promise((_, lost) => { timer = setTimeout(() => lost(new Error(`longer than ${one_seconds_max} s`)), one_seconds_max * 1000); })]);
      console.log(`ok    ${name} (${Math.round(performance.now() - began)} ms)`);
    } catch (error) {
      ++failed;
      console.log(`FAIL  ${name}\n      ${error.stack?.split('\n').slice(0, 4).join('\n      ')}`);
    }
    clearTimeout(timer);
  }
  console.log(`page: ${failed === 0 && done > 0 ? 'PASS' : 'FAIL'} (${done - failed} of ${done})`);
  return failed === 0 && done > 0;
}
