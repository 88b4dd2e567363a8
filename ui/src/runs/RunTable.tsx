import {
  columnSizingFeature,
  createExpandedRowModel,
  rowExpandingFeature,
  rowSelectionFeature,
  tableFeatures,
  useTable,
  type ColumnDef,
  type ExpandedState,
  type Row,
  type RowSelectionState,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useMemo, useRef } from "react";
import { isCached, isPipeline, type Run } from "../api/run";
import { columnNumber, exactNumber } from "../format/number";
import { duration } from "../format/time";
import { Icon } from "../part/Icon";
import { Ago, CachedMark, StatusMark } from "../part/Marks";
import { RunLink } from "../part/RunLink";
import { useNarrow } from "../part/narrow";
import { useNow } from "../part/now";
import { isTyping, useKey } from "../shell/keys";
import { bestValue, usualBest, type Best } from "./best";
import { GROUP_NAMES, column, columnReference, columnTitle, columnValue, type Column } from "./column";
import type { Order } from "./order";

/** A run in the table, with the runs below it. */
export interface RunRow {
  run: Run;
  /** Undefined: not known yet, because nobody asked. */
  children?: RunRow[];
  expandable: boolean;
}

interface RunTableProps {
  label: string;
  rows: RunRow[];
  columns: readonly Column[];
  order: Order | undefined;
  onOrder: (column: Column) => void;
  best: Record<string, Best>;
  selection: RowSelectionState;
  onSelection: (selection: RowSelectionState) => void;
  expanded: ExpandedState;
  onExpanded: (expanded: ExpandedState) => void;
  /** Called when the end of the rows comes into view. */
  onEnd: () => void;
  /** More rows wait on the server. */
  more: boolean;
  /** Drawn paler while other rows are on their way. */
  stale: boolean;
}

const features = tableFeatures({
  rowExpandingFeature,
  rowSelectionFeature,
  columnSizingFeature,
  expandedRowModel: createExpandedRowModel(),
});
type Def = ColumnDef<typeof features, RunRow>;
type TableRow = Row<typeof features, RunRow>;

const ROW_HEIGHT = 36;
const SELECT_WIDTH = 40;
const NAME_WIDTH = 240;
const NARROW_NAME_WIDTH = 176;
const NAME = column("attributes", "run_name");

function columnWidth(entry: Column): number {
  if (entry.group === "attributes") return entry.key === "run_id" ? 260 : entry.key === "start_time" ? 108 : 96;
  // Only what follows the last dot stands in large letters.
  const title = columnTitle(entry);
  const length = entry.group === "metrics" ? title.length - 1 - title.lastIndexOf(".") : title.length;
  return Math.min(190, Math.max(96, length * 7 + 36));
}

function holdsNumbers(rows: readonly RunRow[], entry: Column): boolean {
  const values = rows.map((row) => row.run.params.get(entry.key)).filter((value) => value !== undefined);
  return values.length > 0 && values.every((value) => value.trim() !== "" && Number.isFinite(Number(value)));
}

function Cell({ run, entry, isBest, now }: { run: Run; entry: Column; isBest: boolean; now: number }) {
  if (entry.id === "attributes.start_time") return <Ago at={run.startTime} />;
  const value = columnValue(run, entry, now);
  if (value === undefined) return <span className="muted" aria-label="none">–</span>;
  if (typeof value === "string") {
    if (entry.key === "commit") return <code title={value}>{value.slice(0, 8)}</code>;
    return <span title={value}>{value}</span>;
  }
  if (entry.key === "duration") return <>{duration(value)}</>;
  return (
    <span className={isBest ? "best-mark" : undefined} title={isBest ? `${exactNumber(value)}, the best here` : exactNumber(value)}>
      {columnNumber(value)}
      {isBest && <span className="hidden"> (best)</span>}
    </span>
  );
}

