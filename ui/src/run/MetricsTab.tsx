import { useQueries } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { metricHistory, type MetricPoint } from "../api/metric";
import type { Run } from "../api/run";
import { LineChart } from "../chart/LineChart";
import { alignHistories, type XAxis } from "../chart/history";
import { count, exactNumber, shortNumber } from "../format/number";
import { Command } from "../part/Copy";
import { Empty, Loading } from "../part/Notes";
import { Segments } from "../part/Segments";

/** With more metrics than this, only those that went past step 0 are asked for their history. */
const MOST_ASKED = 60;
const LIVE = 4000;

export function MetricsTab({ run }: { run: Run }) {
  const [axis, setAxis] = useState<XAxis>("step");
  const [scale, setScale] = useState<"linear" | "log">("linear");
  const keys = useMemo(() => {
    const all = [...run.metrics.keys()].sort((a, b) => a.localeCompare(b));
    return all.length <= MOST_ASKED ? all : all.filter((key) => run.metrics.get(key)?.step !== 0).slice(0, MOST_ASKED);
  }, [run]);
  const histories = useQueries({
    queries: keys.map((key) => ({
      queryKey: ["history", run.id, key],
      queryFn: async ({ signal }: { signal: AbortSignal }) => (await metricHistory([run.id], key, signal)).get(run.id) ?? [],
      refetchInterval: run.status === "RUNNING" ? LIVE : (false as const),
    })),
  });

  if (run.metrics.size === 0) {
    return (
      <Empty title="No metrics">
        <p>Metrics come from the metrics files of the pipeline, or from a script:</p>
        <Command>{'mlflow.log_metric("loss", 0.3, step=1)'}</Command>
      </Empty>
    );
  }
  const pending = histories.some((history) => history.isPending);
  const failed = histories.find((history) => history.isError)?.error;
  const drawn = keys
    .map((key, index) => ({ key, points: histories[index]?.data ?? [] }))
    .filter(({ points }) => points.length > 1);
  const single = [...run.metrics].filter(([key]) => !drawn.some((each) => each.key === key));
  single.sort(([a], [b]) => Number(a.includes(".")) - Number(b.includes(".")) || a.localeCompare(b));

  return (
    <div className="metrics-tab">
      {failed && (
        <p className="error-text" role="alert">
          Some histories could not be loaded: {failed.message}
        </p>
      )}
      {drawn.length > 0 && (
        <>
          <div className="plot-tools">
            <span className="muted">{count(drawn.length, "metric")} with a history. Drag in a chart to zoom, double-click to see all.</span>
            <Segments
              label="Horizontal axis"
              value={axis}
              onChange={setAxis}
              options={[
                ["step", "Step"],
                ["time", "Time"],
              ]}
            />
            <Segments
              label="Vertical scale"
              value={scale}
              onChange={setScale}
              options={[
                ["linear", "Linear"],
                ["log", "Log"],
              ]}
            />
          </div>
          <div className="chart-grid">
            {drawn.map(({ key, points }) => (
              <HistoryChart key={key} name={key} points={points} axis={axis} logarithmic={scale === "log"} start={run.startTime} />
            ))}
          </div>
        </>
      )}
      {pending ? (
        <Loading what="metric histories" rows={4} />
      ) : (
        single.length > 0 && (
          <section className="panel" aria-label="Single values">
            <h2>
              Single values <span className="count">{single.length}</span>
            </h2>
            <ul className="tiles">
              {single.map(([key, metric]) => (
                <li key={key}>
                  <span className="tile-name" title={key}>
                    {key}
                  </span>
                  <span className="tile-value" title={exactNumber(metric.value)}>
                    {shortNumber(metric.value)}
                  </span>
                </li>
              ))}
            </ul>
          </section>
        )
      )}
    </div>
  );
}

interface HistoryChartProps {
  name: string;
  points: readonly MetricPoint[];
  axis: XAxis;
  logarithmic: boolean;
  start: number | undefined;
}

function HistoryChart({ name, points, axis, logarithmic, start }: HistoryChartProps) {
  const { x, lines } = useMemo(() => alignHistories([{ name, points, start }], axis), [name, points, start, axis]);
  const last = points.at(-1);
  return (
    <figure className="chart-card">
      <figcaption>
        <span title={name}>{name}</span>
        {last && (
          <span className="tile-value" title={`${exactNumber(last.value)} at step ${last.step}`}>
            {shortNumber(last.value)}
          </span>
        )}
      </figcaption>
      <LineChart
        x={x}
        lines={lines}
        xName={axis}
        xKind={axis === "time" ? "elapsed" : "number"}
        logarithmic={logarithmic}
        height={190}
        label={`${name} by ${axis}: ${count(points.length, "point")}, last ${last ? shortNumber(last.value) : "–"}`}
      />
    </figure>
  );
}
