// Chromium, and what the tests look at in the page.
import { existsSync } from 'node:fs';
import { chromium } from './modules.mjs';
import { expect, until } from './harness.mjs';

const page_bytes_max = 200_000;  // all of it, uncompressed
const start_ms_max = 1000;       // until the first state is drawn

export const program = process.env.WEIR_CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);

// As root (as in containers) Chromium has no sandbox; it only ever opens this page.
export const launch = () => chromium.launch({ executablePath: program, args: [...(process.getuid() === 0 ? ['--no-sandbox'] : []), '--disable-gpu', '--disable-dev-shm-usage'] });

// A page that counts everything it takes from the network, and fails on any error in it. `expected`: errors that belong to the test.
export async function open(browser, url, { width = 1440, height = 900, theme = 'light', expected = /WebSocket|ERR_CONNECTION|401|Failed to load/, ...more } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: 'reduce', ...more });
  const page = await context.newPage();
  const seen = { errors: [], responses: [], outside: [] };
  page.on('pageerror', (error) => seen.errors.push(error.message));
  page.on('console', (line) => { if (line.type() === 'error' && !expected.test(line.text())) seen.errors.push(line.text()); });
  page.on('response', (response) => seen.responses.push(response));
  page.on('request', (request) => { if (!request.url().startsWith(url)) seen.outside.push(request.url()); });
  await page.goto(url);
  return { page, seen, context };
}
export const text_of = (page, id) => page.locator(`#${id}`).innerText();
export const level_of = (page) => page.locator('#verdict').getAttribute('data-level');
export const is_live = (page) => page.locator('#link').getAttribute('data-state').then((state) => state === 'live');
export const await_live = (page, seconds_max) => until(() => is_live(page), 'the page is live', seconds_max);
// The number in the verdict's figures under this name.
export const figure = (page, name) => page.locator('#figures div', { hasText: name }).first().locator('dd').innerText();

// Bytes of JavaScript objects that are still in use.
export async function heap_bytes(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.enable');
  for (let times = 0; times < 2; ++times) await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return usedSize;
}

// What the page weighs, and how long it takes to show something: the best of some times, as what else the machine does is not the page's.
export async function is_light_and_quick(page, seen) {
  const bodies = await Promise.all(seen.responses.filter((one) => one.ok() && !one.url().includes('/api/')).map((one) => one.body()));
  const bytes = bodies.reduce((sum, body) => sum + body.length, 0);
  expect(bytes > 50_000 && bytes < page_bytes_max, 'weight', bytes);
  let took = Infinity;
  for (let times = 0; times < 3; ++times) {
    if (times > 0) await page.reload();
    await until(() => page.evaluate(() => window.weirShown), 'drawn');
    took = Math.min(took, await page.evaluate(() => window.weirShown));
  }
  expect(took < start_ms_max, 'ms until the first state was drawn', took);
  console.log(`      ${bytes} bytes uncompressed, first state drawn after ${Math.round(took)} ms`);
}
