import { expect, it } from "vitest";
import { mlflowAddress } from "./mlflow_address";

it.each([
  ["", undefined],
  ["#main", undefined],
  ["#/experiments/1", "/experiments/1"],
  ["#/experiments/1/runs", "/experiments/1"],
  ["#/experiments/1/runs/abc", "/experiments/1/runs/abc"],
  ["#/experiments/1/runs/abc/artifacts/model", "/experiments/1/runs/abc/artifacts"],
  ["#/experiments/1/runs/abc/model-metrics", "/experiments/1/runs/abc/metrics"],
  ["#/models", "/models"],
  ["#/models/obesity/versions/2", "/models/obesity/versions/2"],
  ['#/compare-runs?runs=["a","b"]&experiments=["1"]', "/compare?runs=a,b"],
  ["#/compare-runs?runs=nonsense", "/experiments"],
  ["#/prompts", "/experiments"],
])("leads %s to %s", (hash, address) => expect(mlflowAddress(hash)).toBe(address));
