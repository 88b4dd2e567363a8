import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { getLineage, type LineageNode } from "../api/lineage";
import { ShortId } from "../part/Copy";
import { Failure, Loading } from "../part/Notes";
import { RunLink } from "../part/RunLink";
import { branches, type Branch } from "./tree";

/** Things of one branch that are listed. */
const SHOWN = 12;

/** What is behind a run, a model version or data, and what was made from it. */
export function LineagePanel({ subject }: { subject: string }) {
  const query = useQuery({
    queryKey: ["lineage", subject],
    queryFn: ({ signal }) => getLineage(subject, signal),
  });
  return (
    <section className="panel lineage" aria-label="Lineage">
      <h2>Lineage</h2>
      {query.isPending ? (
        <Loading what="the lineage" rows={3} />
      ) : query.isError ? (
        <Failure error={query.error} what="lineage" onRetry={() => void query.refetch()} />
      ) : (
        <>
          <Side title="Behind it" nothing="Nothing is recorded behind it." found={branches(query.data, true)} />
          <Side title="Made from it" nothing="Nothing was made from it yet." found={branches(query.data, false)} />
        </>
      )}
    </section>
  );
}

function Side({ title, nothing, found }: { title: string; nothing: string; found: Branch[] }) {
  return (
    <>
      <h3>{title}</h3>
      {found.length === 0 ? <p className="muted">{nothing}</p> : <Branches found={found} />}
    </>
  );
}

function Branches({ found }: { found: Branch[] }) {
  return (
    <ul>
      {found.slice(0, SHOWN).map(({ node, edge, branches: below, again }) => (
        <li key={`${edge.how}/${node.id}`}>
          <NodeLine node={node} />
          {again && <span className="muted"> see above</span>}
          {below.length > 0 && <Branches found={below} />}
        </li>
      ))}
      {found.length > SHOWN && <li className="muted">and {found.length - SHOWN} more</li>}
    </ul>
  );
}

function NodeLine({ node }: { node: LineageNode }) {
  const facts = node.facts ?? {};
  const rest = node.id.slice(node.id.indexOf(":") + 1);
  switch (node.kind) {
    case "run":
      return (
        <>
          <RunLink run={{ id: rest, experimentId: facts.experiment_id ?? "0" }}>{node.label}</RunLink>
          {facts.cached && <span className="chip">cached</span>}
          {facts.uncommitted_code === "true" && <span className="chip warn">changed code</span>}
        </>
      );
    case "version": {
      const [name, version] = [rest.slice(0, rest.lastIndexOf("/")), rest.slice(rest.lastIndexOf("/") + 1)];
      return (
        <Link to="/models/$name/versions/$version" params={{ name, version }}>
          {node.label}
        </Link>
      );
    }
    case "alias":
      return <span className="chip">@{rest.slice(rest.lastIndexOf("@") + 1)}</span>;
    case "data":
      return (
        <>
          <Link to="/data/$digest" params={{ digest: rest }} title={rest}>
            {node.label}
          </Link>
          {facts.uncommitted && <span className="chip warn">not committed</span>}
        </>
      );
    case "commit":
      return (
        <>
          commit <ShortId id={rest} what="the commit" />
        </>
      );
    default:
      return <span>{node.label}</span>;
  }
}
