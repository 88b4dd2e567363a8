import { filterLiteral, get, number, pair, post, type JsonDouble, type Pair } from "./client";

export type RunStatus = "RUNNING" | "SCHEDULED" | "FINISHED" | "FAILED" | "KILLED";

/** A dataset that went into a run, or came out of one of its stages. */
export interface DatasetInput {
  name: string;
  digest: string;
  sourceType: string;
  source: string;
  profile?: string;
  /** Tag `mlflow.data.context`: what the run used it for. */
  context?: string;
}

export interface LatestMetric {
  value: number;
  step: number;
  timestamp: number;
}

export interface Run {
  id: string;
  experimentId: string;
  name: string;
  status: RunStatus;
  user: string;
  /** Milliseconds since the epoch; undefined when the client sent none. */
  startTime?: number;
  endTime?: number;
  artifactUri?: string;
  deleted: boolean;
  params: ReadonlyMap<string, string>;
  metrics: ReadonlyMap<string, LatestMetric>;
  tags: ReadonlyMap<string, string>;
  inputs: DatasetInput[];
}

/** A run as it travels. */
export interface RunMessage {
  info: {
    run_id?: string;
    run_uuid?: string;
    experiment_id: string;
    run_name?: string;
    user_id?: string;
    status?: RunStatus;
    start_time?: number;
    end_time?: number;
    artifact_uri?: string;
    lifecycle_stage?: string;
  };
  data?: {
    metrics?: { key: string; value: JsonDouble; timestamp?: number; step?: number }[];
    params?: Pair[];
    tags?: Pair[];
  };
  inputs?: {
    dataset_inputs?: {
      tags?: Pair[];
      dataset: { name: string; digest: string; source_type?: string; source?: string; profile?: string };
    }[];
  };
}

export function readRun(message: RunMessage): Run {
  const { info, data, inputs } = message;
  const id = info.run_id ?? info.run_uuid ?? "";
  const tags = new Map((data?.tags ?? []).map((tag) => [tag.key, tag.value]));
  return {
    id,
    experimentId: info.experiment_id,
    name: info.run_name || tags.get("mlflow.runName") || id.slice(0, 8),
    status: info.status ?? "RUNNING",
    user: tags.get("mlflow.user") ?? info.user_id ?? "",
    // A start of 0 is how "never sent" travels.
    startTime: info.start_time || undefined,
    endTime: info.end_time || undefined,
    artifactUri: info.artifact_uri,
    deleted: info.lifecycle_stage === "deleted",
    params: new Map((data?.params ?? []).map((param) => [param.key, param.value])),
    metrics: new Map(
      (data?.metrics ?? []).map((metric) => [
        metric.key,
        { value: number(metric.value), step: metric.step ?? 0, timestamp: metric.timestamp ?? 0 },
      ]),
    ),
    tags,
    inputs: (inputs?.dataset_inputs ?? []).map(({ dataset, tags: inputTags }) => ({
      name: dataset.name,
      digest: dataset.digest,
      sourceType: dataset.source_type ?? "",
      source: dataset.source ?? "",
      profile: dataset.profile,
      context: pair(inputTags, "mlflow.data.context"),
    })),
  };
}

/** Milliseconds between start and end, or until `now` while the run goes on. */
export function runDuration(run: Run, now: number): number | undefined {
  if (run.startTime === undefined) return undefined;
  if (run.endTime !== undefined) return Math.max(0, run.endTime - run.startTime);
  return run.status === "RUNNING" ? Math.max(0, now - run.startTime) : undefined;
}

/** Tags by which Matraz and MLflow tie runs together. */
export const PARENT_TAG = "mlflow.parentRunId";
export const KIND_TAG = "matraz.kind";
export const STAGE_TAG = "matraz.stage";
export const CACHED_TAG = "matraz.cached";
/** On a cached stage: the run that computed the outputs, and the seconds that took. */
export const CACHED_FROM_TAG = "matraz.cached.run_id";
export const CACHED_SAVED_TAG = "matraz.cached.saved_seconds";
export const DIRTY_TAG = "matraz.git.dirty";
export const ERROR_TAG = "matraz.error";
export const EXIT_CODE_TAG = "matraz.exit_code";
export const PEAK_MEMORY_TAG = "matraz.peak_memory_bytes";
export const HOST_TAG = "matraz.host";
export const GATE_TAG = "matraz.gate";
export const GATE_RULES_TAG = "matraz.gate.rules";
export const COMMIT_TAG = "mlflow.source.git.commit";

export function isPipeline(run: Run): boolean {
  return run.tags.get(KIND_TAG) === "pipeline";
}

/** True when the stage's outputs came from the run cache. */
export function isCached(run: Run): boolean {
  return run.tags.get(CACHED_TAG) === "true";
}

export interface RunSearch {
  experimentId: string;
  filter?: string;
  orderBy?: string;
  pageToken?: string;
  pageSize?: number;
  deleted?: boolean;
}

export interface RunPage {
  runs: Run[];
  nextPageToken?: string;
}

export async function searchRuns(search: RunSearch, signal?: AbortSignal): Promise<RunPage> {
  const answer = await post<{ runs?: RunMessage[]; next_page_token?: string }>(
    "runs/search",
    {
      experiment_ids: [search.experimentId],
      filter: search.filter,
      order_by: search.orderBy ? [search.orderBy] : undefined,
      max_results: search.pageSize ?? 200,
      page_token: search.pageToken,
      run_view_type: search.deleted ? "DELETED_ONLY" : "ACTIVE_ONLY",
    },
    signal,
  );
  return { runs: (answer.runs ?? []).map(readRun), nextPageToken: answer.next_page_token || undefined };
}

const MOST_CHILDREN = 1000;

/** The stages of a pipeline run, or the nested runs of any other, oldest first. */
export async function childRuns(parent: { id: string; experimentId: string }, signal?: AbortSignal): Promise<Run[]> {
  const { runs } = await searchRuns(
    {
      experimentId: parent.experimentId,
      filter: `tags.\`${PARENT_TAG}\` = ${filterLiteral(parent.id)}`,
      orderBy: "attributes.start_time ASC",
      pageSize: MOST_CHILDREN,
    },
    signal,
  );
  return runs;
}

export async function getRun(id: string, signal?: AbortSignal): Promise<Run> {
  const answer = await get<{ run: RunMessage }>("runs/get", { run_id: id }, signal);
  return readRun(answer.run);
}

export async function renameRun(id: string, name: string): Promise<void> {
  await post("runs/update", { run_id: id, run_name: name });
}

export async function deleteRun(id: string): Promise<void> {
  await post("runs/delete", { run_id: id });
}
