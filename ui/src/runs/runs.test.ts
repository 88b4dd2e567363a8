import { describe, expect, it } from "vitest";
import { readRun, type Run } from "../api/run";
import { bestValue, usualBest } from "./best";
import { readChoice } from "./choice";
import { arrangeColumns, column, columnReference, defaultColumns, readColumn } from "./column";
import { composeFilter, readFilterFault } from "./filter";
import { nextOrder, orderClause, orderText, sortNumericParams } from "./order";

function run(id: string, params: Record<string, string>, metrics: Record<string, number> = {}): Run {
  return readRun({
    info: { run_id: id, experiment_id: "1", status: "FINISHED" },
    data: {
      params: Object.entries(params).map(([key, value]) => ({ key, value })),
      metrics: Object.entries(metrics).map(([key, value]) => ({ key, value })),
    },
  });
}

describe("usualBest", () => {
  it.each([
    ["accuracy", "highest"],
    ["val_accuracy", "highest"],
    ["f1_macro", "highest"],
    ["recall.Obesity_Type_I", "highest"],
    ["testAUC", "highest"],
    ["test_AUC", "highest"],
    ["train.loss", "lowest"],
    ["valLoss", "lowest"],
    ["log_loss", "lowest"],
    ["rmse", "lowest"],
    ["wall_seconds", "lowest"],
    ["epoch", "none"],
    ["glossary", "none"],
  ])("of %s is %s", (key, best) => expect(usualBest(key)).toBe(best));
});

describe("bestValue", () => {
  it("picks an end", () => {
    expect(bestValue([0.8, undefined, 0.9, Number.NaN], "highest")).toBe(0.9);
    expect(bestValue([0.8, 0.9], "lowest")).toBe(0.8);
  });
  it("marks nothing without a choice", () => {
    expect(bestValue([0.8], "highest")).toBeUndefined();
    expect(bestValue([0.8, 0.8], "highest")).toBeUndefined();
    expect(bestValue([], "lowest")).toBeUndefined();
    expect(bestValue([1, 2], "none")).toBeUndefined();
  });
});

describe("columns", () => {
  it("are written as the grammar needs them", () => {
    expect(columnReference(column("metrics", "accuracy"))).toBe("metrics.accuracy");
    expect(columnReference(column("metrics", "recall.Obesity_Type_I"))).toBe("metrics.recall.Obesity_Type_I");
    expect(columnReference(column("metrics", "val/loss at 1"))).toBe("metrics.`val/loss at 1`");
    expect(columnReference(column("attributes", "start_time"))).toBe("attributes.start_time");
    expect(columnReference(column("attributes", "duration"))).toBeUndefined();
  });
  it("are read back, and nonsense is not", () => {
    expect(readColumn("params.a.b")).toEqual({ id: "params.a.b", group: "params", key: "a.b" });
    for (const id of ["", "params", "params.", "other.x", "attributes.nothing"]) expect(readColumn(id)).toBeUndefined();
  });
  it("start with what differs", () => {
    const runs = [
      run("a", { seed: "1", depth: "3", n: "100" }, { accuracy: 1, "recall.x": 1 }),
      run("b", { seed: "1", depth: "4", n: "200" }, { accuracy: 2 }),
    ];
    expect(defaultColumns(runs).map((entry) => entry.id)).toEqual([
      "attributes.start_time",
      "attributes.duration",
      "metrics.accuracy",
      "params.depth",
      "params.n",
      "params.seed",
      "attributes.commit",
    ]);
  });
  it("stand in the order of the table", () => {
    const chosen = [column("attributes", "commit"), column("params", "p"), column("metrics", "m"), column("attributes", "start_time")];
    expect(arrangeColumns(chosen).map((entry) => entry.key)).toEqual(["start_time", "m", "p", "commit"]);
    expect(arrangeColumns(chosen, true).map((entry) => entry.key)).toEqual(["m", "p", "commit", "start_time"]);
  });
});

