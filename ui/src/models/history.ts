import type { Pair } from "../api/client";

/** One move of an alias, as Matraz writes it into the model's tag `matraz.alias.<alias>`. */
export interface Move {
  alias: string;
  action: string;
  version: string;
  /** Milliseconds since the epoch. */
  at?: number;
  by?: string;
  reason?: string;
}

const PREFIX = "matraz.alias.";

export function isHistory(tag: Pair): boolean {
  return tag.key.startsWith(PREFIX);
}

/** All moves of all aliases, the newest first. Tags that someone else wrote over are left out. */
export function readMoves(tags: readonly Pair[]): Move[] {
  const moves: Move[] = [];
  for (const tag of tags.filter(isHistory)) {
    let parsed: unknown;
    try {
      parsed = JSON.parse(tag.value);
    } catch {
      continue;
    }
    if (!Array.isArray(parsed)) continue;
    for (const item of parsed as Record<string, unknown>[]) {
      if (typeof item?.action !== "string" || typeof item.version !== "string") continue;
      const at = typeof item.at === "string" ? Date.parse(item.at) : Number.NaN;
      moves.push({
        alias: tag.key.slice(PREFIX.length),
        action: item.action,
        version: item.version,
        at: Number.isNaN(at) ? undefined : at,
        by: typeof item.by === "string" ? item.by : undefined,
        reason: typeof item.reason === "string" ? item.reason : undefined,
      });
    }
  }
  return moves.map((move, index) => ({ move, index })).sort((a, b) => (b.move.at ?? 0) - (a.move.at ?? 0) || b.index - a.index).map(({ move }) => move);
}
