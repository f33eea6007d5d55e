// Chromium, and what the tests look at in the page.
import { existsSync } from 'node:fs';
import { chromium } from './modules.mjs';
import { until } from './harness.mjs';

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
