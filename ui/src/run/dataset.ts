import type { DatasetInput } from "../api/run";

/**
 * The digest of a dataset in full. MLflow's column holds 36 characters; where the source is JSON with an `md5`, that is
 * the whole one (`….dir` for a folder).
 */
export function readDigest(input: DatasetInput): string {
  try {
    const source: unknown = JSON.parse(input.source);
    if (typeof source === "object" && source !== null) {
      const { md5 } = source as { md5?: unknown };
      if (typeof md5 === "string" && md5.startsWith(input.digest.slice(0, 8))) return md5;
    }
  } catch {
    // Most sources are plain paths and addresses.
  }
  return input.digest;
}
