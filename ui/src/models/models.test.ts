import { describe, expect, it } from "vitest";
import { readRun } from "../api/run";
import { chooseMetrics } from "./ModelPage";
import { aliasesOf, sortAliases } from "./alias";
import { readMoves } from "./history";

describe("aliases", () => {
  const aliases = [
    { alias: "previous", version: "1" },
    { alias: "challenger", version: "3" },
    { alias: "champion", version: "1" },
  ];
  it("start with the champion", () => {
    expect(sortAliases(aliases).map((entry) => entry.alias)).toEqual(["champion", "challenger", "previous"]);
    expect(aliasesOf(aliases, "1")).toEqual(["champion", "previous"]);
    expect(aliasesOf(undefined, "1")).toEqual([]);
  });
});

describe("readMoves", () => {
  it("reads the journal, newest first, and skips what is none", () => {
    const journal = [
      { action: "promote", version: "1", at: "2026-01-01T10:00:00Z", by: "ana" },
      { action: "rollback", version: "2", at: "2026-01-02T10:00:00Z", by: "leo", reason: "slow" },
      { version: "9" },
    ];
    const moves = readMoves([
      { key: "matraz.alias.champion", value: JSON.stringify(journal) },
      { key: "matraz.alias.other", value: "not json" },
      { key: "team", value: "health" },
    ]);
    expect(moves.map((move) => [move.alias, move.action, move.version, move.reason])).toEqual([
      ["champion", "rollback", "2", "slow"],
      ["champion", "promote", "1", undefined],
    ]);
  });
});

describe("chooseMetrics", () => {
  const run = (metrics: string[]) =>
    readRun({ info: { run_id: "a", experiment_id: "1" }, data: { metrics: metrics.map((key) => ({ key, value: 1 })) } });
  it("prefers metrics of the whole that can be good or bad", () => {
    expect(chooseMetrics([run(["recall.a", "epoch", "accuracy"]), undefined])).toEqual(["accuracy", "epoch"]);
  });
  it("takes what there is", () => {
    expect(chooseMetrics([run(["recall.a", "precision.a"])])).toEqual(["precision.a", "recall.a"]);
    expect(chooseMetrics([])).toEqual([]);
  });
});
