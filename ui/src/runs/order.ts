import type { Run } from "../api/run";
import type { Best } from "./best";
import { columnReference, columnValue, type Column } from "./column";

export interface Order {
  column: Column;
  descending: boolean;
}

/** In the address: `metrics.accuracy`, or `-metrics.accuracy` for descending. */
export function orderText(order: Order | undefined): string | undefined {
  return order === undefined ? undefined : `${order.descending ? "-" : ""}${order.column.id}`;
}

/** The clause for `order_by`; undefined where the server cannot sort. */
export function orderClause(order: Order): string | undefined {
  const reference = columnReference(order.column);
  return reference === undefined ? undefined : `${reference} ${order.descending ? "DESC" : "ASC"}`;
}

/** A click on a header: the good end first, then the other, then back to the newest first. */
export function nextOrder(current: Order | undefined, clicked: Column, best: Best): Order | undefined {
  const first = clicked.group === "metrics" ? best !== "lowest" : clicked.id === "attributes.start_time";
  if (current?.column.id !== clicked.id) return { column: clicked, descending: first };
  return current.descending === first ? { column: clicked, descending: !first } : undefined;
}

/**
 * Params are text, and the server sorts them as text: 100 before 50. When every run is here and the column holds
 * numbers only, they are sorted as numbers; runs without the param stay last.
 */
export function sortNumericParams(runs: readonly Run[], order: Order | undefined): readonly Run[] {
  if (order === undefined || order.column.group !== "params") return runs;
  const valued = runs.map((run) => ({ run, text: columnValue(run, order.column, 0) }));
  const numeric = valued.every(({ text }) => text === undefined || (text !== "" && Number.isFinite(Number(text))));
  if (!numeric) return runs;
  const sign = order.descending ? -1 : 1;
  return valued
    .sort((a, b) => {
      if (a.text === undefined || b.text === undefined) return Number(a.text === undefined) - Number(b.text === undefined);
      return sign * (Number(a.text) - Number(b.text));
    })
    .map(({ run }) => run);
}
