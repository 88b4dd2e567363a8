import { keepPreviousData, useInfiniteQuery, useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, getRouteApi, useNavigate } from "@tanstack/react-router";
import type { ExpandedState, RowSelectionState } from "@tanstack/react-table";
import { useCallback, useMemo, useState } from "react";
import { ApiError } from "../api/client";
import { getExperiment } from "../api/experiment";
import { PARENT_TAG, childRuns, deleteRun, isPipeline, searchRuns, type Run, type RunPage } from "../api/run";
import { ExperimentMenu } from "../experiments/ExperimentMenu";
import { count } from "../format/number";
import { Command } from "../part/Copy";
import { Confirm } from "../part/Confirm";
import { Icon } from "../part/Icon";
import { Empty, Failure, Loading } from "../part/Notes";
import { useNarrow } from "../part/narrow";
import { Segments } from "../part/Segments";
import { useKey } from "../shell/keys";
import { ColumnPicker } from "./ColumnPicker";
import { FilterBox } from "./FilterBox";
import { RunTable, type RunRow } from "./RunTable";
import { usualBest } from "./best";
import { useTableChoice } from "./choice";
import { arrangeColumns, defaultColumns, knownKeys, readColumn, type Column } from "./column";
import { composeFilter } from "./filter";
import { nextOrder, orderClause, orderText, sortNumericParams, type Order } from "./order";

const route = getRouteApi("/experiments/$experimentId/");
const PAGE = 200;
const FIRST_CHILDREN = 500;
const LIVE = 4000;
const NO_RUNS: Run[] = [];

function readOrder(text: string | undefined): Order | undefined {
  if (text === undefined) return undefined;
  const descending = text.startsWith("-");
  const found = readColumn(descending ? text.slice(1) : text);
  return found && { column: found, descending };
}

async function search(
  experimentId: string,
  filter: string,
  nested: boolean,
  order: Order | undefined,
  pageToken: string | undefined,
  signal: AbortSignal,
): Promise<RunPage> {
  const orderBy = order && orderClause(order);
  try {
    return await searchRuns(
      { experimentId, filter: composeFilter(filter, nested), orderBy, pageToken, pageSize: PAGE },
      signal,
    );
  } catch (error) {
    // The complaint must be about what the user wrote, not about the clause that was put after it.
    if (error instanceof ApiError && error.status === 400 && nested && filter !== "") {
      await searchRuns({ experimentId, filter, orderBy, pageSize: 1 }, signal);
    }
    throw error;
  }
}

