import { COMMIT_TAG, type Run } from "../api/run";
import { readDigest } from "../run/dataset";

/** One row of the comparison: a value per run, in the order of the runs. */
export interface TextRow {
  key: string;
  values: (string | undefined)[];
  differs: boolean;
}

export interface MetricRow {
  key: string;
  values: (number | undefined)[];
  differs: boolean;
}

const byName = new Intl.Collator("en", { numeric: true }).compare;

function allKeys(runs: readonly Run[], keysOf: (run: Run) => Iterable<string>): string[] {
  return [...new Set(runs.flatMap((run) => [...keysOf(run)]))].sort(byName);
}

function differ(values: readonly unknown[]): boolean {
  return values.some((value) => !Object.is(value, values[0]));
}

export function paramRows(runs: readonly Run[]): TextRow[] {
  return allKeys(runs, (run) => run.params.keys()).map((key) => {
    const values = runs.map((run) => run.params.get(key));
    return { key, values, differs: differ(values) };
  });
}

/** Metrics of the whole come before those with a dot in their name. */
export function metricRows(runs: readonly Run[]): MetricRow[] {
  const rows = allKeys(runs, (run) => run.metrics.keys()).map((key) => {
    const values = runs.map((run) => run.metrics.get(key)?.value);
    return { key, values, differs: differ(values) };
  });
  return rows.sort((a, b) => Number(a.key.includes(".")) - Number(b.key.includes(".")));
}

/** Code and data: the commit, and the digest of every dataset. */
export function originRows(runs: readonly Run[]): TextRow[] {
  const rows: TextRow[] = [];
  const commits = runs.map((run) => run.tags.get(COMMIT_TAG));
  if (commits.some((commit) => commit !== undefined)) rows.push({ key: "commit", values: commits, differs: differ(commits) });
  for (const name of allKeys(runs, (run) => run.inputs.map((input) => input.name))) {
    const values = runs.map((run) => {
      const input = run.inputs.find((each) => each.name === name);
      return input && readDigest(input);
    });
    rows.push({ key: name, values, differs: differ(values) });
  }
  return rows;
}
