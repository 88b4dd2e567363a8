import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { shortNumber } from "../format/number";
import { duration } from "../format/time";
import { useResolvedTheme } from "../shell/theme";
import { seriesColour } from "./colour";

export interface Line {
  name: string;
  values: (number | null)[];
  /** Place in the palette; its place in the list when not given. */
  colour?: number;
}

interface LineChartProps {
  x: number[];
  lines: readonly Line[];
  /** Said to screen readers, and part of the legend's meaning. */
  label: string;
  /** `elapsed`: milliseconds since the run began. */
  xKind?: "number" | "elapsed";
  xName: string;
  logarithmic?: boolean;
  /** Points without lines. */
  scatter?: boolean;
  height?: number;
  legend?: boolean;
}

function property(element: Element, name: string): string {
  return getComputedStyle(element).getPropertyValue(name).trim();
}

/** A line chart on a canvas. Drag to zoom in, double-click to see all again. */
export function LineChart(props: LineChartProps) {
  const { x, lines, label, xKind = "number", xName, logarithmic, scatter, height = 220, legend = true } = props;
  const host = useRef<HTMLDivElement>(null);
  const theme = useResolvedTheme();

  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const ink = property(element, "--ink-2");
    const grid = property(element, "--line");
    const font = "11px 'Inter Variable', system-ui, sans-serif";
    const axis: uPlot.Axis = {
      stroke: ink,
      font,
      grid: { stroke: grid, width: 1 },
      ticks: { stroke: grid, width: 1, size: 4 },
    };
    const onX = (value: number) => (xKind === "elapsed" ? duration(value) : shortNumber(value));
    const points = x.length <= 60 || scatter === true;
    const chart = new uPlot(
      {
        width: Math.max(120, element.clientWidth),
        height,
        legend: {
          show: legend,
          markers: { width: 0, fill: (_, index) => (index === 0 ? "" : seriesColour(element, lines[index - 1]?.colour ?? index - 1)) },
        },
        cursor: { points: { size: 6 }, drag: { x: true, y: false } },
        scales: {
          x: { time: false },
          // Logarithms exist for positive numbers only; others become gaps below.
          y: logarithmic ? { distr: 3 } : { range: paddedRange },
        },
        axes: [
          { ...axis, values: (_, values) => values.map((value) => (value === null ? "" : onX(value))), size: 28 },
          {
            ...axis,
            values: (_, values) => values.map((value) => (value === null ? "" : shortNumber(value))),
            size: (_, values) => 14 + 6.4 * Math.max(3, ...(values ?? []).map((value) => value.length)),
          },
        ],
        series: [
          { label: xName, value: (_, value) => (value === null ? "–" : onX(value)) },
          ...lines.map((line, index): uPlot.Series => {
            const stroke = seriesColour(element, line.colour ?? index);
            return {
              label: line.name,
              stroke,
              width: scatter ? 0 : 1.75,
              paths: scatter ? () => null : undefined,
              points: { show: points, size: scatter ? 5 : 4, fill: stroke, stroke },
              spanGaps: true,
              value: (_, value) => (value === null ? "–" : shortNumber(value)),
            };
          }),
        ],
      },
      [x, ...lines.map((line) => (logarithmic ? line.values.map(positive) : line.values))],
      element,
    );
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) chart.setSize({ width: element.clientWidth, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
    };
  }, [x, lines, xKind, xName, logarithmic, scatter, height, legend, theme]);

  return <div ref={host} className="line-chart" role="img" aria-label={label} />;
}

function positive(value: number | null): number | null {
  return value !== null && value > 0 ? value : null;
}

function paddedRange(_: uPlot, low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  const span = high - low || Math.abs(high) || 1;
  return [low - span * 0.08, high + span * 0.08];
}
