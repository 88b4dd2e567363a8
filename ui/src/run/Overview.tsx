import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { versionsOfRun } from "../api/model";
import { COMMIT_TAG, runDuration, type Run } from "../api/run";
import { exactNumber, shortNumber } from "../format/number";
import { duration } from "../format/time";
import { ShortId } from "../part/Copy";
import { Ago } from "../part/Marks";
import { useNow } from "../part/now";
import { KeyTable } from "./KeyTable";
import { Stages } from "./Stages";
import { readDigest } from "./dataset";

/** Tags that are shown elsewhere on the page, or that say nothing to a reader. */
const SHOWN_ELSEWHERE = new Set([COMMIT_TAG, "mlflow.runName", "mlflow.user", "mlflow.parentRunId", "mlflow.source.git.branch", "mlflow.note.content"]);

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export function Overview({ run }: { run: Run }) {
  const now = useNow();
  const length = runDuration(run, now);
  const commit = run.tags.get(COMMIT_TAG);
  const branch = run.tags.get("mlflow.source.git.branch");
  const dirty = run.tags.get("matraz.dirty") === "true" || run.tags.get("mlflow.source.git.dirty") === "true";
  const note = run.tags.get("mlflow.note.content");
  const versions = useQuery({
    queryKey: ["versions", "of-run", run.id],
    queryFn: ({ signal }) => versionsOfRun(run.id, signal),
  });
  const metrics = [...run.metrics].sort(([a], [b]) => Number(a.includes(".")) - Number(b.includes(".")) || a.localeCompare(b));
  const params = [...run.params].sort(([a], [b]) => a.localeCompare(b));
  const tags = [...run.tags].filter(([key]) => !SHOWN_ELSEWHERE.has(key)).sort(([a], [b]) => a.localeCompare(b));

  return (
    <div className="overview">
      <dl className="facts">
        <Fact name="Started">
          <Ago at={run.startTime} />
        </Fact>
        <Fact name="Duration">{length === undefined ? "–" : duration(length)}</Fact>
        {run.user !== "" && <Fact name="User">{run.user}</Fact>}
        <Fact name="Commit">
          {commit ? (
            <>
              <ShortId id={commit} what="the commit" />
              {branch && <span className="muted"> on {branch}</span>}
              {dirty && (
                <span className="chip warn" title="The working tree had changes that are not in this commit">
                  changed
                </span>
              )}
            </>
          ) : (
            <span className="muted">not recorded</span>
          )}
        </Fact>
        {versions.data && versions.data.length > 0 && (
          <Fact name="Registered as">
            {versions.data.map((version) => (
              <Link
                key={`${version.name}/${version.version}`}
                to="/models/$name/versions/$version"
                params={{ name: version.name, version: version.version }}
              >
                {version.name} v{version.version}
              </Link>
            ))}
          </Fact>
        )}
      </dl>
      {note && <p className="note">{note}</p>}
      <div className="columns">
        <div>
          <KeyTable
            title="Metrics"
            empty="This run logged no metrics."
            rows={metrics.map(([key, metric]) => ({
              key,
              value: <span title={exactNumber(metric.value)}>{shortNumber(metric.value)}</span>,
              numeric: true,
            }))}
          />
        </div>
        <div>
          <Stages run={run} />
          <KeyTable
            title="Parameters"
            empty="This run logged no parameters."
            rows={params.map(([key, value]) => ({ key, value: <span title={value}>{value}</span> }))}
          />
          <Data run={run} />
          <KeyTable
            title="Tags"
            empty="This run has no further tags."
            rows={tags.map(([key, value]) => ({ key, value: <span title={value}>{value}</span> }))}
          />
        </div>
      </div>
    </div>
  );
}

function Data({ run }: { run: Run }) {
  if (run.inputs.length === 0) return null;
  return (
    <section className="panel" aria-label="Data">
      <h2>Data</h2>
      <div className="scroll-x">
        <table className="keys">
          <tbody>
            {run.inputs.map((input) => (
              <tr key={`${input.name}/${input.digest}`}>
                <th scope="row" title={input.name}>
                  {input.name}
                </th>
                <td className="muted">{input.context}</td>
                <td>
                  <ShortId id={readDigest(input)} what={`the digest of ${input.name}`} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
