// The dashboard in Chromium, against MockCentral.
import * as audit from './audit.mjs';
import { await_live, figure, heap_bytes, is_light_and_quick, is_live, launch, level_of, open, text_of } from './browser.mjs';
import { expect, run, test, test_alone, until } from './harness.mjs';
import { MockCentral } from './mock_central.mjs';
import * as scenes from './scenes.mjs';

const memory_seconds = Number(process.env.WEIR_PAGE_MEMORY_SECONDS ?? 3);
const heap_growth_max = 1.5e6;
const browser = await launch();

// A page on a mock in this scene; both are closed at the end.
async function on(scene, body, { mock: mock_options, ...page_options } = {}) {
  const mock = await new MockCentral(mock_options).listen();
  scene(mock);
  const beat = setInterval(() => mock.beat(), 1000);
  const opened = await open(browser, `http://127.0.0.1:${mock.port}/`, page_options);
  try {
    await body({ ...opened, mock });
    expect(opened.seen.errors.length === 0, 'no error in the page', opened.seen.errors);
    expect(opened.seen.outside.length === 0, 'nothing from elsewhere', opened.seen.outside);
  } finally {
    clearInterval(beat);
    await opened.context.close();
    await mock.close();
  }
}
// Full work, `per_s` changes a second.
function work(mock, per_s = 10) {
  let n = 0;
  const timer = setInterval(() => mock.push(scenes.step(n++, mock.now_ms())), 1000 / per_s);
  return () => clearInterval(timer);
}

test_alone('the page is there in less than a second and weighs less than 200 kB', () => on(scenes.busy, async ({ page, seen }) => {
  await await_live(page);
  await is_light_and_quick(page, seen);
}));

test('live numbers move', () => on(scenes.busy, async ({ page, mock }) => {
  await await_live(page);
  const look = async () => [await figure(page, 'Events/s'), await page.locator('#ledger .term').first().locator('dd').innerText(), await page.locator('#edges-body tr[data-row="north-1"] td').nth(2).innerText()];
  const before = await look();
  const stop = work(mock);
  await until(async () => (await look()).every((text, at) => text !== before[at]), 'rate, ledger and edge all say something else');
  stop();
  expect(await level_of(page) === 'calm', 'and all is well');
}));

test('an anomaly and an alert appear, in words, on the series and aloud', () => on(scenes.busy, async ({ page, mock }) => {
  await await_live(page);
  await until(async () => (await level_of(page)) === 'calm', 'calm first');
  const pixels = () => page.locator('#windows-chart canvas').evaluate((canvas) => canvas.toDataURL());
  const before = await pixels();
  mock.push({ lists: { anomalies: { rows: [scenes.anomaly(7)] }, alerts: { rows: [scenes.fire_alert(mock.now_ms())] } } });
  await until(async () => (await level_of(page)) === 'act', 'the verdict says act');
  expect((await text_of(page, 'verdict-reasons')).includes('critical: possible-fraud'), 'why', await text_of(page, 'verdict-reasons'));
  expect((await text_of(page, 'alerts-body')).includes('critical'), 'it is among the alerts');
  await until(async () => (await text_of(page, 'anomalies-body')).includes('philly/police'), 'it is among the anomalies');
  await until(async () => (await pixels()) !== before, 'the series is marked');
  await until(async () => (await page.locator('#shout').textContent()).startsWith('Act now'), 'it is said aloud');
  mock.push({ lists: { alerts: { rows: [{ ...scenes.fire_alert(mock.now_ms()), state: 'cleared', kind: 'resolved' }] } } });
  await until(async () => (await level_of(page)) === 'calm', 'and it is over');
}));

test('an edge that goes away is seen on the map and in the table, and so is its return', () => on(scenes.busy, async ({ page, mock }) => {
  await await_live(page);
  const edge = mock.lists.edges.find((one) => one.id === 'north-2');
  mock.push({ lists: { edges: { rows: [{ ...edge, connected: false, last_seen_ms: mock.now_ms() - 12_000, held: 4000 }] } } });
  await until(async () => (await level_of(page)) === 'watch', 'watch');
  expect((await text_of(page, 'verdict-reasons')).includes('north-2 away'), 'which');
  expect((await page.locator('#edges-body tbody tr').first().getAttribute('data-row')) === 'north-2', 'it is first');
  expect((await page.locator('#map-body [data-level=watch].edge').getAttribute('aria-label')).startsWith('north-2, away 1'), 'on the map');
  mock.push({ lists: { edges: { rows: [{ ...edge, connected: true }] } } });
  await until(async () => (await level_of(page)) === 'calm', 'calm again');
}));

