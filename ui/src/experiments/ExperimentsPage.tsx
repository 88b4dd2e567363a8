import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useRef, useState } from "react";
import { searchExperiments, type Experiment } from "../api/experiment";
import { searchRuns } from "../api/run";
import { count } from "../format/number";
import { Command } from "../part/Copy";
import { Ago, StatusMark } from "../part/Marks";
import { Empty, Failure, Loading } from "../part/Notes";
import { RunLink } from "../part/RunLink";
import { SearchBox } from "../part/SearchBox";
import { composeFilter } from "../runs/filter";
import { CreateExperiment, ExperimentMenu } from "./ExperimentMenu";

const route = getRouteApi("/experiments/");
/** The API counts nothing, so the newest runs are fetched; beyond this many the list says `50+`. */
const MOST_COUNTED = 50;

/** True once the element has come into view. */
function useSeen() {
  const element = useRef<HTMLTableRowElement>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const row = element.current;
    if (row === null || seen) return;
    const observer = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) setSeen(true);
    });
    observer.observe(row);
    return () => observer.disconnect();
  }, [seen]);
  return { element, seen };
}

function ExperimentRow({ experiment }: { experiment: Experiment }) {
  const { element, seen } = useSeen();
  const id = experiment.experiment_id;
  const runs = useQuery({
    queryKey: ["runs", id, "newest"],
    queryFn: async ({ signal }) => {
      const page = await searchRuns({ experimentId: id, filter: composeFilter("", true), pageSize: MOST_COUNTED }, signal);
      return { count: page.runs.length, more: page.nextPageToken !== undefined, newest: page.runs[0] };
    },
    enabled: seen,
  });
  return (
    <tr ref={element}>
      <th scope="row">
        <Link to="/experiments/$experimentId" params={{ experimentId: id }} title={experiment.name}>
          {experiment.name}
        </Link>
      </th>
      <td className="number">
        {runs.data ? (
          `${runs.data.count}${runs.data.more ? "+" : ""}`
        ) : runs.isError ? (
          <span title={runs.error.message}>?</span>
        ) : (
          <span className="muted">…</span>
        )}
      </td>
      <td>
        {runs.data?.newest ? (
          <span className="newest">
            <StatusMark status={runs.data.newest.status} />
            <RunLink run={{ id: runs.data.newest.id, experimentId: id }} quiet>{runs.data.newest.name}</RunLink>
            <span className="muted">
              <Ago at={runs.data.newest.startTime} />
            </span>
          </span>
        ) : (
          <span className="muted">{runs.data ? "no runs yet" : ""}</span>
        )}
      </td>
      <td className="wide-only">
        <Ago at={experiment.creation_time} />
      </td>
      <td className="row-actions">
        <ExperimentMenu experiment={experiment} />
      </td>
    </tr>
  );
}

export function ExperimentsPage() {
  const { q = "" } = route.useSearch();
  const navigate = useNavigate();
  const setSearch = useCallback(
    (next: string) => void navigate({ to: "/experiments", search: { q: next || undefined }, replace: true }),
    [navigate],
  );
  const query = useInfiniteQuery({
    queryKey: ["experiments", q],
    queryFn: ({ pageParam, signal }) => searchExperiments({ name: q, pageToken: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextPageToken || undefined,
    placeholderData: keepPreviousData,
  });
  const experiments = query.data?.pages.flatMap((page) => page.experiments) ?? [];
  const untouched = q === "" && experiments.length === 1 && experiments[0]?.experiment_id === "0";

  return (
    <div className="page">
      <title>Experiments · Matraz</title>
      <div className="page-head">
        <h1>Experiments</h1>
        <div className="page-head-end">
          <CreateExperiment />
        </div>
      </div>
      <SearchBox value={q} onChange={setSearch} label="Search experiments by name" />
      {query.isPending ? (
        <Loading what="experiments" />
      ) : query.isError ? (
        <Failure error={query.error} what="experiments" onRetry={() => void query.refetch()} />
      ) : experiments.length === 0 ? (
        q === "" ? (
          <Empty title="No experiments yet">
            <Start />
          </Empty>
        ) : (
          <Empty title={`No experiment has “${q}” in its name`} />
        )
      ) : (
        <>
          <div className="table-frame">
            <table className="list" aria-label="Experiments">
              <thead>
                <tr>
                  <th scope="col">Name</th>
                  <th scope="col" className="number">
                    Runs
                  </th>
                  <th scope="col">Newest run</th>
                  <th scope="col" className="wide-only">
                    Created
                  </th>
                  <th scope="col">
                    <span className="hidden">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {experiments.map((experiment) => (
                  <ExperimentRow key={experiment.experiment_id} experiment={experiment} />
                ))}
              </tbody>
            </table>
          </div>
          <p className="table-note" role="status">
            {count(experiments.length, "experiment")}
          </p>
          {query.hasNextPage && (
            <button
              type="button"
              className="button"
              disabled={query.isFetchingNextPage}
              onClick={() => void query.fetchNextPage()}
            >
              Show more
            </button>
          )}
          {untouched && (
            <Empty title="Nothing recorded yet">
              <Start />
            </Empty>
          )}
        </>
      )}
    </div>
  );
}

function Start() {
  return (
    <>
      <p>Start a project with an example pipeline and run it; every run is recorded here:</p>
      <Command>matraz init --example obesity</Command>
      <Command>matraz repro</Command>
      <p>Scripts that use MLflow’s client only need the address:</p>
      <Command>{`mlflow.set_tracking_uri("${location.origin}")`}</Command>
    </>
  );
}
