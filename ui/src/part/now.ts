import { useSyncExternalStore } from "react";

// One clock for the whole page: every `3 h ago` and running duration moves at once.
const TICK = 10_000;
let now = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) {
    now = Date.now();
    timer = setInterval(() => {
      now = Date.now();
      for (const each of listeners) each();
    }, TICK);
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) clearInterval(timer);
  };
}

/** Milliseconds since the epoch, renewed every ten seconds. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}
