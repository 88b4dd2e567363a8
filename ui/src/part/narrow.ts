import { useSyncExternalStore } from "react";

const query = matchMedia("(max-width: 640px)");

function subscribe(listener: () => void): () => void {
  query.addEventListener("change", listener);
  return () => query.removeEventListener("change", listener);
}

/** True on a telephone's screen; the same width as in the style sheet. */
export function useNarrow(): boolean {
  return useSyncExternalStore(subscribe, () => query.matches);
}
