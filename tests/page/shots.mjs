// Pictures of the page in every scene, for a person to look at: tests/page/run BUILD_DIR shots.mjs DIR
import { await_live, launch, open } from './browser.mjs';
import { MockCentral } from './mock_central.mjs';
import * as scenes from './scenes.mjs';

const directory = process.argv[2] ?? '.';
const wanted = [['idle', 'light', 1440], ['busy', 'dark', 1440], ['busy', 'light', 1440], ['on_fire', 'dark', 1440], ['on_fire', 'light', 1440], ['on_fire', 'dark', 390], ['busy', 'light', 390], ['busy', 'dark', 1024]];
const browser = await launch();
for (const [scene, theme, width] of wanted) {
  const mock = await new MockCentral().listen();
  scenes[scene](mock);
  const { page, context } = await open(browser, `http://127.0.0.1:${mock.port}/`, { theme, width, height: 900 });
  await await_live(page);
  for (let n = 0; n < 40; ++n) {
    if (scene === 'busy') mock.push(scenes.step(n, mock.now_ms()));
    else if (n % 10 === 0) mock.beat();
    await page.waitForTimeout(100);
  }
  await page.screenshot({ path: `${directory}/${scene}-${theme}-${width}.png`, fullPage: true });
  await context.close();
  await mock.close();
}
await browser.close();
