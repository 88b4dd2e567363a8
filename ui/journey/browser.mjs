// Debian's Chromium by playwright-core, watched: what the page says to the console and whom it talks to is part of the test.
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** Address of a running server, without a slash at the end. */
export function baseUrl() {
  const url = process.env.BASE_URL;
  if (!url) throw new Error("set BASE_URL to the address of a running server, such as http://127.0.0.1:5000");
  return url.replace(/\/+$/, "");
}

function chromiumPath() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    try {
      return execFileSync("sh", ["-c", 'command -v "$1"', "sh", name], { encoding: "utf8" }).trim();
    } catch {
      // Try the next name.
    }
  }
  throw new Error("no Chromium on PATH; install it (apt install chromium) or set CHROMIUM");
}

export function launch() {
  return chromium.launch({
    executablePath: chromiumPath(),
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--hide-scrollbars",
    ],
  });
}

/** Opens a page that writes down every complaint; `complaints` must be empty at the end. */
export async function openPage(browser, { theme = "light", width = 1440, height = 860, scale = 1 } = {}) {
  const context = await browser.newContext({
    baseURL: baseUrl(),
    colorScheme: theme,
    viewport: { width, height },
    deviceScaleFactor: scale,
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  const complaints = [];
  // Answers that a step provokes on purpose, such as a refused filter: `{status, path}`.
  const expected = [];
  const home = new URL(baseUrl()).origin;
  page.on("pageerror", (error) => complaints.push(`error in the page: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() !== "error" && message.type() !== "warning") return;
    const where = message.location().url;
    const wanted = expected.some(({ status, path }) => message.text().includes(String(status)) && where.includes(path));
    if (!wanted) complaints.push(`console ${message.type()}: ${message.text()} (${where})`);
  });
  const state = { open: 0, since: Date.now() };
  traffic.set(page, state);
  const count = (by) => () => {
    state.open += by;
    state.since = Date.now();
  };
  page.on("request", count(1));
  page.on("requestfinished", count(-1));
  page.on("requestfailed", count(-1));
  page.on("request", (request) => {
    const url = request.url();
    if (/^(data|blob|about):/.test(url)) return;
    if (new URL(url).origin !== home) complaints.push(`request to another host: ${url}`);
  });
  return { page, complaints, expected };
}

/** Requests under way and the time of the last change, by page. */
const traffic = new WeakMap();
const QUIET = 200;
const PATIENCE = 20_000;

/**
 * Waits until nothing has been asked for a moment, and nothing is being loaded or drawn. Playwright's `networkidle` is
 * about the first loading of a document; the app fetches after it.
 */
export async function settle(page) {
  const end = Date.now() + PATIENCE;
  const state = traffic.get(page);
  state.since = Date.now();
  while (state.open > 0 || Date.now() - state.since < QUIET) {
    if (Date.now() > end) throw new Error(`${state.open} requests without an answer after ${PATIENCE / 1000} s`);
    await new Promise((done) => setTimeout(done, 20));
  }
  await page.waitForFunction(() => document.querySelector(".loading, .stale") === null);
  await page.evaluate(() => document.fonts.ready);
}

export async function picture(page, path, options = {}) {
  await settle(page);
  mkdirSync(dirname(path), { recursive: true });
  await page.screenshot({ path, animations: "disabled", ...options });
}
