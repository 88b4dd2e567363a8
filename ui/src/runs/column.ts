import { COMMIT_TAG, runDuration, type Run } from "../api/run";

// A column is named as the filter grammar names it: `metrics.accuracy`, `params.seed`, `tags.team`, `attributes.start_time`.
export type ColumnGroup = "attributes" | "metrics" | "params" | "tags";

export interface Column {
  id: string;
  group: ColumnGroup;
  key: string;
}

export const GROUP_NAMES: Record<ColumnGroup, string> = {
  attributes: "Run",
  metrics: "Metrics",
  params: "Parameters",
  tags: "Tags",
};

/** Attributes beside the run's name, which is always shown. */
export const ATTRIBUTES: Record<string, string> = {
  start_time: "Started",
  duration: "Duration",
  commit: "Commit",
  user_id: "User",
  run_id: "Run id",
};

export function column(group: ColumnGroup, key: string): Column {
  return { id: `${group}.${key}`, group, key };
}

export function readColumn(id: string): Column | undefined {
  const dot = id.indexOf(".");
  const group = id.slice(0, dot);
  const key = id.slice(dot + 1);
  if (dot < 0 || key === "" || !(group in GROUP_NAMES)) return undefined;
  if (group === "attributes" && !(key in ATTRIBUTES) && key !== "run_name") return undefined;
  return { id, group: group as ColumnGroup, key };
}

export function columnTitle({ group, key }: Column): string {
  if (group === "attributes") return key === "run_name" ? "Run" : (ATTRIBUTES[key] ?? key);
  return key;
}

/** The key as `order_by` and filters take it: in backticks when it holds more than words and dots. */
export function columnReference({ group, key }: Column): string | undefined {
  if (group === "attributes") {
    if (key === "duration") return undefined;
    if (key === "commit") return `tags.\`${COMMIT_TAG}\``;
    return `attributes.${key}`;
  }
  return /^\w+(\.\w+)*$/.test(key) ? `${group}.${key}` : `${group}.\`${key}\``;
}

/** What the cell shows, before formatting. */
export function columnValue(run: Run, { group, key }: Column, now: number): string | number | undefined {
  switch (group) {
    case "metrics":
      return run.metrics.get(key)?.value;
    case "params":
      return run.params.get(key);
    case "tags":
      return run.tags.get(key);
    case "attributes":
      switch (key) {
        case "run_name":
          return run.name;
        case "start_time":
          return run.startTime;
        case "duration":
          return runDuration(run, now);
        case "commit":
          return run.tags.get(COMMIT_TAG);
        case "user_id":
          return run.user || undefined;
        default:
          return run.id;
      }
  }
}

const byName = new Intl.Collator("en", { numeric: true }).compare;

export interface KnownKeys {
  metrics: string[];
  params: string[];
  tags: string[];
}

/** Every key that some of the runs has, sorted. System tags come only when they are of use to a reader. */
export function knownKeys(runs: readonly Run[]): KnownKeys {
  const metrics = new Set<string>();
  const params = new Set<string>();
  const tags = new Set<string>();
  for (const run of runs) {
    for (const key of run.metrics.keys()) metrics.add(key);
    for (const key of run.params.keys()) params.add(key);
    for (const key of run.tags.keys()) tags.add(key);
  }
  const sorted = (keys: Set<string>) => [...keys].sort(byName);
  return { metrics: sorted(metrics), params: sorted(params), tags: sorted(tags) };
}

const FIRST_METRICS = 5;
const FIRST_PARAMS = 5;

/**
 * Columns for someone who has not chosen any: metrics of the whole before those of a class (`recall.cat`), params that
 * differ between the runs before those that are the same everywhere.
 */
export function defaultColumns(runs: readonly Run[]): Column[] {
  const keys = knownKeys(runs);
  const whole = keys.metrics.filter((key) => !/[./]/.test(key));
  const metrics = [...whole, ...keys.metrics.filter((key) => !whole.includes(key))];
  const shown = whole.length > 0 ? whole : metrics;
  const differing = keys.params.filter((key) => new Set(runs.filter((run) => run.params.has(key)).map((run) => run.params.get(key))).size > 1);
  const params = [...differing, ...keys.params.filter((key) => !differing.includes(key))];
  return [
    column("attributes", "start_time"),
    column("attributes", "duration"),
    ...shown.slice(0, FIRST_METRICS).map((key) => column("metrics", key)),
    ...params.slice(0, FIRST_PARAMS).map((key) => column("params", key)),
    column("attributes", "commit"),
  ];
}

/**
 * Columns in the order of the table: when, metrics, params, tags, then what identifies the run. Where only two columns
 * fit beside the name, the metrics come first.
 */
export function arrangeColumns(columns: readonly Column[], narrow = false): Column[] {
  const place = (entry: Column): number => {
    if (entry.group === "attributes") return !narrow && entry.key === "start_time" ? 0 : !narrow && entry.key === "duration" ? 1 : 5;
    return entry.group === "metrics" ? 2 : entry.group === "params" ? 3 : 4;
  };
  return columns.map((entry, index) => ({ entry, index })).sort((a, b) => place(a.entry) - place(b.entry) || a.index - b.index).map(({ entry }) => entry);
}
