// Walks the app in a real browser against a running server with data: BASE_URL=http://127.0.0.1:5000 npm run journey
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { baseUrl, launch, openPage, picture, root, settle } from "./browser.mjs";
import { columnValues, filterBy, openExperiment, sortBy } from "./walk.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = join(root, "target/screenshots");
let browser;
let page;
let complaints;
let expected;

before(async () => {
  browser = await launch();
  ({ page, complaints, expected } = await openPage(browser));
  page.setDefaultTimeout(20_000);
});
after(async () => browser?.close());

/** What every page owes: a title, one heading, and no fault that axe can find. */
async function assertSound(what, where = page) {
  await settle(where);
  assert.match(await where.title(), /\S.* · Matraz$/, `${what} has a title`);
  assert.equal(await where.locator("h1").count(), 1, `${what} has one main heading`);
  await where.evaluate(axe);
  const { violations } = await where.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  const said = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
  assert.deepEqual(said, [], `${what} is accessible`);
}

async function api(path) {
  const response = await fetch(`${baseUrl()}/ajax-api/2.0/mlflow/${path}`);
  assert.equal(response.status, 200, path);
  return response.json();
}

let experimentAddress = "";
let runAddress = "";
let compareAddress = "";

test("the start page lists the experiments", async () => {
  await openExperiment(page);
  experimentAddress = page.url();
  await page.goBack();
  await page.waitForURL("**/experiments");
  await assertSound("the list of experiments");
  await picture(page, join(shots, "experiments-light.png"));
  await page.goto(experimentAddress);
  await page.locator("table.runs tbody tr[data-index]").first().waitFor();
});

test("the run table sorts by accuracy, on the server", async () => {
  await assertSound("the run table");
  const asked = page.waitForRequest(
    (request) => request.url().endsWith("/runs/search") && (request.postData() ?? "").includes("metrics.accuracy DESC"),
  );
  await sortBy(page, "accuracy", "descending");
  await asked;
  const falling = await columnValues(page, "accuracy");
  assert.ok(falling.length >= 2, `accuracies of two runs, got ${falling}`);
  assert.deepEqual(falling, [...falling].sort((a, b) => b - a));
  if (new Set(falling).size > 1) {
    const best = page.locator("table.runs .best-mark", { hasText: String(falling[0]).slice(0, 5) });
    assert.ok((await best.count()) >= 1, "the best accuracy is marked");
  }
  await picture(page, join(shots, "runs-light.png"));
  await sortBy(page, "accuracy", "ascending");
  const rising = await columnValues(page, "accuracy");
  assert.deepEqual(rising, [...rising].sort((a, b) => a - b));
  assert.match(page.url(), /sort=metrics\.accuracy/);
});

test("a pipeline run opens to its stages", async () => {
  const expander = page.locator("button.expander").first();
  await expander.click();
  await page.locator("tr.child a").first().waitFor();
  await settle(page);
  const stages = await page.locator("tr.child a").allInnerTexts();
  assert.ok(stages.length >= 1, "stages appear below the run");
  await expander.click();
  assert.equal(await page.locator("tr.child").count(), 0);
});

test("a filter narrows the table", async () => {
  await filterBy(page, "metrics.accuracy > 0.8");
  const values = await columnValues(page, "accuracy");
  assert.ok(values.length >= 2, "two runs are better than 0.8");
  assert.ok(values.every((value) => value > 0.8), `all above 0.8: ${values}`);
  const rows = await page.locator("table.runs tbody tr[data-index]").count();
  assert.equal(rows, values.length, "no run without an accuracy is left");
});

