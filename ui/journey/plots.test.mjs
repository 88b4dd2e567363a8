// The page that `plots show` writes, opened as a file: every chart is drawn, and nothing comes from the net.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { launch, root } from "./browser.mjs";

const file = process.env.PLOTS_PAGE;
if (!file) throw new Error("set PLOTS_PAGE to a page that `plots show` wrote");
const expected = Number(process.env.PLOTS_CHARTS);

/** Opens the page without a network and gives what is seen on it. */
async function opened(browser, { theme, width, picture }) {
  const context = await browser.newContext({ colorScheme: theme, viewport: { width, height: 900 }, offline: true });
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("request", (request) => {
    if (!/^(file|data|blob):/.test(request.url())) complaints.push(`asked ${request.url()}`);
  });
  await page.goto(pathToFileURL(file).href);
  await page.waitForSelector("body[data-drawn]");
  const seen = await page.evaluate(() => ({
    charts: [...document.querySelectorAll("section.plot .chart")].map((chart) => ({
      name: chart.parentElement.querySelector("h2").textContent,
      // What stands for a value: lines and points, bars, cells.
      marks: chart.querySelectorAll("svg .role-mark path, svg .role-mark rect, svg .role-mark text").length,
      labels: chart.querySelectorAll("svg .role-axis text").length,
      failed: chart.classList.contains("failed"),
    })),
    pictures: [...document.querySelectorAll("figure img")].map((image) => image.naturalWidth),
    overflow: document.documentElement.scrollWidth - window.innerWidth,
    background: getComputedStyle(document.body).backgroundColor,
  }));
  const target = resolve(root, "target/screenshots", picture);
  mkdirSync(dirname(target), { recursive: true });
  await page.screenshot({ path: target, fullPage: true });
  await context.close();
  return { ...seen, complaints };
}

test("every chart is drawn, wide and narrow, light and dark", async () => {
  assert.ok(!/<(script|link|img)[^>]*(src|href)="https?:/.test(readFileSync(file, "utf8")), "the page carries everything");
  const browser = await launch();
  try {
    const light = await opened(browser, { theme: "light", width: 1280, picture: "plots-light.png" });
    const dark = await opened(browser, { theme: "dark", width: 390, picture: "plots-dark-narrow.png" });
    for (const seen of [light, dark]) {
      assert.deepEqual(seen.complaints, []);
      assert.equal(seen.charts.length, expected);
      for (const chart of seen.charts) {
        assert.ok(!chart.failed, `${chart.name} is drawn`);
        assert.ok(chart.marks > 0, `${chart.name} has marks`);
        assert.ok(chart.labels > 0, `${chart.name} has axes`);
      }
      assert.ok(seen.pictures.length > 0 && seen.pictures.every((width) => width > 0), "pictures are shown");
      assert.ok(seen.overflow <= 0, "the page is not wider than the window");
    }
    assert.notEqual(light.background, dark.background);
  } finally {
    await browser.close();
  }
});
