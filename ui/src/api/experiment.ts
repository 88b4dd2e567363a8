import { filterLiteral, get, post, type Pair } from "./client";

export interface Experiment {
  experiment_id: string;
  name: string;
  artifact_location?: string;
  lifecycle_stage: "active" | "deleted";
  /** Milliseconds since the epoch. */
  creation_time?: number;
  last_update_time?: number;
  tags?: Pair[];
}

interface ExperimentPage {
  experiments?: Experiment[];
  next_page_token?: string;
}

export interface ExperimentSearch {
  /** Part of the name, in any case. */
  name?: string;
  view?: "ACTIVE_ONLY" | "DELETED_ONLY" | "ALL";
  pageToken?: string;
}

const PAGE = 200;

export async function searchExperiments(search: ExperimentSearch, signal?: AbortSignal) {
  const name = search.name?.trim() ?? "";
  const page = await get<ExperimentPage>(
    "experiments/search",
    {
      max_results: PAGE,
      order_by: ["last_update_time DESC"],
      view_type: search.view ?? "ACTIVE_ONLY",
      filter: name === "" ? undefined : `name ILIKE ${filterLiteral(`%${name}%`)}`,
      page_token: search.pageToken,
    },
    signal,
  );
  return { experiments: page.experiments ?? [], nextPageToken: page.next_page_token };
}

export async function getExperiment(id: string, signal?: AbortSignal): Promise<Experiment> {
  const answer = await get<{ experiment: Experiment }>("experiments/get", { experiment_id: id }, signal);
  return answer.experiment;
}

export async function createExperiment(name: string): Promise<string> {
  const answer = await post<{ experiment_id: string }>("experiments/create", { name });
  return answer.experiment_id;
}

export async function renameExperiment(id: string, newName: string): Promise<void> {
  await post("experiments/update", { experiment_id: id, new_name: newName });
}

export async function deleteExperiment(id: string): Promise<void> {
  await post("experiments/delete", { experiment_id: id });
}

export async function restoreExperiment(id: string): Promise<void> {
  await post("experiments/restore", { experiment_id: id });
}
