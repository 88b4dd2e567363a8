import { get, number, type JsonDouble } from "./client";

export interface MetricPoint {
  value: number;
  step: number;
  /** Milliseconds since the epoch. */
  timestamp: number;
}

/** Points per run that a chart asks for: more than it has pixels to tell apart. */
const POINTS = 1000;

/** Sampled history of one metric for several runs, in order of step; runs without it have no entry. */
export async function metricHistory(
  runIds: readonly string[],
  key: string,
  signal?: AbortSignal,
): Promise<Map<string, MetricPoint[]>> {
  const answer = await get<{
    metrics?: { value: JsonDouble; step?: number; timestamp?: number; run_id: string }[];
  }>("metrics/get-history-bulk-interval", { run_ids: runIds, metric_key: key, max_results: POINTS }, signal);
  const histories = new Map<string, MetricPoint[]>();
  for (const metric of answer.metrics ?? []) {
    const points = histories.get(metric.run_id) ?? [];
    points.push({ value: number(metric.value), step: metric.step ?? 0, timestamp: metric.timestamp ?? 0 });
    histories.set(metric.run_id, points);
  }
  return histories;
}
