import { readIfThere } from "../api/artifact";
import { CACHED_SAVED_TAG, STAGE_TAG, isCached, runDuration, type Run } from "../api/run";

export type StageStatus = "unchanged" | "frozen" | "ran" | "cached" | "failed" | "running" | "waiting";

/** A stage of a pipeline run, with the run that stands for it when it did not stay as it was. */
export interface StageRow {
  name: string;
  status: StageStatus;
  run?: Run;
  /** Seconds the stage took; for a cached one, what it did not have to take. */
  seconds?: number;
}

const FILE = "matraz/stages.json";
const LIMIT = 4_000_000;
const KNOWN = new Set<string>(["unchanged", "frozen", "ran", "cached", "failed", "waiting"]);

/** The recorder's list of all stages, which it writes when the pipeline has ended; none before. */
export function loadStageList(runId: string, signal?: AbortSignal): Promise<string | null> {
  return readIfThere(runId, FILE, LIMIT, signal);
}

function statusOf(run: Run): StageStatus {
  if (run.status === "FAILED" || run.status === "KILLED") return "failed";
  if (run.status !== "FINISHED") return "running";
  return isCached(run) ? "cached" : "ran";
}

/** Joins the list with the runs below the pipeline run; without a list there are only those. */
export function stageRows(list: string | null, children: readonly Run[], now: number): StageRow[] {
  const fromRun = (run: Run): StageRow => {
    const status = statusOf(run);
    const length = runDuration(run, now);
    const took = length === undefined ? undefined : length / 1000;
    const saved = run.tags.get(CACHED_SAVED_TAG);
    return {
      name: run.tags.get(STAGE_TAG) ?? run.name,
      status,
      run,
      seconds: status !== "cached" ? took : saved === undefined ? undefined : Number(saved),
    };
  };
  const listed = list === null ? undefined : readStageList(list);
  if (listed === undefined) return children.map(fromRun);
  const rows = listed.map((entry): StageRow => {
    const run =
      children.find((child) => child.id === entry.runId) ??
      children.find((child) => child.tags.get(STAGE_TAG) === entry.name);
    return { name: entry.name, status: entry.status, run, seconds: entry.seconds };
  });
  const shown = new Set(rows.map((row) => row.run?.id));
  return [...rows, ...children.filter((child) => !shown.has(child.id)).map(fromRun)];
}

function readStageList(json: string) {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed)) return undefined;
  const rows: { name: string; status: StageStatus; runId?: string; seconds?: number }[] = [];
  for (const item of parsed as Record<string, unknown>[]) {
    const { stage, status, run_id, seconds } = item ?? {};
    if (typeof stage !== "string" || typeof status !== "string" || !KNOWN.has(status)) continue;
    rows.push({
      name: stage,
      status: status as StageStatus,
      runId: typeof run_id === "string" ? run_id : undefined,
      seconds: typeof seconds === "number" ? seconds : undefined,
    });
  }
  return rows;
}
