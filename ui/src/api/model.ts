import { filterLiteral, get, type Pair } from "./client";

export interface Alias {
  alias: string;
  version: string;
}

export interface RegisteredModel {
  name: string;
  creation_timestamp?: number;
  last_updated_timestamp?: number;
  description?: string;
  tags?: Pair[];
  aliases?: Alias[];
  latest_versions?: ModelVersion[];
}

export interface ModelVersion {
  name: string;
  /** A whole number, as text. */
  version: string;
  creation_timestamp?: number;
  last_updated_timestamp?: number;
  current_stage?: string;
  description?: string;
  source?: string;
  run_id?: string;
  status?: "READY" | "PENDING_REGISTRATION" | "FAILED_REGISTRATION";
  status_message?: string;
  tags?: Pair[];
  aliases?: string[];
}

export async function searchModels(search: { name?: string; pageToken?: string }, signal?: AbortSignal) {
  const name = search.name?.trim() ?? "";
  const answer = await get<{ registered_models?: RegisteredModel[]; next_page_token?: string }>(
    "registered-models/search",
    {
      max_results: 100,
      filter: name === "" ? undefined : `name ILIKE ${filterLiteral(`%${name}%`)}`,
      order_by: ["name ASC"],
      page_token: search.pageToken,
    },
    signal,
  );
  return { models: answer.registered_models ?? [], nextPageToken: answer.next_page_token || undefined };
}

export async function getModel(name: string, signal?: AbortSignal): Promise<RegisteredModel> {
  const answer = await get<{ registered_model: RegisteredModel }>("registered-models/get", { name }, signal);
  return answer.registered_model;
}

/** The newest versions of a model, newest first. */
export async function modelVersions(name: string, pageToken?: string, signal?: AbortSignal) {
  const answer = await get<{ model_versions?: ModelVersion[]; next_page_token?: string }>(
    "model-versions/search",
    {
      filter: `name = ${filterLiteral(name)}`,
      order_by: ["version_number DESC"],
      max_results: 100,
      page_token: pageToken,
    },
    signal,
  );
  return { versions: answer.model_versions ?? [], nextPageToken: answer.next_page_token || undefined };
}

/** Versions that were registered from a run. */
export async function versionsOfRun(runId: string, signal?: AbortSignal): Promise<ModelVersion[]> {
  const answer = await get<{ model_versions?: ModelVersion[] }>(
    "model-versions/search",
    { filter: `run_id = ${filterLiteral(runId)}`, max_results: 100 },
    signal,
  );
  return answer.model_versions ?? [];
}

export async function getModelVersion(name: string, version: string, signal?: AbortSignal): Promise<ModelVersion> {
  const answer = await get<{ model_version: ModelVersion }>("model-versions/get", { name, version }, signal);
  return answer.model_version;
}
