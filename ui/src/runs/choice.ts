import { useCallback, useState } from "react";
import type { Best } from "./best";
import { readColumn, type Column } from "./column";

/** What a reader chose for one experiment's table, kept in the browser. */
export interface TableChoice {
  /** Undefined: the default ones. */
  columns?: Column[];
  /** Directions that differ from the usual one. */
  best: Record<string, Best>;
}

function storageKey(experimentId: string): string {
  return `matraz.table.${experimentId}`;
}

export function readChoice(text: string | null): TableChoice {
  try {
    const parsed = JSON.parse(text ?? "{}") as { columns?: unknown; best?: unknown };
    const columns = Array.isArray(parsed.columns)
      ? parsed.columns.filter((id): id is string => typeof id === "string").map(readColumn).filter((entry) => entry !== undefined)
      : undefined;
    const best: Record<string, Best> = {};
    if (typeof parsed.best === "object" && parsed.best !== null) {
      for (const [key, value] of Object.entries(parsed.best)) {
        if (value === "highest" || value === "lowest" || value === "none") best[key] = value;
      }
    }
    return { columns, best };
  } catch {
    return { best: {} };
  }
}

function load(experimentId: string): TableChoice {
  try {
    return readChoice(localStorage.getItem(storageKey(experimentId)));
  } catch {
    return { best: {} };
  }
}

/** The choice for an experiment, and a function that changes and keeps it. */
export function useTableChoice(experimentId: string): [TableChoice, (choice: TableChoice) => void] {
  const [state, setState] = useState(() => ({ experimentId, choice: load(experimentId) }));
  const choice = state.experimentId === experimentId ? state.choice : load(experimentId);
  const change = useCallback(
    (next: TableChoice) => {
      setState({ experimentId, choice: next });
      try {
        const text = JSON.stringify({ columns: next.columns?.map((entry) => entry.id), best: next.best });
        localStorage.setItem(storageKey(experimentId), text);
      } catch {
        // Without storage the choice lasts as long as the page.
      }
    },
    [experimentId],
  );
  return [choice, change];
}
