import { useState } from "react";
import { Dialog } from "../part/Dialog";
import { usualBest, type Best } from "./best";
import type { TableChoice } from "./choice";
import { ATTRIBUTES, GROUP_NAMES, column, columnTitle, type Column, type ColumnGroup, type KnownKeys } from "./column";

interface ColumnPickerProps {
  open: boolean;
  onClose: () => void;
  keys: KnownKeys;
  /** The columns on show. */
  shown: readonly Column[];
  choice: TableChoice;
  onChoice: (choice: TableChoice) => void;
}

/** Which columns the table has, and which end of each metric is the best. */
export function ColumnPicker({ open, onClose, keys, shown, choice, onChoice }: ColumnPickerProps) {
  const [search, setSearch] = useState("");
  const groups: Record<ColumnGroup, Column[]> = {
    attributes: Object.keys(ATTRIBUTES).map((key) => column("attributes", key)),
    metrics: keys.metrics.map((key) => column("metrics", key)),
    params: keys.params.map((key) => column("params", key)),
    tags: keys.tags.map((key) => column("tags", key)),
  };
  const chosen = new Set(shown.map((entry) => entry.id));
  const wanted = search.trim().toLowerCase();
  const fits = (entry: Column) => wanted === "" || columnTitle(entry).toLowerCase().includes(wanted);

  const change = (entries: readonly Column[], on: boolean) => {
    const ids = new Set(entries.map((entry) => entry.id));
    const rest = shown.filter((entry) => !ids.has(entry.id));
    onChoice({ ...choice, columns: on ? [...rest, ...entries] : rest });
  };
  const found = Object.values(groups).some((entries) => entries.some(fits));

  return (
    <Dialog open={open} onClose={onClose} title="Columns" kind="side">
      <input
        type="search"
        className="field"
        placeholder="Find a column"
        aria-label="Find a column"
        value={search}
        onChange={(event) => setSearch(event.target.value)}
        autoFocus
      />
      <div className="picker">
        {(Object.keys(groups) as ColumnGroup[]).map((group) => {
          const entries = groups[group].filter(fits);
          if (entries.length === 0) return null;
          const all = entries.every((entry) => chosen.has(entry.id));
          return (
            <fieldset key={group}>
              <legend>
                {GROUP_NAMES[group]}
                <button type="button" className="link-button" onClick={() => change(entries, !all)}>
                  {all ? "none" : "all"}
                </button>
              </legend>
              {entries.map((entry) => (
                <div key={entry.id} className="picker-row">
                  <label>
                    <input
                      type="checkbox"
                      checked={chosen.has(entry.id)}
                      onChange={(event) => change([entry], event.target.checked)}
                    />
                    <span>{columnTitle(entry)}</span>
                  </label>
                  {group === "metrics" && (
                    <select
                      aria-label={`Best value of ${entry.key}`}
                      value={choice.best[entry.key] ?? usualBest(entry.key)}
                      onChange={(event) => {
                        const best = { ...choice.best, [entry.key]: event.target.value as Best };
                        onChoice({ ...choice, best });
                      }}
                    >
                      <option value="highest">highest is best</option>
                      <option value="lowest">lowest is best</option>
                      <option value="none">mark none</option>
                    </select>
                  )}
                </div>
              ))}
            </fieldset>
          );
        })}
        {!found && <p className="muted">No column has “{search}” in its name.</p>}
      </div>
      <div className="dialog-foot">
        <button type="button" className="button" onClick={() => onChoice({ best: {} })}>
          Back to the default columns
        </button>
      </div>
    </Dialog>
  );
}