test("a wrong filter shows what is wrong, in place", async () => {
  expected.push({ status: 400, path: "/runs/search" });
  await filterBy(page, "metrics.accuracy > abc");
  const fault = page.locator(".filter-fault");
  await fault.waitFor();
  assert.match(await fault.locator("p").innerText(), /\S{3,}/);
  assert.match(await fault.innerText(), /abc[\s\S]*\^/, "the place is pointed at");
  assert.equal(await page.getByRole("combobox", { name: "Filter" }).getAttribute("aria-invalid"), "true");
  await assertSound("the run table with a wrong filter");
  await picture(page, join(shots, "filter-error-light.png"));
  await filterBy(page, "metrics.accuracy > 0.8");
  assert.equal(await fault.count(), 0);
  expected.pop();
});

test("columns can be chosen and stay chosen", async () => {
  await page.getByRole("button", { name: "Columns" }).click();
  const dialog = page.getByRole("dialog", { name: "Columns" });
  await dialog.getByLabel("User", { exact: true }).check();
  await picture(page, join(shots, "columns-light.png"));
  await page.keyboard.press("Escape");
  await page.reload();
  await page.getByRole("button", { name: "User", exact: true }).waitFor();
  await page.getByRole("button", { name: "Columns" }).click();
  await dialog.getByRole("button", { name: "Back to the default columns" }).click();
  await page.keyboard.press("Escape");
  assert.equal(await page.getByRole("button", { name: "User", exact: true }).count(), 0);
});

test("the keyboard walks the rows and selects", async () => {
  await settle(page);
  await page.locator("h1").click();
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  assert.equal(await page.locator("table.runs tr.chosen").count(), 2);
  await page.getByRole("button", { name: "Compare (2)" }).waitFor();
});

test("two runs are compared", async () => {
  await page.keyboard.press("c");
  await page.getByRole("heading", { name: "Compare 2 runs" }).waitFor();
  compareAddress = page.url();
  await settle(page);
  const table = page.getByRole("table", { name: "Runs side by side" });
  const accuracy = table.locator("tr").filter({ has: page.getByRole("rowheader", { name: "accuracy", exact: true }) });
  assert.equal(await accuracy.locator("td").count(), 2);
  for (const cell of await accuracy.locator("td").allInnerTexts()) assert.match(cell, /0\.\d|1/);
  const all = await table.locator("tbody tr").count();
  await page.getByLabel("Only differences").check();
  assert.ok((await table.locator("tbody tr").count()) < all, "rows that are the same are hidden");
  await page.getByLabel("Only differences").uncheck();
  await assertSound("the comparison");
  await picture(page, join(shots, "compare-light.png"), { fullPage: true });
});

test("the run page tells what the run was", async () => {
  await page.getByRole("table", { name: "Runs side by side" }).locator("thead a").first().click();
  await page.waitForURL("**/runs/*");
  runAddress = page.url();
  await settle(page);
  const id = runAddress.split("/").at(-1);
  const { run } = await api(`runs/get?run_id=${id}`);
  await page.getByRole("heading", { name: run.info.run_name, level: 1 }).waitFor();
  await page.getByText("Finished").first().waitFor();
  for (const { key } of run.data.params) await page.getByRole("rowheader", { name: key, exact: true }).first().waitFor();
  const accuracy = run.data.metrics.find(({ key }) => key === "accuracy");
  const row = page.getByRole("region", { name: "Metrics" }).locator("tr").filter({ hasText: /^accuracy/ });
  assert.equal(Number(await row.locator("[title]").last().getAttribute("title")), accuracy.value);
  for (const { dataset } of run.inputs?.dataset_inputs ?? []) {
    await page.getByRole("region", { name: "Data" }).getByText(dataset.name, { exact: true }).first().waitFor();
  }
  const stages = page.getByRole("region", { name: "Stages" }).locator("li");
  assert.ok((await stages.count()) >= 1, "the pipeline's stages are listed");
  await page.getByRole("region", { name: "Lineage" }).getByText("Behind it").waitFor();
  await page.getByRole("region", { name: "Lineage" }).getByRole("link").first().waitFor();
  await assertSound("the run page");
  await picture(page, join(shots, "run-light.png"), { fullPage: true });
});

