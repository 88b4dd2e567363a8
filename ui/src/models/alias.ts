import type { Alias } from "../api/model";

/** The champion first, the others by name. */
export function sortAliases(aliases: readonly Alias[]): Alias[] {
  const place = (alias: string) => (alias === "champion" ? 0 : 1);
  return [...aliases].sort((a, b) => place(a.alias) - place(b.alias) || a.alias.localeCompare(b.alias));
}

export function aliasesOf(aliases: readonly Alias[] | undefined, version: string): string[] {
  return sortAliases(aliases ?? [])
    .filter((entry) => entry.version === version)
    .map((entry) => entry.alias);
}
