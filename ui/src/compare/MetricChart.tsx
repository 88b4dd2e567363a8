import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { metricHistory } from "../api/metric";
import type { Run } from "../api/run";
import { LineChart } from "../chart/LineChart";
import { seriesVariable } from "../chart/colour";
import { alignHistories, type XAxis } from "../chart/history";
import { exactNumber, shortNumber } from "../format/number";
import { Segments } from "../part/Segments";
import { bestValue, usualBest } from "../runs/best";
import type { MetricRow } from "./difference";

/** One metric of all runs: lines when some run has a history, bars when all have a single value. */
export function MetricChart({ runs, metrics }: { runs: Run[]; metrics: MetricRow[] }) {
  const [wanted, setWanted] = useState<string>();
  const [axis, setAxis] = useState<XAxis>("step");
  const key = metrics.find((row) => row.key === wanted)?.key ?? metrics.find((row) => row.differs)?.key ?? metrics[0]?.key ?? "";
  const ids = useMemo(() => runs.map((run) => run.id), [runs]);
  const history = useQuery({
    queryKey: ["history", ids, key],
    queryFn: ({ signal }) => metricHistory(ids, key, signal),
  });
  const lines = useMemo(() => {
    const named = runs.map((run, index) => ({
      name: run.name,
      points: history.data?.get(run.id) ?? [],
      colour: index,
      start: run.startTime,
    }));
    return named.some((each) => each.points.length > 1) ? alignHistories(named, axis) : undefined;
  }, [runs, history.data, axis]);

  return (
    <section className="panel" aria-label="Chart">
      <div className="plot-tools">
        <label className="labelled inline">
          Metric
          <select className="field" value={key} onChange={(event) => setWanted(event.target.value)}>
            {metrics.map((row) => (
              <option key={row.key}>{row.key}</option>
            ))}
          </select>
        </label>
        {lines && (
          <Segments
            label="Horizontal axis"
            value={axis}
            onChange={setAxis}
            options={[
              ["step", "Step"],
              ["time", "Time"],
            ]}
          />
        )}
      </div>
      {lines ? (
        <LineChart
          x={lines.x}
          lines={lines.lines}
          xName={axis}
          xKind={axis === "time" ? "elapsed" : "number"}
          height={260}
          label={`${key} by ${axis} of ${runs.length} runs`}
        />
      ) : (
        <RunBars runs={runs} metric={key} />
      )}
    </section>
  );
}

function RunBars({ runs, metric }: { runs: readonly Run[]; metric: string }) {
  const values = runs.map((run) => run.metrics.get(metric)?.value);
  const finite = values.filter((value): value is number => value !== undefined && Number.isFinite(value));
  const best = bestValue(values, usualBest(metric));
  const most = Math.max(0, ...finite);
  const least = Math.min(0, ...finite);
  const span = most - least || 1;
  return (
    <table className="bars runs-bars" aria-label={`${metric} of ${runs.length} runs`}>
      <tbody>
        {runs.map((run, index) => {
          const value = values[index];
          const drawn = value !== undefined && Number.isFinite(value) ? value : 0;
          return (
            <tr key={run.id}>
              <th scope="row" title={run.name}>
                <span className="swatch" style={{ background: seriesVariable(index) }} /> {run.name}
              </th>
              <td className="bar-cell" aria-hidden="true">
                <span
                  style={{
                    background: seriesVariable(index),
                    marginInlineStart: `${((Math.min(0, drawn) - least) / span) * 100}%`,
                    width: `${(Math.abs(drawn) / span) * 100}%`,
                  }}
                />
              </td>
              <td className="number">
                {value === undefined ? (
                  <span className="muted">–</span>
                ) : (
                  <span className={value === best ? "best-mark" : undefined} title={exactNumber(value)}>
                    {shortNumber(value)}
                  </span>
                )}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
