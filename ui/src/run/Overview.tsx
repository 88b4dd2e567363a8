import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { versionsOfRun } from "../api/model";
import {
  CACHED_SAVED_TAG,
  COMMIT_TAG,
  DIRTY_TAG,
  ERROR_TAG,
  EXIT_CODE_TAG,
  GATE_RULES_TAG,
  GATE_TAG,
  HOST_TAG,
  PARENT_TAG,
  PEAK_MEMORY_TAG,
  STAGE_TAG,
  runDuration,
  type Run,
} from "../api/run";
import { bytes, exactNumber, shortNumber } from "../format/number";
import { duration } from "../format/time";
import { LineagePanel } from "../lineage/LineagePanel";
import { ShortId } from "../part/Copy";
import { Ago } from "../part/Marks";
import { useNow } from "../part/now";
import { KeyTable } from "./KeyTable";
import { Stages } from "./Stages";
import { readDigest } from "./dataset";

/** Tags that are shown elsewhere on the page, or that say nothing to a reader. */
const SHOWN_ELSEWHERE = new Set([
  COMMIT_TAG,
  DIRTY_TAG,
  ERROR_TAG,
  EXIT_CODE_TAG,
  GATE_RULES_TAG,
  GATE_TAG,
  HOST_TAG,
  PARENT_TAG,
  PEAK_MEMORY_TAG,
  "mlflow.note.content",
  "mlflow.runName",
  "mlflow.source.git.branch",
  "mlflow.user",
]);

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
  const dirty = run.tags.get(DIRTY_TAG) === "true";
  const host = run.tags.get(HOST_TAG);
  const memory = Number(run.tags.get(PEAK_MEMORY_TAG) ?? Number.NaN);
  const saved = Number(run.tags.get(CACHED_SAVED_TAG) ?? Number.NaN);
  const note = run.tags.get("mlflow.note.content");
  const versions = useQuery({
    queryKey: ["versions", "of-run", run.id],
    queryFn: ({ signal }) => versionsOfRun(run.id, signal),
  });
  const metrics = [...run.metrics].sort(([a], [b]) => Number(a.includes(".")) - Number(b.includes(".")) || a.localeCompare(b));
  const params = [...run.params].sort(([a], [b]) => a.localeCompare(b));
  const error = run.tags.get(ERROR_TAG);
  const exitCode = run.tags.get(EXIT_CODE_TAG);
  const tags = [...run.tags].filter(([key]) => !SHOWN_ELSEWHERE.has(key)).sort(([a], [b]) => a.localeCompare(b));

  return (
    <div className="overview">
      <dl className="facts">
        <Fact name="Started">
          <Ago at={run.startTime} />
        </Fact>
        <Fact name="Duration">{length === undefined ? "–" : duration(length)}</Fact>
        {Number.isFinite(saved) && <Fact name="Saved by the run cache">{duration(saved * 1000)}</Fact>}
        {Number.isFinite(memory) && <Fact name="Peak memory">{bytes(memory)}</Fact>}
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
        {host && <Fact name="Machine">{host}</Fact>}
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
      {error && (
        <div className="callout" role="note" aria-label="Why it failed">
          <pre>
            {error}
            {exitCode && !error.includes(exitCode) ? ` (exit code ${exitCode})` : ""}
          </pre>
          {run.tags.has(STAGE_TAG) && (
            <Link
              className="button small"
              to="/experiments/$experimentId/runs/$runId/{-$tab}"
              params={{ experimentId: run.experimentId, runId: run.id, tab: "artifacts" }}
              search={{ path: "matraz/stage.log" }}
            >
              What the command printed
            </Link>
          )}
        </div>
      )}
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
          <Gate run={run} />
          <KeyTable
            title="Parameters"
            empty="This run logged no parameters."
            rows={params.map(([key, value]) => ({ key, value: <span title={value}>{value}</span> }))}
          />
          <Data run={run} />
          <LineagePanel subject={`runs:/${run.id}`} />
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

/** The verdict of the last gate over this run, rule by rule. */
function Gate({ run }: { run: Run }) {
  const verdict = run.tags.get(GATE_TAG);
  if (verdict === undefined) return null;
  const kind = verdict === "pass" ? "good" : verdict === "fail" ? "bad" : "warn";
  return (
    <section className="panel" aria-label="Gate">
      <h2>
        Gate <span className={`chip ${kind}`}>{verdict}</span>
      </h2>
      <ul className="gate-rules">
        {readRules(run.tags.get(GATE_RULES_TAG)).map((rule) => (
          <li key={rule}>{rule}</li>
        ))}
      </ul>
    </section>
  );
}

function readRules(json: string | undefined): string[] {
  try {
    const rules: unknown = JSON.parse(json ?? "[]");
    return Array.isArray(rules) ? rules.filter((rule): rule is string => typeof rule === "string") : [];
  } catch {
    return [];
  }
}

function Data({ run }: { run: Run }) {
  if (run.inputs.length === 0) return null;
  // What went in comes before what came out.
  const made = (context: string | undefined) => Number(context === "output");
  const inputs = [...run.inputs].sort((a, b) => made(a.context) - made(b.context) || a.name.localeCompare(b.name));
  return (
    <section className="panel" aria-label="Data">
      <h2>Data</h2>
      <div className="scroll-x">
        <table className="keys">
          <tbody>
            {inputs.map((input) => (
              <tr key={`${input.name}/${input.digest}`}>
                <th scope="row" title={input.name}>
                  <Link to="/data/$digest" params={{ digest: readDigest(input) }} className="quiet">
                    {input.name}
                  </Link>
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
