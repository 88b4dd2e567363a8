import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { getLineage } from "../api/lineage";
import { ShortId } from "../part/Copy";
import { LineagePanel } from "./LineagePanel";

const route = getRouteApi("/data/$digest");

/** Data of one digest: what made them, and which runs and models used them. */
export function DataPage() {
  const { digest } = route.useParams();
  const query = useQuery({
    queryKey: ["lineage", digest],
    queryFn: ({ signal }) => getLineage(digest, signal),
  });
  const node = query.data?.nodes.find(({ id }) => id === `data:${digest}`);
  const name = node && node.label !== digest ? node.label : "Data";
  return (
    <div className="page">
      <title>{`${name} · Matraz`}</title>
      <div className="page-head">
        <h1>{name}</h1>
        <ShortId id={digest} what="the digest" />
      </div>
      <LineagePanel subject={digest} />
    </div>
  );
}
