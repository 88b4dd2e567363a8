import type { MetricPoint } from "../api/metric";
import type { Line } from "./LineChart";

export type XAxis = "step" | "time";

export interface NamedHistory {
  name: string;
  points: readonly MetricPoint[];
  colour?: number;
  /** Milliseconds since the epoch: zero of the time axis. The first point's when not given. */
  start?: number;
}

/** Puts histories with their own steps on one axis. A step that was logged twice keeps its last value. */
export function alignHistories(histories: readonly NamedHistory[], axis: XAxis): { x: number[]; lines: Line[] } {
  const places = histories.map(({ points, start }) => {
    const zero = start ?? points[0]?.timestamp ?? 0;
    return points.map((point) => (axis === "step" ? point.step : Math.max(0, point.timestamp - zero)));
  });
  const x = [...new Set(places.flat())].sort((a, b) => a - b);
  const at = new Map(x.map((value, index) => [value, index]));
  const lines = histories.map(({ name, points, colour }, index) => {
    const values: (number | null)[] = x.map(() => null);
    points.forEach((point, nth) => {
      const place = at.get(places[index]?.[nth] ?? 0);
      // NaN and the infinities cannot be drawn.
      if (place !== undefined && Math.abs(point.value) < Number.MAX_VALUE) values[place] = point.value;
    });
    return { name, values, colour };
  });
  return { x, lines };
}