/** The runs of an experiment. Only the rows in view are in the page, however many are loaded. */
export function RunTable(props: RunTableProps) {
  const { rows, columns, order, onOrder, best, selection, onSelection, expanded, onExpanded, onEnd, more } = props;
  const now = useNow();
  const nameWidth = useNarrow() ? NARROW_NAME_WIDTH : NAME_WIDTH;
  const scroller = useRef<HTMLDivElement>(null);

  const defs = useMemo<Def[]>(() => {
    const groups: { group: Column["group"]; entries: Column[] }[] = [];
    for (const entry of columns) {
      const last = groups.at(-1);
      if (last?.group === entry.group) last.entries.push(entry);
      else groups.push({ group: entry.group, entries: [entry] });
    }
    return groups.map(({ group, entries }, index) => ({
      id: `${group}-${index}`,
      header: group === "attributes" ? "" : GROUP_NAMES[group],
      columns: entries.map((entry) => ({ id: entry.id, header: columnTitle(entry), size: columnWidth(entry) })),
    }));
  }, [columns]);

  const table = useTable({
    features,
    columns: defs,
    data: rows,
    getRowId: (row) => row.run.id,
    getSubRows: (row) => row.children,
    getRowCanExpand: (row) => row.original.expandable,
    enableSubRowSelection: false,
    autoResetExpanded: false,
    state: { rowSelection: selection, expanded },
    onRowSelectionChange: (updater) => onSelection(typeof updater === "function" ? updater(selection) : updater),
    onExpandedChange: (updater) => onExpanded(typeof updater === "function" ? updater(expanded) : updater),
  });

  const bests = useMemo(() => {
    const values = new Map<string, number>();
    for (const entry of columns) {
      if (entry.group !== "metrics") continue;
      const direction = best[entry.key] ?? usualBest(entry.key);
      const value = bestValue(
        rows.map((row) => row.run.metrics.get(entry.key)?.value),
        direction,
      );
      if (value !== undefined) values.set(entry.id, value);
    }
    return values;
  }, [rows, columns, best]);

  // Params are text, but a column that holds only numbers is read as one.
  const numeric = useMemo(() => {
    const ids = columns
      .filter((entry) => entry.group === "metrics" || (entry.group === "params" && holdsNumbers(rows, entry)))
      .map((entry) => entry.id);
    return new Set(ids);
  }, [rows, columns]);
  const firsts = new Set(columns.filter((entry, index) => index > 0 && entry.group !== columns[index - 1]?.group).map((entry) => entry.id));
  const cellClass = (entry: Column) => `${numeric.has(entry.id) ? "number" : ""} ${firsts.has(entry.id) ? "first" : ""}`;

  const visible = table.getRowModel().rows;
  // eslint-disable-next-line react-hooks/incompatible-library -- the virtualizer renders by itself and must not be memoised
  const virtualizer = useVirtualizer({
    count: visible.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
    getItemKey: (index) => visible[index]?.id ?? index,
  });
  const items = virtualizer.getVirtualItems();
  const before = items[0]?.start ?? 0;
  const after = virtualizer.getTotalSize() - (items.at(-1)?.end ?? 0);
  const lastIndex = items.at(-1)?.index ?? 0;

  useEffect(() => {
    if (more && lastIndex >= visible.length - 20) onEnd();
  }, [more, lastIndex, visible.length, onEnd]);

  const focusRow = (index: number) => {
    if (index < 0 || index >= visible.length) return;
    virtualizer.scrollToIndex(index);
    // The row may be drawn only after the scrolling.
    let tries = 0;
    const attempt = () => {
      const link = scroller.current?.querySelector<HTMLElement>(`tr[data-index="${index}"] a`);
      if (link) link.focus({ preventScroll: true });
      else if (tries++ < 10) requestAnimationFrame(attempt);
    };
    attempt();
  };
  const focusedIndex = () => {
    const row = document.activeElement?.closest<HTMLElement>("tr[data-index]");
    return row && scroller.current?.contains(row) ? Number(row.dataset.index) : -1;
  };
  const step = (by: number) => {
    const at = focusedIndex();
    focusRow(at < 0 ? (items[0]?.index ?? 0) : Math.min(visible.length - 1, Math.max(0, at + by)));
  };
  const onRow = (action: (row: TableRow) => void) => {
    const row = visible[focusedIndex()];
    if (row) action(row);
  };
  useKey("j", useEvent(() => step(1)));
  useKey("k", useEvent(() => step(-1)));
  useKey("x", useEvent(() => onRow((row) => row.toggleSelected())));

  const onKeyDown = (event: React.KeyboardEvent) => {
    if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = focusedIndex();
    if (at < 0) return;
    const row = visible[at];
    let handled = true;
    if (event.key === "ArrowDown") step(1);
    else if (event.key === "ArrowUp") step(-1);
    else if (event.key === "Home") focusRow(0);
    else if (event.key === "End") focusRow(visible.length - 1);
    else if (event.key === "ArrowRight" && row?.getCanExpand() && !row.getIsExpanded()) row.toggleExpanded(true);
    else if (event.key === "ArrowLeft" && row?.getIsExpanded()) row.toggleExpanded(false);
    else if (event.key === "ArrowLeft" && row && row.depth > 0) {
      focusRow(visible.findIndex((other) => other.id === row.parentId));
    } else handled = false;
    if (handled) event.preventDefault();
  };

  const allSelected = rows.length > 0 && rows.every((row) => selection[row.run.id]);
  const someSelected = rows.some((row) => selection[row.run.id]);
  const width = SELECT_WIDTH + nameWidth + table.getTotalSize();
  const [groupHeaders, columnHeaders] = table.getHeaderGroups();

  const headerCell = (entry: Column, className = "") => {
    const title = columnTitle(entry);
    const cut = entry.group === "metrics" ? title.lastIndexOf(".") : -1;
    const sorted = order?.column.id === entry.id ? (order.descending ? "descending" : "ascending") : undefined;
    const sortable = columnReference(entry) !== undefined;
    const text = (
      <span className="head-text">
        {cut > 0 && <span className="head-prefix">{title.slice(0, cut)}.</span>}
        <span>{cut > 0 ? title.slice(cut + 1) : title}</span>
      </span>
    );
    return (
      <th
        key={entry.id}
        scope="col"
        rowSpan={entry.id === NAME.id ? 2 : undefined}
        aria-sort={sorted}
        className={`${className} ${cellClass(entry)} ${sorted ? "sorted" : ""}`}
      >
        {sortable ? (
          <button type="button" className="head-button" title={`Sort by ${title}`} onClick={() => onOrder(entry)}>
            {text}
            {sorted && <Icon name={sorted === "descending" ? "down" : "up"} size={13} />}
          </button>
        ) : (
          <span className="head-button">{text}</span>
        )}
      </th>
    );
  };

  return (
    <div className={`table-scroll ${props.stale ? "stale" : ""}`} ref={scroller} onKeyDown={onKeyDown}>
      <table
        className="runs"
        aria-label={props.label}
        aria-rowcount={more ? -1 : visible.length + 2}
        aria-busy={props.stale}
        style={{ width }}
      >
        <colgroup>
          <col style={{ width: SELECT_WIDTH }} />
          <col style={{ width: nameWidth }} />
          {table.getAllLeafColumns().map((leaf) => (
            <col key={leaf.id} style={{ width: leaf.getSize() }} />
          ))}
        </colgroup>
        <thead>
          <tr>
            <th className="select-cell" rowSpan={2}>
              <input
                type="checkbox"
                aria-label="Select all runs"
                checked={allSelected}
                ref={(box) => {
                  if (box) box.indeterminate = someSelected && !allSelected;
                }}
                onChange={() => onSelection(allSelected ? {} : Object.fromEntries(rows.map((row) => [row.run.id, true])))}
              />
            </th>
            {headerCell(NAME, "name-cell")}
            {groupHeaders?.headers.map((header) => {
              const title = String(header.column.columnDef.header ?? "");
              // What has no title heads nothing.
              const Part = title === "" ? "td" : "th";
              return (
                <Part
                  key={header.id}
                  colSpan={header.colSpan}
                  scope={title === "" ? undefined : "colgroup"}
                  className={`group-head ${header.index > 0 ? "first" : ""}`}
                >
                  {title}
                </Part>
              );
            })}
          </tr>
          <tr>
            {columnHeaders?.headers.map((header) => {
              const entry = columns.find((each) => each.id === header.column.id);
              return entry ? headerCell(entry) : null;
            })}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <tr aria-hidden="true" style={{ height: before }} />}
          {items.map((item) => {
            const row = visible[item.index];
            if (row === undefined) return null;
            const { run } = row.original;
            const chosen = selection[run.id] === true;
            return (
              <tr
                key={item.key}
                data-index={item.index}
                aria-rowindex={item.index + 3}
                aria-selected={chosen}
                className={`${chosen ? "chosen" : ""} ${row.depth > 0 ? "child" : ""}`}
              >
                <td className="select-cell">
                  <input
                    type="checkbox"
                    aria-label={`Select ${run.name}`}
                    checked={chosen}
                    onChange={() => row.toggleSelected()}
                  />
                </td>
                <th scope="row" className="name-cell">
                  <span className="name" style={{ paddingInlineStart: row.depth * 18 }}>
                    {row.getCanExpand() ? (
                      <button
                        type="button"
                        className={`expander ${row.getIsExpanded() ? "open" : ""}`}
                        aria-expanded={row.getIsExpanded()}
                        aria-label={`${isPipeline(run) ? "Stages" : "Runs"} of ${run.name}`}
                        onClick={() => row.toggleExpanded()}
                      >
                        <Icon name="chevron" size={14} />
                      </button>
                    ) : (
                      <span className="expander-space" />
                    )}
                    <StatusMark status={run.status} />
                    <RunLink run={run} />
                    {isCached(run) && <CachedMark />}
                  </span>
                </th>
                {columns.map((entry) => {
                  const value = entry.group === "metrics" ? run.metrics.get(entry.key)?.value : undefined;
                  const isBest = row.depth === 0 && value !== undefined && value === bests.get(entry.id);
                  return (
                    <td key={entry.id} className={cellClass(entry)}>
                      <Cell run={run} entry={entry} isBest={isBest} now={now} />
                    </td>
                  );
                })}
              </tr>
            );
          })}
          {after > 0 && <tr aria-hidden="true" style={{ height: after }} />}
        </tbody>
      </table>
    </div>
  );
}

/** A function that stays the same but runs what was last rendered. */
function useEvent(action: () => void): () => void {
  const latest = useRef(action);
  useEffect(() => {
    latest.current = action;
  });
  return useCallback(() => latest.current(), []);
}
