// Tests, one line each; exit 1 where one failed. A test is a sentence and a function; --only TEXT runs those whose name has it.
// They wait more than they compute: some run at once, but for those that measure time.
const at_once = 3;
const found = [];
const one_seconds_max = 120;

export const test = (name, body) => found.push({ name, body });
export const test_alone = (name, body) => found.push({ name, body, is_alone: true });
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
  const wanted = found.filter(({ name }) => name.includes(only));
  let failed = 0;
  const try_one = async ({ name, body }) => {
    const began = performance.now();
    let timer;
    try {
      await Promise.race([body(), new Promise((_, lost) => { timer = setTimeout(() => lost(new Error(`longer than ${one_seconds_max} s`)), one_seconds_max * 1000); })]);
      console.log(`ok    ${name} (${Math.round(performance.now() - began)} ms)`);
    } catch (error) {
      ++failed;
      console.log(`FAIL  ${name}\n      ${error.stack?.split('\n').slice(0, 4).join('\n      ')}`);
    }
    clearTimeout(timer);
  };
  for (const one of wanted.filter((other) => other.is_alone)) await try_one(one);
  const rest = wanted.filter((other) => !other.is_alone);
  await Promise.all(Array.from({ length: at_once }, async () => { while (rest.length > 0) await try_one(rest.shift()); }));
  console.log(`page: ${failed === 0 && wanted.length > 0 ? 'PASS' : 'FAIL'} (${wanted.length - failed} of ${wanted.length})`);
  return failed === 0 && wanted.length > 0;
}