test("data lead to the runs that read them", async () => {
  await page.getByRole("region", { name: "Data" }).getByRole("link").first().click();
  await page.waitForURL("**/data/*");
  await page.getByRole("region", { name: "Lineage" }).getByRole("link", { name: /run / }).first().waitFor();
  await assertSound("the data page");
  await picture(page, join(shots, "data-light.png"));
  await page.goBack();
  await page.waitForURL("**/runs/*");
  await settle(page);
});

test("metrics are shown", async () => {
  await page.getByRole("link", { name: "Metrics", exact: true }).click();
  await page.waitForURL("**/metrics");
  await page.locator(".tile-value").first().waitFor();
  await page.getByText("accuracy", { exact: true }).first().waitFor();
  await assertSound("the metrics");
  await picture(page, join(shots, "metrics-light.png"));
});

test("plots are drawn from the run's artifacts", async () => {
  await page.getByRole("link", { name: "Plots", exact: true }).click();
  await page.waitForURL("**/plots");
  const matrix = page.getByRole("table", { name: /rows are actual classes/ });
  await matrix.waitFor();
  await settle(page);
  const cells = await matrix.locator("tbody td").allInnerTexts();
  const sum = cells.reduce((total, text) => total + Number(text), 0);
  const id = runAddress.split("/").at(-1);
  const file = await fetch(`${baseUrl()}/get-artifact?run_id=${id}&path=plots%2Fconfusion.csv`);
  const samples = (await file.text()).trim().split("\n").length - 1;
  assert.equal(sum, samples, "every sample is counted once");
  assert.ok((await page.locator(".bars tbody tr").count()) >= 3, "importance has bars");
  await assertSound("the plots");
  await picture(page, join(shots, "plots-light.png"), { fullPage: true });
});

test("artifacts are listed and previewed as text", async () => {
  await page.getByRole("link", { name: "Artifacts", exact: true }).click();
  await page.waitForURL("**/artifacts");
  const tree = page.getByRole("navigation", { name: "Files" });
  await tree.getByRole("button", { name: "plots", exact: true }).click();
  await tree.getByRole("button", { name: /^importance\.csv/ }).click();
  const table = page.getByRole("region", { name: "plots/importance.csv" }).getByRole("table");
  await table.waitFor();
  assert.deepEqual(await table.locator("thead th").allInnerTexts(), ["feature", "importance"]);
  await tree.getByRole("button", { name: "matraz", exact: true }).click();
  await tree.getByRole("button", { name: /^plots\.json/ }).click();
  await page.locator("pre.text").waitFor();
  assert.ok(Array.isArray(JSON.parse(await page.locator("pre.text").innerText())), "JSON is shown as text");
  await assertSound("the artifacts");
  await picture(page, join(shots, "artifacts-light.png"));
});

test("models lead to their versions and back to the run", async () => {
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Models" }).click();
  await page.getByRole("heading", { name: "Models", level: 1 }).waitFor();
  const row = page.getByRole("table", { name: "Registered models" }).locator("tbody tr").filter({ hasText: "@champion" }).first();
  await row.waitFor();
  await assertSound("the list of models");
  await picture(page, join(shots, "models-light.png"));
  const name = (await row.locator("th a").innerText()).trim();
  await row.locator("th a").click();
  await page.getByRole("heading", { name, level: 1 }).waitFor();
  const versions = page.getByRole("table", { name: `Versions of ${name}` }).locator("tbody tr");
  await versions.first().waitFor();
  const champion = versions.filter({ hasText: "@champion" });
  assert.equal(await champion.count(), 1, "one version is the champion");
  await page.getByText(`matraz models serve -m models:/${name}@champion`).waitFor();
  await assertSound("the model page");
  await picture(page, join(shots, "model-light.png"));
  await champion.locator("th a").click();
  await page.getByRole("heading", { name: /^Version \d+$/ }).waitFor();
  await page.getByRole("region", { name: "Run" }).getByRole("link").first().waitFor();
  const lineage = page.getByRole("region", { name: "Lineage" });
  await lineage.getByText("@champion").waitFor();
  await lineage.getByRole("link", { name: /^pipeline run / }).first().waitFor();
  await assertSound("the version page");
  await picture(page, join(shots, "version-light.png"), { fullPage: true });
  await page.getByRole("region", { name: "Run" }).getByRole("link").first().click();
  await page.waitForURL("**/experiments/*/runs/*");
});

