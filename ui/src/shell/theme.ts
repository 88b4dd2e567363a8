import { useSyncExternalStore } from "react";

/** `system` follows the operating system. */
export type Theme = "system" | "light" | "dark";

const KEY = "matraz.theme";
const listeners = new Set<() => void>();

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    // Storage can be forbidden; the choice then lasts as long as the page.
    return "system";
  }
}

let current: Theme = stored();
const systemDark = matchMedia("(prefers-color-scheme: dark)");

function resolved(theme: Theme): "light" | "dark" {
  if (theme !== "system") return theme;
  return systemDark.matches ? "dark" : "light";
}

/** Puts the chosen theme on the document. Called once before the first render. */
export function applyTheme(): void {
  document.documentElement.dataset.theme = resolved(current);
  for (const listener of listeners) listener();
}

systemDark.addEventListener("change", applyTheme);

export function chooseTheme(theme: Theme): void {
  current = theme;
  try {
    if (theme === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // See `stored`.
  }
  applyTheme();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** What the user chose. */
export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, () => current);
}

/** What is on the screen; charts are drawn anew when it changes. */
export function useResolvedTheme(): "light" | "dark" {
  return useSyncExternalStore(subscribe, () => resolved(current));
}
