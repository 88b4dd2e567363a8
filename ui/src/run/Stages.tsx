import { useQuery } from "@tanstack/react-query";
import { CACHED_TAG, STAGE_TAG, childRuns, isCached, isPipeline, runDuration, type Run } from "../api/run";
import { duration } from "../format/time";
import { CachedMark, StatusMark } from "../part/Marks";
import { RunLink } from "../part/RunLink";
import { useNow } from "../part/now";

const LIVE = 3000;

/** The stages of a pipeline run in the order they ran, or the runs nested below any other run. */
export function Stages({ run }: { run: Run }) {
  const now = useNow();
  const children = useQuery({
    queryKey: ["runs", run.experimentId, "below", run.id],
    queryFn: ({ signal }) => childRuns(run, signal),
    refetchInterval: run.status === "RUNNING" ? LIVE : false,
  });
  const stages = children.data ?? [];
  if (stages.length === 0 && !isPipeline(run)) return null;
  const longest = Math.max(1, ...stages.map((stage) => runDuration(stage, now) ?? 0));
  return (
    <section className="panel" aria-label={isPipeline(run) ? "Stages" : "Nested runs"}>
      <h2>
        {isPipeline(run) ? "Stages" : "Nested runs"} <span className="count">{stages.length}</span>
      </h2>
      {children.isSuccess && stages.length === 0 && (
        <p className="muted">No stage had to run: everything was up to date.</p>
      )}
      <ol className="stages">
        {stages.map((stage) => {
          const length = runDuration(stage, now);
          const source = stage.tags.get(CACHED_TAG);
          return (
            <li key={stage.id}>
              <StatusMark status={stage.status} />
              <RunLink run={stage}>{stage.tags.get(STAGE_TAG) ?? stage.name}</RunLink>
              {isCached(stage) &&
                (source !== undefined && /^[0-9a-f]{32}$/.test(source) ? (
                  <RunLink run={{ id: source, experimentId: stage.experimentId }} quiet title="The run that made these outputs"><CachedMark /></RunLink>
                ) : (
                  <CachedMark />
                ))}
              <span className="stage-bar" aria-hidden="true">
                <span style={{ width: `${((length ?? 0) / longest) * 100}%` }} />
              </span>
              <span className="number muted">{length === undefined ? "" : duration(length)}</span>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
