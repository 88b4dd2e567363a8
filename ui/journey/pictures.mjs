// Makes the picture of the README: BASE_URL=http://127.0.0.1:5000 npm run pictures
import { join } from "node:path";
import { launch, openPage, picture, root } from "./browser.mjs";
import { openExperiment, sortBy } from "./walk.mjs";

const browser = await launch();
try {
  const { page } = await openPage(browser, { width: 1280, height: 620, scale: 1.5 });
  await openExperiment(page);
  await sortBy(page, "accuracy", "descending");
  const boxes = page.locator("table.runs tbody input[type=checkbox]");
  for (let index = 0; index < Math.min(2, await boxes.count()); index += 1) await boxes.nth(index).check();
  await page.mouse.move(0, 0);
  await page.evaluate(() => document.activeElement?.blur());
  const path = join(root, "docs/images/runs.png");
  await picture(page, path);
  process.stdout.write(`${path}\n`);
} finally {
  await browser.close();
}
