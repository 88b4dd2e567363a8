// Steps that both the test and the pictures of the documentation take.
import assert from "node:assert/strict";
import { settle } from "./browser.mjs";

/** Opens the run table of the experiment called EXPERIMENT, else `obesity`, else the first that has two runs. */
export async function openExperiment(page) {
  await page.goto("/");
  await page.getByRole("heading", { name: "Experiments", level: 1 }).waitFor();
  await settle(page);
  const rows = page.getByRole("table", { name: "Experiments" }).locator("tbody tr");
  // Counts are fetched for the rows in view.
  await page.waitForFunction(() =>
    [...document.querySelectorAll("table.list td.number")]
      .filter((cell) => cell.getBoundingClientRect().bottom < innerHeight)
      .every((cell) => cell.textContent !== "…"),
  );
  const wanted = process.env.EXPERIMENT ?? "obesity";
  const found = [];
  for (const row of await rows.all()) {
    const name = (await row.locator("th a").innerText()).trim();
    const runs = parseInt(await row.locator("td.number").innerText(), 10);
    found.push({ name, runs });
  }
  const chosen = found.find(({ name, runs }) => name === wanted && runs >= 2) ?? found.find(({ runs }) => runs >= 2);
  assert.ok(chosen, `no experiment with two runs among ${JSON.stringify(found)}`);
  await page.getByRole("link", { name: chosen.name, exact: true }).click();
  await page.getByRole("heading", { name: chosen.name, level: 1 }).waitFor();
  await page.locator("table.runs tbody tr[data-index]").first().waitFor();
  await settle(page);
  return chosen;
}

/** Clicks the head of a column and waits for the server's order. */
export async function sortBy(page, column, direction) {
  const head = page.locator("table.runs th").filter({ has: page.getByRole("button", { name: column, exact: true }) });
  await head.getByRole("button").click();
  await page.waitForFunction(
    ([title, sort]) =>
      [...document.querySelectorAll("table.runs th[aria-sort]")].some(
        (cell) => cell.getAttribute("aria-sort") === sort && cell.textContent?.includes(title),
      ),
    [column, direction],
  );
  await settle(page);
}

/** The values of a column of the run table, exactly, for the rows at the top level that have one. */
export async function columnValues(page, column) {
  return page.evaluate((title) => {
    const table = document.querySelector("table.runs");
    const heads = [...table.querySelectorAll("thead tr:last-child th")].map((cell) => cell.textContent?.trim() ?? "");
    const at = heads.indexOf(title);
    if (at < 0) throw new Error(`no column ${title} among ${heads.join(", ")}`);
    return [...table.querySelectorAll("tbody tr[data-index]:not(.child)")]
      .map((row) => row.querySelectorAll("td:not(.select-cell)")[at]?.querySelector("[title]")?.getAttribute("title") ?? "")
      .map((text) => parseFloat(text))
      .filter((value) => !Number.isNaN(value));
  }, column);
}

export async function filterBy(page, filter) {
  await page.keyboard.press("/");
  const box = page.getByRole("combobox", { name: "Filter" });
  await box.fill(filter);
  await page.keyboard.press("Escape");
  await box.press("Enter");
  await settle(page);
}
