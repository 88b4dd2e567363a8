import { get, queryString, request } from "./client";

export interface Artifact {
  /** Path from the run's artifact root, with `/`. */
  path: string;
  isDir: boolean;
  /** Bytes; undefined for a folder. */
  size?: number;
}

/** What lies directly in a folder of a run's artifacts, folders first. */
export async function listArtifacts(runId: string, path: string, signal?: AbortSignal): Promise<Artifact[]> {
  const entries: Artifact[] = [];
  let pageToken: string | undefined;
  do {
    const answer: {
      files?: { path: string; is_dir?: boolean; file_size?: number | string }[];
      next_page_token?: string;
    } = await get(
      "artifacts/list",
      { run_id: runId, path: path === "" ? undefined : path, page_token: pageToken },
      signal,
    );
    for (const file of answer.files ?? []) {
      entries.push({
        path: file.path,
        isDir: file.is_dir ?? false,
        size: file.file_size === undefined ? undefined : Number(file.file_size),
      });
    }
    pageToken = answer.next_page_token || undefined;
  } while (pageToken !== undefined);
  return entries.sort((a, b) => Number(b.isDir) - Number(a.isDir) || a.path.localeCompare(b.path));
}

/** Address of an artifact's bytes; the server offers them as a download. */
export function artifactAddress(runId: string, path: string): string {
  return `/get-artifact${queryString({ run_id: runId, path })}`;
}

export interface ArtifactText {
  text: string;
  /** True when the file goes on after `text`. */
  cut: boolean;
  /** True when the bytes are no UTF-8 text. */
  binary: boolean;
}

/** Reads an artifact as text, and no more of it than `limit` bytes. */
export async function readArtifact(
  runId: string,
  path: string,
  limit: number,
  signal?: AbortSignal,
): Promise<ArtifactText> {
  const response = await request(artifactAddress(runId, path), { signal });
  const chunks: Uint8Array[] = [];
  let length = 0;
  let cut = false;
  const reader = response.body?.getReader();
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    length += value.length;
    if (length > limit) {
      cut = true;
      await reader.cancel();
      break;
    }
  }
  const bytes = new Uint8Array(Math.min(length, limit));
  let at = 0;
  for (const chunk of chunks) {
    const part = chunk.subarray(0, bytes.length - at);
    bytes.set(part, at);
    at += part.length;
  }
  return { ...decode(bytes, cut), cut };
}

/**
 * The text of an artifact that only some runs have; null for the others. The folder is asked first: a file that is
 * missing is no fault, and should not show as one in the browser's console.
 */
export async function readIfThere(
  runId: string,
  path: string,
  limit: number,
  signal?: AbortSignal,
): Promise<string | null> {
  const folder = path.slice(0, Math.max(0, path.lastIndexOf("/")));
  const entries = await listArtifacts(runId, folder, signal);
  if (!entries.some((entry) => entry.path === path)) return null;
  return (await readArtifact(runId, path, limit, signal)).text;
}

function decode(bytes: Uint8Array, cut: boolean): { text: string; binary: boolean } {
  if (bytes.subarray(0, 8000).includes(0)) return { text: "", binary: true };
  try {
    // `stream` forgives a character that the limit has cut in two.
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: cut }), binary: false };
  } catch {
    return { text: "", binary: true };
  }
}
