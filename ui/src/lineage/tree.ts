import type { Lineage, LineageEdge, LineageKind, LineageNode } from "../api/lineage";

export interface Branch {
  node: LineageNode;
  edge: LineageEdge;
  branches: Branch[];
  /** It stands further up with all that is behind it. */
  again: boolean;
}

const RANK: Record<LineageKind, number> = { commit: 0, data: 1, version: 2, alias: 2, run: 3, stage: 3 };

/** What is behind (`up`) or made from the subject, each thing with its branches once. */
export function branches(lineage: Lineage, up: boolean): Branch[] {
  const nodes = new Map(lineage.nodes.map((node) => [node.id, node]));
  const asked = new Set(lineage.subjects);
  // Nothing leads back to the subject, and what a run made is not followed to other runs of it.
  const next = (id: string) =>
    lineage.edges
      .filter((edge) => (up ? edge.to : edge.from) === id)
      .filter((edge) => !asked.has(up ? edge.from : edge.to))
      .filter(() => up || asked.has(id) || !id.startsWith("data:"))
      .flatMap((edge) => {
        const node = nodes.get(up ? edge.from : edge.to);
        return node ? [{ node, edge }] : [];
      })
      .sort((a, b) => RANK[a.node.kind] - RANK[b.node.kind]);
  const seen = new Set(lineage.subjects);
  const grow = (id: string): Branch[] =>
    next(id).map(({ node, edge }) => {
      const again = seen.has(node.id) && next(node.id).length > 0;
      seen.add(node.id);
      return { node, edge, again, branches: again ? [] : grow(node.id) };
    });
  return lineage.subjects.flatMap(grow);
}
