import { useQuery } from "@tanstack/react-query";
import { CACHED_FROM_TAG, childRuns, isPipeline, type Run } from "../api/run";
import { duration } from "../format/time";
import { CachedMark, StatusMark } from "../part/Marks";
import { Failure } from "../part/Notes";
import { RunLink } from "../part/RunLink";
import { useNow } from "../part/now";
import { loadStageList, stageRows, type StageRow } from "./pipeline";

const LIVE = 3000;
const NO_RUNS: Run[] = [];

/** The stages of a pipeline run in the order of the pipeline, or the runs nested below any other run. */
export function Stages({ run }: { run: Run }) {
  const now = useNow();
  const pipeline = isPipeline(run);
  const refetchInterval = run.status === "RUNNING" ? LIVE : false;
  const children = useQuery({
    queryKey: ["runs", run.experimentId, "below", run.id],
    queryFn: ({ signal }) => childRuns(run, signal),
    refetchInterval,
  });
  const list = useQuery({
    queryKey: ["stages", run.id, run.status],
    queryFn: ({ signal }) => loadStageList(run.id, signal),
    enabled: pipeline && run.status !== "RUNNING",
  });
  const rows = stageRows(list.data ?? null, children.data ?? NO_RUNS, now);
  if (!pipeline && rows.length === 0) return null;
  const longest = Math.max(0.001, ...rows.map((row) => row.seconds ?? 0));
  const title = pipeline ? "Stages" : "Nested runs";
  return (
    <section className="panel" aria-label={title}>
      <h2>
        {title} <span className="count">{rows.length}</span>
      </h2>
      {children.isError && <Failure error={children.error} what="stages" onRetry={() => void children.refetch()} />}
      <ol className="stages">
        {rows.map((row) => (
          <StageLine key={row.run?.id ?? row.name} row={row} longest={longest} />
        ))}
      </ol>
    </section>
  );
}

const QUIET: Partial<Record<StageRow["status"], [word: string, meaning: string]>> = {
  unchanged: ["unchanged", "Nothing it depends on had changed"],
  frozen: ["frozen", "Frozen in dvc.yaml: not run whatever changes"],
  waiting: ["not reached", "The pipeline ended before this stage"],
};

function StageLine({ row, longest }: { row: StageRow; longest: number }) {
  const { name, status, run, seconds } = row;
  const quiet = QUIET[status];
  const from = run?.tags.get(CACHED_FROM_TAG);
  return (
    <li className={quiet ? "quiet-stage" : undefined}>
      {run ? <StatusMark status={run.status} /> : <span className="stage-dot" aria-hidden="true" />}
      {run ? <RunLink run={run}>{name}</RunLink> : <span>{name}</span>}
      {quiet && (
        <span className="muted stage-word" title={quiet[1]}>
          {quiet[0]}
        </span>
      )}
      {status === "cached" &&
        (run && from ? (
          <RunLink run={{ id: from, experimentId: run.experimentId }} quiet title="The run that made these outputs">
            <CachedMark />
          </RunLink>
        ) : (
          <CachedMark />
        ))}
      {!quiet && (
        <span className="stage-bar" aria-hidden="true">
          <span
            className={status === "cached" ? "saved" : undefined}
            style={{ width: `${((seconds ?? 0) / longest) * 100}%` }}
          />
        </span>
      )}
      {!quiet && seconds !== undefined && (
        <span className="number muted" title={status === "cached" ? "Time saved by the run cache" : undefined}>
          {status === "cached" ? "saved " : ""}
          {duration(seconds * 1000)}
        </span>
      )}
    </li>
  );
}
