import { expect, test } from "vitest";
import type { Lineage } from "../api/lineage";
import { branches } from "./tree";

const lineage: Lineage = {
  subjects: ["version:m/1"],
  nodes: [
    { id: "version:m/1", kind: "version", label: "m version 1" },
    { id: "run:a", kind: "run", label: "pipeline run a" },
    { id: "run:b", kind: "run", label: "stage run b" },
    { id: "data:x", kind: "data", label: "raw.csv" },
    { id: "commit:c", kind: "commit", label: "commit c" },
    { id: "alias:m@champion", kind: "alias", label: "m@champion" },
  ],
  edges: [
    { from: "run:a", to: "version:m/1", how: "registered" },
    { from: "run:b", to: "run:a", how: "part" },
    { from: "data:x", to: "run:b", how: "read" },
    { from: "data:x", to: "run:a", how: "read" },
    { from: "commit:c", to: "run:a", how: "code" },
    { from: "version:m/1", to: "alias:m@champion", how: "alias" },
  ],
};

test("what is behind comes as a tree, commits first", () => {
  const [run] = branches(lineage, true);
  expect(run?.node.id).toBe("run:a");
  expect(run?.branches.map(({ node }) => node.id)).toEqual(["commit:c", "data:x", "run:b"]);
});

test("what was made from it goes the other way", () => {
  expect(branches(lineage, false).map(({ node }) => node.label)).toEqual(["m@champion"]);
});

test("a circle ends at the subject", () => {
  const circle: Lineage = {
    subjects: ["data:x"],
    nodes: lineage.nodes,
    edges: [
      { from: "data:x", to: "run:a", how: "read" },
      { from: "run:a", to: "data:x", how: "made" },
    ],
  };
  expect(branches(circle, false)[0]?.branches).toEqual([]);
});
