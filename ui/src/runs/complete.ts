import { columnReference, type KnownKeys } from "./column";

/** A key to put in place of the word under the caret. */
export interface Completion {
  label: string;
  /** The whole filter afterwards, and where the caret then stands. */
  text: string;
  caret: number;
}

const GROUPS = ["metrics.", "params.", "tags.", "attributes.", "dataset."];
const FIXED: Record<string, string[]> = {
  attributes: ["run_id", "run_name", "status", "user_id", "start_time", "end_time", "artifact_uri"],
  dataset: ["name", "digest", "context"],
};
const MOST = 12;

/** Keys that fit the unfinished word before the caret; none inside quotes or when the word is complete. */
export function completions(text: string, caret: number, keys: KnownKeys): Completion[] {
  const before = text.slice(0, caret);
  if (isInQuotes(before)) return [];
  const word = /[\w.`/:-]*$/.exec(before)?.[0] ?? "";
  // A word after an operator is a value, and `AND` is no key.
  if (/(?:[=<>]|\bI?LIKE|\bIN|\bIS(?: NOT)?)\s*[\w.-]*$/i.test(before)) return [];
  const start = caret - word.length;
  const finish = (label: string, inserted: string): Completion => ({
    label,
    text: text.slice(0, start) + inserted + text.slice(caret),
    caret: start + inserted.length,
  });
  const dot = word.indexOf(".");
  if (dot < 0) {
    if (word === "" && before.trim() !== "" && !/\bAND\s+$/i.test(before)) return [];
    return GROUPS.filter((group) => group.startsWith(word.toLowerCase())).map((group) => finish(group, group));
  }
  const group = word.slice(0, dot);
  const part = word.slice(dot + 1).replaceAll("`", "").toLowerCase();
  const list = group in FIXED ? FIXED[group] : group in keys ? keys[group as keyof KnownKeys] : undefined;
  if (list === undefined || list.some((key) => key.toLowerCase() === part)) return [];
  const starting = list.filter((key) => key.toLowerCase().startsWith(part));
  const holding = list.filter((key) => !starting.includes(key) && key.toLowerCase().includes(part));
  return [...starting, ...holding].slice(0, MOST).map((key) => {
    const reference =
      group === "metrics" || group === "params" || group === "tags"
        ? (columnReference({ id: "", group, key }) ?? key)
        : `${group}.${key}`;
    return finish(`${group}.${key}`, `${reference} `);
  });
}

function isInQuotes(text: string): boolean {
  let quote = "";
  for (const letter of text) {
    if (quote === "" && (letter === "'" || letter === '"')) quote = letter;
    else if (letter === quote) quote = "";
  }
  return quote !== "";
}