test('a dead letter is replayed from the page, with a reason', () => on(scenes.busy, async ({ page, mock }) => {
  await await_live(page);
  const row = page.locator('#letters-body tr[data-row="north-2/00000000000000a1//2"]');
  await row.getByRole('button', { name: 'Replay' }).click();
  await page.keyboard.press('Enter');
  expect(mock.acts.length === 0, 'not without a reason', mock.acts);
  await page.keyboard.type('the rule was wrong');
  await page.keyboard.press('Enter');
  await until(async () => (await text_of(page, 'act-outcome')) === 'Applied.', 'what came of it');
  expect(JSON.stringify(mock.acts) === JSON.stringify([{ path: '/api/v1/dead-letters/replay', query: { edge: 'north-2', sequence: '2', limit: '1' }, reason: 'the rule was wrong' }]), 'what was asked', mock.acts);
  const broken = page.locator('#letters-body tr', { hasText: 'no event' }).first();
  expect(!await broken.getByRole('button').isVisible(), 'what is no event cannot be replayed');
}));

test('a connection that is cut says since when, and comes back by itself', () => on(scenes.busy, async ({ page, mock }) => {
  await await_live(page);
  const port = mock.port;
  await mock.cut();
  await until(async () => (await level_of(page)) === 'blind', 'the verdict says so');
  expect(/cut off since \d\d:\d\d:\d\d/.test(await text_of(page, 'link-text')), 'since when', await text_of(page, 'link-text'));
  expect((await text_of(page, 'verdict-reasons')).includes('trying'), 'and that it tries');
  const back = new MockCentral();
  scenes.idle(back);
  await back.listen(port);
  await await_live(page, 20);
  await until(async () => (await text_of(page, 'verdict-word')).includes('idle'), 'with the state of now');
  await back.close();
}));

test('silence is a cut too, and a message that does not fit opens the stream again', () => on(scenes.busy, async ({ page, mock }) => {
  await await_live(page);
  const state = await page.evaluate(() => window.weir.state.sequence);
  mock.sequence += 5;  // deltas that this page never saw
  mock.push({ objects: {} });
  await until(async () => !await is_live(page) || (await page.evaluate(() => window.weir.state.sequence)) > state + 4, 'it noticed');
  await await_live(page, 20);
  expect(await page.evaluate(() => window.weir.state.sequence) === mock.sequence, 'and has the whole state');
}));

test('central asks for a token, and the page asks once', () => on(scenes.busy, async ({ page, mock }) => {
  await page.locator('#token[open]').waitFor();
  await page.keyboard.type('alice.wrong');
  await page.keyboard.press('Enter');
  await until(async () => (await page.locator('#token[open]').count()) === 1 && (await page.locator('#token-value').inputValue()) === '', 'a wrong one is asked for again');
  await page.keyboard.type(mock.token);
  await page.keyboard.press('Enter');
  await await_live(page, 20);
  await page.reload();
  await await_live(page, 20);
  expect(await page.locator('#token[open]').count() === 0, 'a reload of the tab has it still');
  expect(!mock.requests.some((one) => one.includes('secret')), 'no token in any address');
}, { mock: { token: 'alice.secret0' } }));

test('texts of events are text', () => on(scenes.busy, async ({ page, mock }) => {
  await await_live(page);
  const evil = '<img src=x onerror="document.title=1"><b>bold</b>';
  mock.push({ lists: { letters: { rows: [scenes.letter(9000, mock.now_ms() + 1000, { type: evil, source: evil, edge: 'north-2' })] }, alerts: { rows: [{ ...scenes.fire_alert(mock.now_ms()), key: evil }] } } });
  await until(async () => (await text_of(page, 'letters-body')).includes('onerror'), 'it is shown');
  expect(await page.locator('main img, main b').count() === 0, 'and is no markup');
}));