test("an experiment is made, renamed and deleted; empty, it says what to type", async () => {
  const name = `journey ${Date.now()}`;
  await page.goto("/experiments");
  await page.getByRole("button", { name: "New experiment" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill(name);
  await page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name, level: 1 }).waitFor();
  await page.getByText("matraz repro", { exact: true }).waitFor();
  await page.getByText(`mlflow.set_tracking_uri("${new URL(baseUrl()).origin}")`).waitFor();
  await assertSound("an empty experiment");
  await picture(page, join(shots, "empty-light.png"));
  await page.getByRole("button", { name: `Rename ${name}` }).click();
  await page.getByRole("dialog").getByLabel("Name").fill(`${name} again`);
  await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
  await page.getByRole("heading", { name: `${name} again`, level: 1 }).waitFor();
  await page.getByRole("button", { name: `Delete ${name} again` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.waitForURL("**/experiments");
  await settle(page);
  assert.equal(await page.getByRole("link", { name: `${name} again` }).count(), 0);
});

test("addresses that MLflow's client prints lead to the same pages", async () => {
  const { pathname } = new URL(runAddress);
  await page.goto("about:blank");
  await page.goto(`/#${pathname}`);
  await page.waitForURL(`**${pathname}`);
  await page.locator("h1").waitFor();
});

test("what is not there is said so", async () => {
  expected.push({ status: 404, path: "/ajax-api/" });
  await page.goto(`${new URL(experimentAddress).pathname}/runs/${"0".repeat(32)}`);
  await page.getByText("There is no run here").waitFor();
  await picture(page, join(shots, "missing-light.png"));
  await page.goto("/models/no-such-model");
  await page.getByText("There is no model here").waitFor();
  expected.pop();
});

test("the same pages in the dark and on a narrow screen", async () => {
  const addresses = [
    ["experiments", "/experiments"],
    ["runs", `${experimentAddress}?sort=-metrics.accuracy`],
    ["run", runAddress],
    ["plots", `${runAddress}/plots`],
    ["artifacts", `${runAddress}/artifacts?path=plots/importance.csv`],
    ["compare", compareAddress],
    ["models", "/models"],
  ];
  for (const [theme, width, height] of [
    ["dark", 1440, 860],
    ["light", 380, 780],
  ]) {
    const other = await openPage(browser, { theme, width, height });
    for (const [name, address] of addresses) {
      await other.page.goto(address);
      await other.page.locator("h1").waitFor();
      await assertSound(`${name}, ${theme}, ${width} wide`, other.page);
      const overflow = await other.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${name} fits ${width} pixels, ${overflow} too many`);
      const file = `${name}-${width < 600 ? "narrow" : theme}.png`;
      await picture(other.page, join(shots, file), { fullPage: width < 600 });
    }
    assert.deepEqual(other.complaints, []);
    await other.page.context().close();
  }
});

test("the theme can be chosen and stays", async () => {
  await page.goto("/experiments");
  await page.getByRole("button", { name: /^Colours: as the system/ }).click();
  await page.getByRole("button", { name: /^Colours: light/ }).click();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.reload();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.getByRole("button", { name: /^Colours: dark/ }).click();
});

test("nothing complained, and nothing was fetched from elsewhere", () => {
  assert.deepEqual(complaints, []);
});
