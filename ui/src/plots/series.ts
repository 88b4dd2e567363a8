import type { TextTable } from "./delimited";
import type { PlotEntry } from "./listing";

/** Lines over one x axis; a gap in a line is `null`. */
export interface Series {
  x: number[];
  lines: { name: string; values: (number | null)[] }[];
  xName: string;
}

function toNumber(text: string | undefined): number | null {
  if (text === undefined || text.trim() === "") return null;
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}

function isNumeric(table: TextTable, column: number): boolean {
  return table.rows.length > 0 && table.rows.every((row) => row[column] === "" || toNumber(row[column]) !== null);
}

/**
 * Lines for a `linear`, `simple`, `smooth` or `scatter` plot. Without `x` the row's position is the axis; without `y`
 * the last numeric column is drawn, as DVC does. When x values repeat and one column of words tells the rows apart,
 * each of its values becomes a line.
 */
export function plotSeries(table: TextTable, plot: Pick<PlotEntry, "x" | "y">): Series | undefined {
  const xAt = plot.x === undefined ? -1 : table.columns.indexOf(plot.x);
  let yNames = plot.y.filter((name) => table.columns.includes(name));
  if (yNames.length === 0) {
    const last = table.columns.findLastIndex((_, index) => index !== xAt && isNumeric(table, index));
    const name = table.columns[last];
    if (name === undefined) return undefined;
    yNames = [name];
  }
  const points = table.rows.map((row, index) => ({ row, x: xAt < 0 ? index : toNumber(row[xAt]) }));
  const usable = points.filter((point): point is { row: string[]; x: number } => point.x !== null);
  const x = [...new Set(usable.map((point) => point.x))].sort((a, b) => a - b);
  const at = new Map(x.map((value, index) => [value, index]));
  const groupAt =
    x.length < usable.length
      ? table.columns.findIndex((name, index) => index !== xAt && !yNames.includes(name) && !isNumeric(table, index))
      : -1;
  const lines = new Map<string, (number | null)[]>();
  for (const yName of yNames) {
    const yAt = table.columns.indexOf(yName);
    for (const { row, x: place } of usable) {
      const group = groupAt < 0 ? "" : (row[groupAt] ?? "");
      const name = group === "" ? yName : yNames.length === 1 ? group : `${yName} (${group})`;
      let values = lines.get(name);
      if (values === undefined) lines.set(name, (values = x.map(() => null)));
      values[at.get(place) ?? 0] = toNumber(row[yAt]);
    }
  }
  return {
    x,
    lines: [...lines].map(([name, values]) => ({ name, values })),
    xName: xAt < 0 ? "row" : (plot.x ?? "row"),
  };
}

export interface Bar {
  name: string;
  value: number;
}

/** Bars for `bar_horizontal` (order of the file) and `bar_horizontal_sorted`: x is the length, y the name. */
export function plotBars(table: TextTable, plot: Pick<PlotEntry, "x" | "y" | "template">): Bar[] | undefined {
  const nameAt = table.columns.indexOf(plot.y[0] ?? table.columns[0] ?? "");
  const valueName = plot.x ?? table.columns.find((_, index) => index !== nameAt && isNumeric(table, index));
  const valueAt = valueName === undefined ? -1 : table.columns.indexOf(valueName);
  if (nameAt < 0 || valueAt < 0) return undefined;
  const bars: Bar[] = [];
  for (const row of table.rows) {
    const value = toNumber(row[valueAt]);
    if (value !== null) bars.push({ name: row[nameAt] ?? "", value });
  }
  if (plot.template.endsWith("_sorted")) bars.sort((a, b) => b.value - a.value);
  return bars;
}
