// The dashboard in Chromium on a real central with edges. real.py starts them, and does what is asked for by a line "@ORDER" on stdout; it
// answers each with a line.
import { createInterface } from 'node:readline';
import { await_live, figure, is_light_and_quick, launch, level_of, open, text_of } from './browser.mjs';
import { expect, run, test_alone, until } from './harness.mjs';

const url = process.env.WEIR_PAGE_URL;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function order(what) {
  console.log(`@${what}`);
  const { value } = await lines.next();
  expect(value === 'done', what, value ?? 'nobody is there');
}
const number = (text) => Number(text.replaceAll(',', ''));
const received = async (page) => number(await page.locator('#ledger .term').first().locator('dd').innerText());

const browser = await launch();
// Its certificate is of a CA that this browser has never heard of.
const { page, seen } = await open(browser, url, { ignoreHTTPSErrors: true });

test_alone('central serves a page that is light and there at once', async () => {
  await await_live(page);
  await is_light_and_quick(page, seen);
});
test_alone('live numbers move', async () => {
  await await_live(page);
  await order('send');
  const before = await received(page);
  await until(async () => (await received(page)) > before + 100, 'the ledger goes on');
  expect((await figure(page, 'Edges')).startsWith('3'), 'three edges', await figure(page, 'Edges'));
  await until(async () => (await page.locator('#edges-body tbody tr').count()) === 3, 'and their rows');
  for (const region of ['north', 'south']) expect((await page.locator('#map-body .region-name', { hasText: region }).count()) === 1, `region ${region}`);
});
test_alone('the injected burst becomes an alert and an anomaly', async () => {
  await until(async () => (await text_of(page, 'alerts-body')).includes('one-place-floods'), 'the alert', 30);
  await until(async () => (await page.locator('#anomalies-body tbody tr').count()) > 0, 'the anomaly', 30);
  expect((await page.locator('#windows-pick option').count()) === 3, 'three windows to choose from');
});
test_alone('a dead letter fails again, its rule is mended, and it is replayed from the page', async () => {
  await order('sent');
  const dear = () => page.locator('#letters-body tr', { hasText: 'test/dear' });
  const replay = async () => {
    await dear().getByRole('button', { name: 'Replay' }).click();
    await page.keyboard.type('the rule was wrong');
    await page.keyboard.press('Enter');
    const said = await until(async () => { const text = await text_of(page, 'act-outcome'); return text && text !== 'Doing it …' ? text : ''; }, 'an outcome', 20);
    await page.keyboard.press('Escape');
    return said;
  };
  const first = await replay();
  expect(first.includes('fails still'), 'the rule still stands', first);
  await order('mend');
  const before = await received(page);
  const second = await replay();
  expect(second.startsWith('Applied.'), 'applied', second);
  await until(async () => (await received(page)) === before + 1, 'and stored');
  await until(async () => (await dear().innerText()).includes('replayed'), 'the letter says so');
  expect(!await dear().getByRole('button').isVisible(), 'and cannot be replayed again');
});
test_alone('what edges hold is seen while a lane is on hold, and is gone once it is released', async () => {
  const lane = page.locator('#lanes-body tr[data-row="default"]');
  const act = async (name) => {
    await lane.getByRole('button', { name }).click();
    await page.keyboard.type('a test');
    await page.keyboard.press('Enter');
    await until(async () => (await text_of(page, 'act-outcome')) === (name === 'Hold' ? 'On hold.' : 'Released.'), name);
    await page.keyboard.press('Escape');
  };
  const held = async () => [await figure(page, 'Held at edges'), await page.locator('#edges-body tr[data-row="north-2"] td').nth(4).innerText()];
  await until(async () => (await held()).every((text) => text === '0'), 'nothing is held', 20);
  expect((await lane.locator('td').nth(2).innerText()) === 'durable', 'its class', await lane.innerText());
  await act('Hold');
  await order('spool 240');
  await until(async () => (await held()).every((text) => text === '240'), 'the edge says what it holds', 20);
  await act('Release');
  await until(async () => (await held()).every((text) => text === '0'), 'all of it has come', 20);
});
test_alone('central goes and comes back, and so does the page', async () => {
  await order('stop central');
  await until(async () => (await level_of(page)) === 'blind', 'it says that it is cut off');
  await order('start central');
  await await_live(page, 30);
  await until(async () => (await figure(page, 'Edges')).replace(/\s/g, '') === '3of3', 'the edges are back', 30);
  await until(async () => (await figure(page, 'Residue')) === '0', 'the ledger closes');
});
test_alone('nothing went wrong in the page, and nothing came from elsewhere', async () => {
  expect(seen.errors.length === 0, 'errors', seen.errors);
  expect(seen.outside.length === 0, 'elsewhere', seen.outside);
});

const is_good = await run();
await browser.close();
process.exit(is_good ? 0 : 1);