describe("order", () => {
  const accuracy = column("metrics", "accuracy");
  it("goes best first, then the other way, then off", () => {
    const first = nextOrder(undefined, accuracy, "highest");
    expect(orderText(first)).toBe("-metrics.accuracy");
    const second = nextOrder(first, accuracy, "highest");
    expect(orderText(second)).toBe("metrics.accuracy");
    expect(nextOrder(second, accuracy, "highest")).toBeUndefined();
    expect(orderText(nextOrder(undefined, accuracy, "lowest"))).toBe("metrics.accuracy");
  });
  it("becomes a clause", () => {
    expect(orderClause({ column: accuracy, descending: true })).toBe("metrics.accuracy DESC");
    expect(orderClause({ column: column("attributes", "duration"), descending: true })).toBeUndefined();
  });
  it("sorts numbers in params as numbers, missing ones last", () => {
    const runs = [run("a", { n: "100" }), run("b", {}), run("c", { n: "50" })];
    const ids = (descending: boolean) => sortNumericParams(runs, { column: column("params", "n"), descending }).map((each) => each.id);
    expect(ids(false)).toEqual(["c", "a", "b"]);
    expect(ids(true)).toEqual(["a", "c", "b"]);
  });
  it("leaves words as the server sent them", () => {
    const runs = [run("a", { n: "x" }), run("b", { n: "1" })];
    expect(sortNumericParams(runs, { column: column("params", "n"), descending: false })).toBe(runs);
  });
});

describe("composeFilter", () => {
  it.each([
    ["", false, undefined],
    [" ", true, "tags.`mlflow.parentRunId` IS NULL"],
    ["metrics.a > 1", false, "metrics.a > 1"],
    ["metrics.a > 1", true, "metrics.a > 1 AND tags.`mlflow.parentRunId` IS NULL"],
  ])("of %j, nested %s", (filter, nested, composed) => expect(composeFilter(filter, nested)).toBe(composed));
});

describe("readFilterFault", () => {
  it("reads the caret below the echoed filter", () => {
    const message = "unknown operator `=>`\n  metrics.accuracy => 0.8\n                   ^^\nuse one of = != > >= < <=";
    expect(readFilterFault("metrics.accuracy => 0.8", message)).toEqual({
      sentence: "unknown operator `=>`",
      detail: "use one of = != > >= < <=",
      place: { start: 17, end: 19 },
    });
  });
  it("marks the word that a single caret points at", () => {
    const message = "Invalid filter: a number is expected\n  metrics.accuracy > abc AND x\n                     ^";
    expect(readFilterFault("metrics.accuracy > abc AND x", message).place).toEqual({ start: 19, end: 22 });
  });
  it("reads a caret one past the end", () => {
    const message = "a value is missing\n  metrics.accuracy >\n                    ^ expected a number";
    expect(readFilterFault("metrics.accuracy >", message)).toEqual({
      sentence: "a value is missing",
      detail: "expected a number",
      place: { start: 18, end: 19 },
    });
  });
  it("finds what MLflow quotes", () => {
    const message = "Invalid clause(s) in filter string: 'OR'";
    expect(readFilterFault("metrics.a > 1 OR params.x = '1'", message).place).toEqual({ start: 14, end: 16 });
  });
  it("finds the value that is named last", () => {
    const message = "Expected numeric value type for metric. Found abc";
    expect(readFilterFault("metrics.a > abc", message).place).toEqual({ start: 12, end: 15 });
  });
  it("does not point at the right answers", () => {
    const message = "Invalid entity type 'foo'. Valid values are ['metric', 'parameter']";
    expect(readFilterFault("foo.metric = 1", message).place).toEqual({ start: 0, end: 3 });
  });
  it("keeps a message it cannot place", () => {
    expect(readFilterFault("x", "no idea\n  more")).toEqual({ sentence: "no idea", detail: "more", place: undefined });
  });
});

describe("readChoice", () => {
  it("forgets what it does not understand", () => {
    expect(readChoice('{"columns":["metrics.a","bad",3],"best":{"a":"lowest","b":"sideways"}}')).toEqual({
      columns: [column("metrics", "a")],
      best: { a: "lowest" },
    });
    expect(readChoice("{")).toEqual({ best: {} });
    expect(readChoice(null)).toEqual({ columns: undefined, best: {} });
  });
});
