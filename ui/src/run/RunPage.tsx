import { useQuery } from "@tanstack/react-query";
import { Link, getRouteApi } from "@tanstack/react-router";
import { getExperiment } from "../api/experiment";
import { PARENT_TAG, STAGE_TAG, getRun, isCached, type Run } from "../api/run";
import { ShortId } from "../part/Copy";
import { CachedMark, StatusMark } from "../part/Marks";
import { Failure, Loading } from "../part/Notes";
import { RunLink } from "../part/RunLink";
import { ArtifactsTab } from "./ArtifactsTab";
import { MetricsTab } from "./MetricsTab";
import { Overview } from "./Overview";
import { PlotsTab } from "./PlotsTab";

const route = getRouteApi("/experiments/$experimentId/runs/$runId/{-$tab}");
const LIVE = 3000;

export const TABS = { overview: "Overview", metrics: "Metrics", plots: "Plots", artifacts: "Artifacts" } as const;
export type Tab = keyof typeof TABS;

export function useRun(runId: string) {
  return useQuery({
    queryKey: ["run", runId],
    queryFn: ({ signal }) => getRun(runId, signal),
    refetchInterval: ({ state }) => (state.data?.status === "RUNNING" ? LIVE : false),
  });
}

export function RunPage() {
  const { experimentId, runId, tab: tabParam } = route.useParams();
  const tab: Tab = tabParam !== undefined && tabParam in TABS ? (tabParam as Tab) : "overview";
  const run = useRun(runId);
  const experiment = useQuery({
    queryKey: ["experiment", experimentId],
    queryFn: ({ signal }) => getExperiment(experimentId, signal),
  });
  const parentId = run.data?.tags.get(PARENT_TAG);

  return (
    <div className="page">
      <title>{`${run.data?.name ?? "Run"} · ${tab === "overview" ? "" : `${TABS[tab]} · `}Matraz`}</title>
      <nav className="crumbs" aria-label="Breadcrumb">
        <Link to="/experiments">Experiments</Link>
        <Link to="/experiments/$experimentId" params={{ experimentId }}>
          {experiment.data?.name ?? `experiment ${experimentId}`}
        </Link>
        {parentId && <ParentLink experimentId={experimentId} parentId={parentId} />}
      </nav>
      {run.isPending ? (
        <Loading what="the run" rows={6} />
      ) : run.isError ? (
        <Failure error={run.error} what="run" onRetry={() => void run.refetch()} />
      ) : (
        <>
          <div className="page-head">
            <h1 title={run.data.name}>{run.data.name}</h1>
            <StatusMark status={run.data.status} word />
            {run.data.tags.get(STAGE_TAG) && <span className="chip">stage</span>}
            {isCached(run.data) && <CachedMark />}
            {run.data.deleted && <span className="chip">deleted</span>}
            <ShortId id={run.data.id} what="the run's id" />
          </div>
          <nav className="tabs" aria-label="Parts of the run">
            {(Object.keys(TABS) as Tab[]).map((each) => (
              <Link
                key={each}
                to="/experiments/$experimentId/runs/$runId/{-$tab}"
                params={{ experimentId, runId, tab: each === "overview" ? undefined : each }}
                activeOptions={{ exact: true, includeSearch: false }}
              >
                {TABS[each]}
              </Link>
            ))}
          </nav>
          <TabBody tab={tab} run={run.data} />
        </>
      )}
    </div>
  );
}

function TabBody({ tab, run }: { tab: Tab; run: Run }) {
  switch (tab) {
    case "metrics":
      return <MetricsTab run={run} />;
    case "plots":
      return <PlotsTab run={run} />;
    case "artifacts":
      return <ArtifactsTab run={run} />;
    default:
      return <Overview run={run} />;
  }
}

function ParentLink({ experimentId, parentId }: { experimentId: string; parentId: string }) {
  const parent = useRun(parentId);
  return (
    <RunLink run={{ id: parentId, experimentId }}>{parent.data?.name ?? parentId.slice(0, 8)}</RunLink>
  );
}
