import { useQuery } from "@tanstack/react-query";
import { Link, getRouteApi } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { getModel, getModelVersion, type ModelVersion } from "../api/model";
import { COMMIT_TAG } from "../api/run";
import { LineagePanel } from "../lineage/LineagePanel";
import { exactNumber, shortNumber } from "../format/number";
import { Command, ShortId } from "../part/Copy";
import { AliasMark, Ago, StatusMark } from "../part/Marks";
import { Failure, Loading } from "../part/Notes";
import { RunLink } from "../part/RunLink";
import { KeyTable } from "../run/KeyTable";
import { useRun } from "../run/RunPage";
import { aliasesOf } from "./alias";

const route = getRouteApi("/models/$name/versions/$version");

export function VersionPage() {
  const { name, version } = route.useParams();
  const model = useQuery({ queryKey: ["model", name], queryFn: ({ signal }) => getModel(name, signal) });
  const query = useQuery({
    queryKey: ["version", name, version],
    queryFn: ({ signal }) => getModelVersion(name, version, signal),
  });
  const aliases = aliasesOf(model.data?.aliases, version);
  const reference = `models:/${name}${aliases[0] ? `@${aliases[0]}` : `/${version}`}`;
  return (
    <div className="page">
      <title>{`${name} v${version} · Models · Matraz`}</title>
      <nav className="crumbs" aria-label="Breadcrumb">
        <Link to="/models">Models</Link>
        <Link to="/models/$name" params={{ name }}>
          {name}
        </Link>
      </nav>
      <div className="page-head">
        <h1>Version {version}</h1>
        <span className="aliases">
          {aliases.map((alias) => (
            <AliasMark key={alias} alias={alias} />
          ))}
        </span>
      </div>
      {query.isPending ? (
        <Loading what="the version" />
      ) : query.isError ? (
        <Failure error={query.error} what="version" onRetry={() => void query.refetch()} />
      ) : (
        <>
          {query.data.description && <p className="note">{query.data.description}</p>}
          <dl className="facts">
            <div>
              <dt>Created</dt>
              <dd>
                <Ago at={query.data.creation_timestamp} />
              </dd>
            </div>
            <div>
              <dt>Status</dt>
              <dd title={query.data.status_message}>
                {query.data.status === "READY" ? "ready" : query.data.status === "FAILED_REGISTRATION" ? "failed" : "pending"}
              </dd>
            </div>
            {query.data.current_stage && query.data.current_stage !== "None" && (
              <div>
                <dt>Stage</dt>
                <dd>{query.data.current_stage}</dd>
              </div>
            )}
            {query.data.source && (
              <div className="grow">
                <dt>Source</dt>
                <dd>
                  <code className="wrap">{query.data.source}</code>
                </dd>
              </div>
            )}
          </dl>
          <section className="panel" aria-label="Use the model">
            <h2>Use it</h2>
            <Command>{`matraz models serve -m ${reference}`}</Command>
            <Command>{`mlflow.pyfunc.load_model("${reference}")`}</Command>
          </section>
          <LineagePanel subject={`models:/${name}/${version}`} />
          {query.data.run_id ? (
            <SourceRun runId={query.data.run_id}>
              <Tags version={query.data} />
            </SourceRun>
          ) : (
            <Tags version={query.data} />
          )}
        </>
      )}
    </div>
  );
}

function Tags({ version }: { version: ModelVersion }) {
  return (
    <KeyTable
      title="Tags of this version"
      empty="This version has no tags."
      rows={(version.tags ?? []).map((tag) => ({ key: tag.key, value: tag.value }))}
    />
  );
}

/** The run that made the model: its metrics and parameters are the model's own. */
function SourceRun({ runId, children }: { runId: string; children: ReactNode }) {
  const run = useRun(runId);
  if (run.isPending) return <Loading what="the run" rows={3} />;
  if (run.isError) {
    return (
      <>
        <Failure error={run.error} what="run of this version" />
        {children}
      </>
    );
  }
  const commit = run.data.tags.get(COMMIT_TAG);
  return (
    <>
      <section className="panel" aria-label="Run">
        <h2>Made by</h2>
        <p className="made-by">
          <StatusMark status={run.data.status} />
          <RunLink run={run.data} />
          <span className="muted">
            <Ago at={run.data.startTime} />
          </span>
          {commit && (
            <span className="muted">
              at commit <ShortId id={commit} what="the commit" />
            </span>
          )}
        </p>
      </section>
      <div className="columns">
        <KeyTable
          title="Metrics"
          empty="The run logged no metrics."
          rows={[...run.data.metrics]
            .sort(([a], [b]) => Number(a.includes(".")) - Number(b.includes(".")) || a.localeCompare(b))
            .map(([key, metric]) => ({
              key,
              value: <span title={exactNumber(metric.value)}>{shortNumber(metric.value)}</span>,
              numeric: true,
            }))}
        />
        <div>
          <KeyTable
            title="Parameters"
            empty="The run logged no parameters."
            rows={[...run.data.params].sort(([a], [b]) => a.localeCompare(b)).map(([key, value]) => ({ key, value }))}
          />
          {children}
        </div>
      </div>
    </>
  );
}
