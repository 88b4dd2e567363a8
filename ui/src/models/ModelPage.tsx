import { useInfiniteQuery, useQueries, useQuery } from "@tanstack/react-query";
import { Link, getRouteApi } from "@tanstack/react-router";
import { useMemo } from "react";
import { getModel, modelVersions, type ModelVersion } from "../api/model";
import { getRun, type Run } from "../api/run";
import { columnNumber, exactNumber } from "../format/number";
import { Command } from "../part/Copy";
import { AliasMark, Ago } from "../part/Marks";
import { Empty, Failure, Loading } from "../part/Notes";
import { RunLink } from "../part/RunLink";
import { bestValue, usualBest } from "../runs/best";
import { aliasesOf, sortAliases } from "./alias";
import { isHistory, readMoves, type Move } from "./history";

const route = getRouteApi("/models/$name/");
/** Versions whose runs are asked for their metrics. */
const MOST_RUNS = 50;
const MOST_METRICS = 4;

/** The metrics that say most in a narrow table: those of the whole, and first those that can be good or bad. */
export function chooseMetrics(runs: readonly (Run | undefined)[]): string[] {
  const known = runs.filter((run) => run !== undefined);
  const all = [...new Set(known.flatMap((run) => [...run.metrics.keys()]))];
  const whole = all.filter((key) => !/[./]/.test(key));
  const weight = (key: string) => Number(usualBest(key) === "none");
  return (whole.length > 0 ? whole : all).sort((a, b) => weight(a) - weight(b) || a.localeCompare(b)).slice(0, MOST_METRICS);
}

export function ModelPage() {
  const { name } = route.useParams();
  const model = useQuery({ queryKey: ["model", name], queryFn: ({ signal }) => getModel(name, signal) });
  const query = useInfiniteQuery({
    queryKey: ["versions", name],
    queryFn: ({ pageParam, signal }) => modelVersions(name, pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextPageToken,
  });
  const versions = useMemo(() => query.data?.pages.flatMap((page) => page.versions) ?? [], [query.data]);
  const tags = (model.data?.tags ?? []).filter((tag) => !isHistory(tag));
  const champion = model.data?.aliases?.find(({ alias }) => alias === "champion");

  return (
    <div className="page">
      <title>{`${name} · Models · Matraz`}</title>
      <nav className="crumbs" aria-label="Breadcrumb">
        <Link to="/models">Models</Link>
      </nav>
      <div className="page-head">
        <h1 title={name}>{name}</h1>
        <span className="aliases">
          {sortAliases(model.data?.aliases ?? []).map(({ alias, version }) => (
            <Link key={alias} className="quiet" to="/models/$name/versions/$version" params={{ name, version }}>
              <AliasMark alias={alias} /> v{version}
            </Link>
          ))}
        </span>
      </div>
      {model.isError ? (
        <Failure error={model.error} what="model" onRetry={() => void model.refetch()} />
      ) : query.isError ? (
        <Failure error={query.error} what="versions" onRetry={() => void query.refetch()} />
      ) : model.isPending || query.isPending ? (
        <Loading what="the model" />
      ) : (
        <>
          {model.data.description && <p className="note">{model.data.description}</p>}
          {tags.length > 0 && (
            <p className="chips">
              {tags.map((tag) => (
                <span key={tag.key} className="chip">
                  {tag.key}: {tag.value}
                </span>
              ))}
            </p>
          )}
          {versions.length === 0 ? (
            <Empty title="No versions yet">
              <Command>{`mlflow.register_model("runs:/RUN_ID/model", "${name}")`}</Command>
            </Empty>
          ) : (
            <>
              <Versions name={name} versions={versions} aliases={model.data.aliases} />
              {query.hasNextPage && (
                <button type="button" className="button" onClick={() => void query.fetchNextPage()}>
                  Show more
                </button>
              )}
              <section className="panel" aria-label="Serve the model">
                <h2>Serve it</h2>
                <Command>{`matraz models serve -m models:/${name}${champion ? "@champion" : `/${versions[0]?.version ?? 1}`}`}</Command>
              </section>
              <History name={name} moves={readMoves(model.data.tags ?? [])} />
            </>
          )}
        </>
      )}
    </div>
  );
}

/** Promotions and rollbacks, from the journal that Matraz keeps with the model. */
function History({ name, moves }: { name: string; moves: readonly Move[] }) {
  if (moves.length === 0) return null;
  return (
    <section className="panel" aria-label="History of the aliases">
      <h2>History</h2>
      <ol className="moves">
        {moves.map((move, index) => (
          <li key={index}>
            <span className="muted move-time">
              <Ago at={move.at} />
            </span>
            <span>
              <AliasMark alias={move.alias} /> {move.action === "rollback" ? "rolled back to" : "moved to"}{" "}
              <Link to="/models/$name/versions/$version" params={{ name, version: move.version }}>
                version {move.version}
              </Link>
              {move.by && <span className="muted"> by {move.by}</span>}
              {move.reason && <span className="muted">: {move.reason}</span>}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

interface VersionsProps {
  name: string;
  versions: readonly ModelVersion[];
  aliases: Parameters<typeof aliasesOf>[0];
}

function Versions({ name, versions, aliases }: VersionsProps) {
  const runs = useQueries({
    queries: versions.slice(0, MOST_RUNS).map((version) => ({
      queryKey: ["run", version.run_id ?? ""],
      queryFn: ({ signal }: { signal: AbortSignal }) => getRun(version.run_id ?? "", signal),
      enabled: Boolean(version.run_id),
      retry: false,
    })),
    combine: (results) => results.map((result) => result.data),
  });
  const metrics = useMemo(() => chooseMetrics(runs), [runs]);
  const best = metrics.map((key) => bestValue(runs.map((run) => run?.metrics.get(key)?.value), usualBest(key)));
  return (
    <div className="table-frame scroll-x" tabIndex={0} role="group" aria-label="Versions">
      <table className="list versions" aria-label={`Versions of ${name}`}>
        <thead>
          <tr>
            <th scope="col">Version</th>
            <th scope="col">Aliases</th>
            {metrics.map((key) => (
              <th key={key} scope="col" className="number" title={key}>
                {key}
              </th>
            ))}
            <th scope="col">Run</th>
            <th scope="col">Created</th>
          </tr>
        </thead>
        <tbody>
          {versions.map((version, index) => {
            const run = runs[index];
            return (
              <tr key={version.version}>
                <th scope="row">
                  <Link to="/models/$name/versions/$version" params={{ name, version: version.version }}>
                    Version {version.version}
                  </Link>
                  {version.status && version.status !== "READY" && (
                    <span className="chip warn">{version.status === "PENDING_REGISTRATION" ? "pending" : "failed"}</span>
                  )}
                </th>
                <td>
                  <span className="aliases">
                    {aliasesOf(aliases, version.version).map((alias) => (
                      <AliasMark key={alias} alias={alias} />
                    ))}
                  </span>
                </td>
                {metrics.map((key, at) => {
                  const value = run?.metrics.get(key)?.value;
                  return (
                    <td key={key} className="number">
                      {value === undefined ? (
                        <span className="muted">–</span>
                      ) : (
                        <span className={value === best[at] ? "best-mark" : undefined} title={exactNumber(value)}>
                          {columnNumber(value)}
                        </span>
                      )}
                    </td>
                  );
                })}
                <td>
                  {run ? (
                    <RunLink run={run} quiet />
                  ) : (
                    <span className="muted">{version.run_id ? version.run_id.slice(0, 8) : "none"}</span>
                  )}
                </td>
                <td>
                  <Ago at={version.creation_timestamp} />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