export function RunsPage() {
  const { experimentId } = route.useParams();
  const { filter = "", sort, view = "nested" } = route.useSearch();
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const order = useMemo(() => readOrder(sort), [sort]);
  const nested = view === "nested";
  const [choice, setChoice] = useTableChoice(experimentId);
  const [selection, setSelection] = useState<RowSelectionState>({});
  const [expanded, setExpanded] = useState<ExpandedState>({});
  const narrow = useNarrow();
  const [picking, setPicking] = useState(false);
  const [deleting, setDeleting] = useState(false);

  const experiment = useQuery({
    queryKey: ["experiment", experimentId],
    queryFn: ({ signal }) => getExperiment(experimentId, signal),
  });
  const query = useInfiniteQuery({
    queryKey: ["runs", experimentId, { filter, nested, sort }],
    queryFn: ({ pageParam, signal }) => search(experimentId, filter, nested, order, pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextPageToken,
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) =>
      state.data?.pages.some((page) => page.runs.some((run) => run.status === "RUNNING")) ? LIVE : false,
  });
  // Which runs have others below them is written only in those others.
  const nestedRuns = useQuery({
    queryKey: ["runs", experimentId, "children"],
    queryFn: async ({ signal }) => {
      const filterChildren = `tags.\`${PARENT_TAG}\` IS NOT NULL`;
      return (await searchRuns({ experimentId, filter: filterChildren, pageSize: FIRST_CHILDREN }, signal)).runs;
    },
    enabled: nested,
  });

  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  const loaded = useMemo(() => query.data?.pages.flatMap((page) => page.runs) ?? NO_RUNS, [query.data]);
  const runs = useMemo(() => (hasNextPage ? loaded : sortNumericParams(loaded, order)), [loaded, hasNextPage, order]);

  const openIds = useMemo(
    () => (nested && typeof expanded === "object" ? Object.keys(expanded).filter((id) => expanded[id]) : []),
    [nested, expanded],
  );
  const open = useQueries({
    queries: openIds.map((id) => ({
      queryKey: ["runs", experimentId, "below", id],
      queryFn: ({ signal }: { signal: AbortSignal }) => childRuns({ id, experimentId }, signal),
    })),
    combine: (results) => results.map((result) => result.data),
  });

  const rows = useMemo<RunRow[]>(() => {
    if (!nested) return runs.map((run) => ({ run, expandable: false }));
    const parents = new Set((nestedRuns.data ?? NO_RUNS).map((run) => run.tags.get(PARENT_TAG)));
    const below = new Map(openIds.map((id, index) => [id, open[index]]));
    const row = (run: Run): RunRow => ({
      run,
      expandable: isPipeline(run) || parents.has(run.id),
      children: below.get(run.id)?.map(row),
    });
    return runs.map(row);
  }, [nested, runs, nestedRuns.data, openIds, open]);

  const keys = useMemo(() => knownKeys([...runs, ...(nestedRuns.data ?? NO_RUNS)]), [runs, nestedRuns.data]);
  const columns = useMemo(() => arrangeColumns(choice.columns ?? defaultColumns(runs), narrow), [choice.columns, runs, narrow]);

  const change = useCallback(
    (next: { filter?: string; sort?: string; view?: "nested" | "flat" }) =>
      void navigate({
        to: "/experiments/$experimentId",
        params: { experimentId },
        search: (before) => {
          const all = { ...before, ...next };
          return {
            filter: all.filter || undefined,
            sort: all.sort || undefined,
            view: all.view === "flat" ? "flat" : undefined,
          };
        },
        replace: true,
      }),
    [navigate, experimentId],
  );
  const onOrder = (column: Column) => {
    const best = choice.best[column.key] ?? usualBest(column.key);
    change({ sort: orderText(nextOrder(order, column, best)) });
  };

  const selected = Object.keys(selection).filter((id) => selection[id]);
  const compare = useCallback(() => {
    const ids = Object.keys(selection).filter((id) => selection[id]);
    if (ids.length >= 2) void navigate({ to: "/compare", search: { runs: ids.join(",") } });
  }, [selection, navigate]);
  useKey("c", compare);
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);

  const name = experiment.data?.name ?? `experiment ${experimentId}`;
  const badFilter = query.error instanceof ApiError && query.error.status === 400 && filter !== "";

  if (experiment.error instanceof ApiError && experiment.error.missing) {
    return (
      <div className="page">
        <title>No such experiment · Matraz</title>
        <Failure error={experiment.error} what="experiment" />
      </div>
    );
  }

  return (
    <div className="page tall">
      <title>{`${name} · Matraz`}</title>
      <nav className="crumbs" aria-label="Breadcrumb">
        <Link to="/experiments">Experiments</Link>
      </nav>
      <div className="page-head">
        <h1 title={name}>{name}</h1>
        {experiment.data && <ExperimentMenu experiment={experiment.data} />}
      </div>
      <div className="toolbar">
        <FilterBox filter={filter} onFilter={(next) => change({ filter: next })} error={query.error} keys={keys} />
        <div className="toolbar-end">
          <Segments
            label="Rows"
            value={view}
            onChange={(next) => change({ view: next })}
            options={[
              ["nested", "Nested"],
              ["flat", "Flat"],
            ]}
          />
          <button type="button" className="button" onClick={() => setPicking(true)}>
            <Icon name="columns" /> Columns
          </button>
          {selected.length > 0 && (
            <button
              type="button"
              className="icon-button"
              aria-label={`Delete ${count(selected.length, "selected run")}`}
              title={`Delete ${count(selected.length, "selected run")}`}
              onClick={() => setDeleting(true)}
            >
              <Icon name="trash" />
            </button>
          )}
          <button
            type="button"
            className="button primary"
            disabled={selected.length < 2}
            title={selected.length < 2 ? "Select two or more runs" : undefined}
            onClick={compare}
          >
            <Icon name="compare" /> Compare{selected.length > 0 ? ` (${selected.length})` : ""}
          </button>
        </div>
      </div>

      {query.isPending ? (
        <Loading what="runs" rows={8} />
      ) : query.isError && !badFilter ? (
        <Failure error={query.error} what="runs" onRetry={() => void query.refetch()} />
      ) : badFilter ? (
        <p className="muted table-note">The filter is not in force: correct it, or clear it to see all runs.</p>
      ) : rows.length === 0 ? (
        filter === "" ? (
          <Empty title="No runs yet">
            <p>Run a pipeline, and every stage is recorded here:</p>
            <Command>matraz repro</Command>
            <p>or log from Python with MLflow’s client:</p>
            <Command>{`mlflow.set_tracking_uri("${location.origin}")`}</Command>
            {name !== "" && <Command>{`mlflow.set_experiment("${name}")`}</Command>}
          </Empty>
        ) : (
          <Empty title={nested ? "No top-level run fits this filter" : "No run fits this filter"}>
            {nested && (
              <button type="button" className="button" onClick={() => change({ view: "flat" })}>
                Look among stages and nested runs, too
              </button>
            )}
            <button type="button" className="button" onClick={() => change({ filter: "" })}>
              Clear the filter
            </button>
          </Empty>
        )
      ) : (
        <>
          <RunTable
            label={`Runs of ${name}`}
            rows={rows}
            columns={columns}
            order={order}
            onOrder={onOrder}
            best={choice.best}
            selection={selection}
            onSelection={setSelection}
            expanded={expanded}
            onExpanded={setExpanded}
            onEnd={onEnd}
            more={hasNextPage}
            stale={query.isPlaceholderData}
          />
          <p className="table-note" role="status">
            {count(runs.length, nested ? "top-level run" : "run")}
            {hasNextPage && " loaded, more when you scroll"}
            {selected.length > 0 && ` · ${selected.length} selected`}
          </p>
        </>
      )}

      <ColumnPicker
        open={picking}
        onClose={() => setPicking(false)}
        keys={keys}
        shown={columns}
        choice={choice}
        onChoice={setChoice}
      />
      <Confirm
        open={deleting}
        onClose={() => setDeleting(false)}
        title={`Delete ${count(selected.length, "run")}?`}
        action="Delete"
        onConfirm={async () => {
          for (const id of selected) await deleteRun(id);
          setSelection({});
          await queryClient.invalidateQueries({ queryKey: ["runs"] });
        }}
      >
        <p>
          They disappear from the table. Until <code>mlflow gc</code> removes them for good, they can be brought back with{" "}
          <code>mlflow runs restore</code>.
        </p>
      </Confirm>
    </div>
  );
}