test('the keyboard alone suffices', () => on(scenes.busy, async ({ page, mock }) => {
  await await_live(page);
  const at = () => page.evaluate(audit.focused);
  await page.keyboard.press('Tab');
  expect((await at()).what.includes('Skip'), 'first comes the skip link');
  await page.keyboard.press('Enter');
  expect((await at()).what.includes('verdict'), 'which goes to the state', await at());
  // Every stop can be seen, and none is a trap.
  const sections = new Set();
  const stops = new Set();
  for (let times = 0; times < 40; ++times) {
    await page.keyboard.press('Tab');
    const seen = await at();
    if (!seen) break;
    expect(seen.shows && seen.is_inside, 'the focus can be seen', seen);
    sections.add(seen.section);
    stops.add(seen.what);
  }
  for (const id of ['alerts', 'map', 'windows', 'lanes', 'letters']) expect(sections.has(id), `Tab comes to ${id}`, [...sections]);
  expect(stops.size < 35, 'one stop for each table, not one for each row', [...stops]);
  // Letters: to the panel, down two rows, replay.
  await page.keyboard.press('8');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  const row = await at();
  expect(row.section === 'letters' && row.shows, 'a row of the dead letters', row);
  await page.keyboard.press('Enter');
  await page.keyboard.type('by keys');
  await page.keyboard.press('Enter');
  await until(() => mock.acts.some((act) => act.path.endsWith('/replay') && act.reason === 'by keys'), 'replayed');
  await until(async () => (await text_of(page, 'act-outcome')) !== 'Doing it …', 'done');
  await page.keyboard.press('Escape');
  // Alerts: silence one.
  mock.push({ lists: { alerts: { rows: [scenes.fire_alert(mock.now_ms())] } } });
  await page.locator('#alerts-body tr', { hasText: 'possible-fraud' }).waitFor();
  await page.keyboard.press('4');
  await page.keyboard.press('Enter');
  await page.keyboard.type('known');
  await page.keyboard.press('Enter');
  await until(() => mock.acts.some((act) => act.path === '/api/v1/alerts/silences' && act.query.name === 'possible-fraud' && act.reason === 'known'), 'silenced');
  await page.keyboard.press('Escape');
  // Help, theme, pause.
  await page.keyboard.press('?');
  expect(await page.locator('#help[open]').count() === 1, '? lists the keys');
  await page.keyboard.press('Escape');
  await page.keyboard.press('t');
  expect((await text_of(page, 'theme')).includes('light'), 't changes the theme');
  await page.keyboard.press('p');
  expect((await text_of(page, 'pause')) === 'Go on', 'p pauses');
  await page.keyboard.press('p');
  // On the map: an edge, and its row.
  await page.keyboard.press('5');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  expect((await at()).what.startsWith('TR center-2'), 'from the map to the row', await at());
}));

for (const theme of ['light', 'dark']) {
  test(`contrast is AA and everything has a name, on fire and idle (${theme})`, async () => {
    for (const scene of [scenes.on_fire, scenes.idle]) {
      await on(scene, async ({ page }) => {
        await await_live(page);
        await until(async () => (await level_of(page)) !== 'unknown', 'drawn');
        const low = await page.evaluate(audit.low_contrast);
        expect(low.length === 0, 'contrast', low);
        expect((await page.evaluate(audit.unnamed)).length === 0, 'names', await page.evaluate(audit.unnamed));
      }, { theme });
    }
  });
}

test('nothing is cut off at the side of a phone, a tablet and a desk', () => on(scenes.on_fire, async ({ page }) => {
  await await_live(page);
  for (const width of [360, 390, 768, 1024, 1440, 2200]) {
    await page.setViewportSize({ width, height: 900 });
    await until(async () => (await page.evaluate(() => document.documentElement.scrollWidth)) <= width, `no scrolling sideways at ${width}`, 3);
  }
}));

test(`${memory_seconds} s of full work: memory stays, and it is drawn five times a second`, () => on(scenes.busy, async ({ page, mock }) => {
  await await_live(page);
  const stop = work(mock);
  await page.waitForTimeout(Math.min(10_000, memory_seconds * 500));  // until the bounded things are full, or nearly
  const before = await heap_bytes(page);
  const nodes = await page.evaluate(() => document.querySelectorAll('*').length);
  await page.evaluate(() => { const [view] = window.weir.views; const draw = view.render; window.weirDraws = 0; view.render = function (...all) { ++window.weirDraws; return draw.apply(this, all); }; });
  const first = await page.evaluate(() => window.weir.state.sequence);
  await page.waitForTimeout(memory_seconds * 1000);
  const after = await heap_bytes(page);
  const changes = (await page.evaluate(() => window.weir.state.sequence)) - first;
  const draws = await page.evaluate(() => window.weirDraws);
  stop();
  console.log(`      heap ${before} → ${after} bytes, ${changes} changes, drawn ${draws} times`);
  expect(after - before < heap_growth_max, 'growth of the heap', after - before);
  expect(Math.abs(await page.evaluate(() => document.querySelectorAll('*').length) - nodes) < 40, 'as many elements as before');
  expect(draws > 0 && draws <= changes * 0.8, 'fewer drawings than changes', { draws, changes });
}));

const is_good = await run();
await browser.close();
process.exit(is_good ? 0 : 1);
