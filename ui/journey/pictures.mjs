// Makes the picture of the README: BASE_URL=http://127.0.0.1:5000 npm run pictures
import { join } from "node:path";
import { launch, openPage, picture, root } from "./browser.mjs";
import { openExperiment, sortBy } from "./walk.mjs";

const browser = await launch();
try {
  const { page } = await openPage(browser, { width: 1280, height: 620, scale: 1.5 });
  await openExperiment(page);
  await sortBy(page, "accuracy", "descending");
  const boxes = page.locator("table.runs tbody tr:not(.child) input[type=checkbox]");
  for (let index = 0; index < Math.min(2, await boxes.count()); index += 1) await boxes.nth(index).check();
  // The best run with its stages.
  await page.locator("button.expander").first().click();
  await page.locator("tr.child").first().waitFor();
  await page.mouse.move(0, 0);
  await page.evaluate(() => document.activeElement?.blur());
  const path = join(root, "docs/images/runs.png");
  // With few runs the picture ends below them.
  const end = await page.locator(".table-note").boundingBox();
  const height = Math.min(620, Math.ceil((end?.y ?? 600) + (end?.height ?? 0) + 16));
  await picture(page, path, { clip: { x: 0, y: 0, width: 1280, height } });
  process.stdout.write(`${path}\n`);
} finally {
  await browser.close();
}
