import type { TextTable } from "./delimited";

/** How often each actual class was predicted as each class. */
export interface Confusion {
  labels: string[];
  /** `counts[actual][predicted]`, by position in `labels`. */
  counts: number[][];
  total: number;
  /** Share of samples on the diagonal, 0 to 1. */
  agreement: number;
}

const byName = new Intl.Collator("en", { numeric: true }).compare;

/** Counts a table with one row per sample. `undefined` when a column is missing. */
export function countConfusion(table: TextTable, actual: string, predicted: string): Confusion | undefined {
  const actualAt = table.columns.indexOf(actual);
  const predictedAt = table.columns.indexOf(predicted);
  if (actualAt < 0 || predictedAt < 0) return undefined;
  const seen = new Set<string>();
  for (const row of table.rows) {
    seen.add(row[actualAt] ?? "");
    seen.add(row[predictedAt] ?? "");
  }
  const labels = [...seen].sort(byName);
  const position = new Map(labels.map((label, index) => [label, index]));
  const counts = labels.map(() => labels.map(() => 0));
  let diagonal = 0;
  for (const row of table.rows) {
    const a = position.get(row[actualAt] ?? "") ?? 0;
    const p = position.get(row[predictedAt] ?? "") ?? 0;
    const line = counts[a];
    if (line !== undefined) line[p] = (line[p] ?? 0) + 1;
    if (a === p) diagonal += 1;
  }
  const total = table.rows.length;
  return { labels, counts, total, agreement: total === 0 ? 0 : diagonal / total };
}
