import { expect, it } from "vitest";
import { readRun } from "../api/run";
import { metricRows, originRows, paramRows } from "./difference";

const run = (id: string, seed: string | undefined, accuracy: number | string, digest: string) =>
  readRun({
    info: { run_id: id, experiment_id: "1" },
    data: {
      params: [{ key: "depth", value: "12" }, ...(seed === undefined ? [] : [{ key: "seed", value: seed }])],
      metrics: [
        { key: "accuracy", value: accuracy },
        { key: "a.recall", value: 1 },
      ],
      tags: [{ key: "mlflow.source.git.commit", value: "c0ffee" }],
    },
    inputs: { dataset_inputs: [{ dataset: { name: "raw.csv", digest } }] },
  });

it("tells what differs from what is the same", () => {
  const runs = [run("a", "1", 0.9, "d1"), run("b", undefined, 0.9, "d2")];
  expect(paramRows(runs)).toEqual([
    { key: "depth", values: ["12", "12"], differs: false },
    { key: "seed", values: ["1", undefined], differs: true },
  ]);
  expect(originRows(runs)).toEqual([
    { key: "commit", values: ["c0ffee", "c0ffee"], differs: false },
    { key: "raw.csv", values: ["d1", "d2"], differs: true },
  ]);
});

it("puts metrics of the whole first and holds NaN equal to NaN", () => {
  const rows = metricRows([run("a", "1", "NaN", "d"), run("b", "1", "NaN", "d")]);
  expect(rows.map((row) => [row.key, row.differs])).toEqual([
    ["accuracy", false],
    ["a.recall", false],
  ]);
});
