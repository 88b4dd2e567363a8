import { getOwn } from "./client";

export type LineageKind = "data" | "commit" | "stage" | "run" | "version" | "alias";

/** A thing in a lineage. */
export interface LineageNode {
  id: string;
  kind: LineageKind;
  label: string;
  facts?: Record<string, string>;
}

/** One thing went into another. */
export interface LineageEdge {
  from: string;
  to: string;
  how: string;
}

export interface Lineage {
  subjects: string[];
  nodes: LineageNode[];
  edges: LineageEdge[];
}

/** What is behind a run, a model version or data, and what was made from it. */
export function getLineage(subject: string, signal?: AbortSignal): Promise<Lineage> {
  return getOwn<Lineage>("lineage", { subject }, signal);
}
