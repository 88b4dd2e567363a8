import { useQueries, useQuery } from "@tanstack/react-query";
import { Link, getRouteApi, useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { getExperiment } from "../api/experiment";
import { getRun, runDuration, type Run } from "../api/run";
import { seriesVariable } from "../chart/colour";
import { columnNumber, exactNumber, shortNumber } from "../format/number";
import { duration } from "../format/time";
import { Icon } from "../part/Icon";
import { Ago, StatusMark } from "../part/Marks";
import { Empty, Failure, Loading } from "../part/Notes";
import { RunLink } from "../part/RunLink";
import { useNow } from "../part/now";
import { bestValue, usualBest } from "../runs/best";
import { MetricChart } from "./MetricChart";
import { metricRows, originRows, paramRows, type MetricRow, type TextRow } from "./difference";

const route = getRouteApi("/compare");
/** More columns than this nobody reads. */
export const MOST_RUNS = 30;

export function ComparePage() {
  const { runs: idsText = "" } = route.useSearch();
  const ids = useMemo(() => [...new Set(idsText.split(",").filter((id) => id !== ""))].slice(0, MOST_RUNS), [idsText]);
  const queries = useQueries({
    queries: ids.map((id) => ({
      queryKey: ["run", id],
      queryFn: ({ signal }: { signal: AbortSignal }) => getRun(id, signal),
    })),
    combine: (results) => ({
      runs: results.map((result) => result.data).filter((run) => run !== undefined),
      pending: results.some((result) => result.isPending),
      error: results.find((result) => result.isError)?.error,
      retry: () => results.forEach((result) => result.isError && void result.refetch()),
    }),
  });

  return (
    <div className="page">
      <title>{`Compare ${ids.length} runs · Matraz`}</title>
      <Crumbs runs={queries.runs} />
      <div className="page-head">
        <h1>Compare {ids.length > 1 ? `${ids.length} runs` : "runs"}</h1>
      </div>
      {queries.pending ? (
        <Loading what="runs" rows={8} />
      ) : queries.error ? (
        <Failure error={queries.error} what="runs" onRetry={queries.retry} />
      ) : ids.length < 2 ? (
        <Empty title="Nothing to compare yet">
          <p>Select two or more runs in the table of an experiment, then choose Compare.</p>
        </Empty>
      ) : (
        <Comparison runs={queries.runs} />
      )}
    </div>
  );
}

function Crumbs({ runs }: { runs: readonly Run[] }) {
  const experiments = new Set(runs.map((run) => run.experimentId));
  const [experimentId] = experiments;
  const experiment = useQuery({
    queryKey: ["experiment", experimentId],
    queryFn: ({ signal }) => getExperiment(experimentId ?? "", signal),
    enabled: experiments.size === 1,
  });
  return (
    <nav className="crumbs" aria-label="Breadcrumb">
      <Link to="/experiments">Experiments</Link>
      {experiments.size === 1 && experimentId !== undefined && (
        <Link to="/experiments/$experimentId" params={{ experimentId }}>
          {experiment.data?.name ?? "Runs"}
        </Link>
      )}
    </nav>
  );
}

function Comparison({ runs }: { runs: Run[] }) {
  const [onlyDifferences, setOnlyDifferences] = useState(false);
  const navigate = useNavigate();
  const now = useNow();
  const params = useMemo(() => paramRows(runs), [runs]);
  const metrics = useMemo(() => metricRows(runs), [runs]);
  const origins = useMemo(() => originRows(runs), [runs]);
  const shown = <R extends { differs: boolean }>(rows: R[]) => (onlyDifferences ? rows.filter((row) => row.differs) : rows);
  const remove = (id: string) => {
    const rest = runs.filter((run) => run.id !== id).map((run) => run.id);
    void navigate({ to: "/compare", search: { runs: rest.join(",") } });
  };
  const span = runs.length + 1;

  return (
    <>
      {metrics.length > 0 && <MetricChart runs={runs} metrics={metrics} />}
      <div className="plot-tools">
        <label className="check">
          <input type="checkbox" checked={onlyDifferences} onChange={(event) => setOnlyDifferences(event.target.checked)} />
          Only differences
        </label>
      </div>
      <div className="table-frame scroll-x" tabIndex={0} role="group" aria-label="Comparison">
        <table className="compare" aria-label="Runs side by side">
          <thead>
            <tr>
              <td />
              {runs.map((run, index) => (
                <th key={run.id} scope="col">
                  <span className="compare-run">
                    <span className="swatch" style={{ background: seriesVariable(index) }} />
                    <RunLink run={run} />
                    {runs.length > 2 && (
                      <button
                        type="button"
                        className="icon-button small"
                        aria-label={`Take ${run.name} out`}
                        title="Take out"
                        onClick={() => remove(run.id)}
                      >
                        <Icon name="close" size={12} />
                      </button>
                    )}
                  </span>
                  <span className="compare-sub">
                    <StatusMark status={run.status} /> <Ago at={run.startTime} />
                  </span>
                </th>
              ))}
            </tr>
          </thead>
          <Section title="Metrics" span={span} rows={shown(metrics)} nothing={metrics.length === 0 ? "none logged" : "no differences"}>
            {(row: MetricRow) => <MetricCells key={row.key} row={row} />}
          </Section>
          <Section title="Parameters" span={span} rows={shown(params)} nothing={params.length === 0 ? "none logged" : "no differences"}>
            {(row: TextRow) => <TextCells key={row.key} row={row} />}
          </Section>
          {origins.length > 0 && (
            <Section title="Code and data" span={span} rows={shown(origins)} nothing="no differences">
              {(row: TextRow) => <TextCells key={row.key} row={row} code />}
            </Section>
          )}
          {!onlyDifferences && (
            <tbody>
              <tr className="section">
                <th colSpan={span} scope="colgroup">
                  <span>Run</span>
                </th>
              </tr>
              <tr>
                <th scope="row">duration</th>
                {runs.map((run) => {
                  const length = runDuration(run, now);
                  return <td key={run.id}>{length === undefined ? "–" : duration(length)}</td>;
                })}
              </tr>
              <tr>
                <th scope="row">user</th>
                {runs.map((run) => (
                  <td key={run.id}>{run.user || "–"}</td>
                ))}
              </tr>
            </tbody>
          )}
        </table>
      </div>
    </>
  );
}

interface SectionProps<R> {
  title: string;
  span: number;
  rows: R[];
  nothing: string;
  children: (row: R) => React.ReactNode;
}

function Section<R>({ title, span, rows, nothing, children }: SectionProps<R>) {
  return (
    <tbody>
      <tr className="section">
        <th colSpan={span} scope="colgroup">
          <span>{title}</span>
        </th>
      </tr>
      {rows.length === 0 ? (
        <tr>
          <td className="muted" colSpan={span}>
            {nothing}
          </td>
        </tr>
      ) : (
        rows.map(children)
      )}
    </tbody>
  );
}

function MetricCells({ row }: { row: MetricRow }) {
  const best = bestValue(row.values, usualBest(row.key));
  const first = row.values[0];
  return (
    <tr className={row.differs ? "differs" : undefined}>
      <th scope="row" title={row.key}>
        {row.key}
      </th>
      {row.values.map((value, index) => (
        <td key={index} className="number">
          {value === undefined ? (
            <span className="muted">–</span>
          ) : (
            <>
              <span className={value === best ? "best-mark" : undefined} title={exactNumber(value)}>
                {columnNumber(value)}
                {value === best && <span className="hidden"> (best)</span>}
              </span>
              {index > 0 && first !== undefined && value !== first && Number.isFinite(value - first) && (
                <span className="delta" title="Difference to the first run">
                  {value > first ? "+" : ""}
                  {shortNumber(Number((value - first).toPrecision(2)))}
                </span>
              )}
            </>
          )}
        </td>
      ))}
    </tr>
  );
}

function TextCells({ row, code = false }: { row: TextRow; code?: boolean }) {
  return (
    <tr className={row.differs ? "differs" : undefined}>
      <th scope="row" title={row.key}>
        {row.key}
      </th>
      {row.values.map((value, index) => {
        const changed = row.differs && index > 0 && value !== row.values[0];
        return (
          <td key={index} className={changed ? "changed" : undefined}>
            {value === undefined ? (
              <span className="muted">–</span>
            ) : code ? (
              <code title={value}>{value.slice(0, 10)}</code>
            ) : (
              <span title={value}>{value}</span>
            )}
          </td>
        );
      })}
    </tr>
  );
}
