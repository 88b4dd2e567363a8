import { describe, expect, it } from "vitest";
import { countConfusion } from "./confusion";
import { readDelimited, readRecords } from "./delimited";
import { isPicture, readPlots } from "./listing";
import { plotBars, plotSeries } from "./series";

describe("readDelimited", () => {
  it("reads quoted cells, CRLF and short rows", () => {
    const table = readDelimited('\uFEFFname,note\r\na,"x, ""y""\nz"\r\n\r\nb\r\n');
    expect(table.columns).toEqual(["name", "note"]);
    expect(table.rows).toEqual([
      ["a", 'x, "y"\nz'],
      ["b", ""],
    ]);
  });
  it("reads tabs, and a last line without an end", () => {
    expect(readDelimited("a\tb\n1\t2", "\t").rows).toEqual([["1", "2"]]);
  });
  it("has no rows for an empty file", () => {
    expect(readDelimited("")).toEqual({ columns: [], rows: [] });
  });
});

describe("readRecords", () => {
  it("finds the list inside", () => {
    expect(readRecords({ train: [{ step: 1, loss: 0.5 }, { step: 2 }] })).toEqual({
      columns: ["step", "loss"],
      rows: [
        ["1", "0.5"],
        ["2", ""],
      ],
    });
  });
  it.each([[{}], [[1, 2]], ["text"], [null]])("finds none in %j", (value) => {
    expect(readRecords(value)).toBeUndefined();
  });
});

describe("readPlots", () => {
  it("keeps entries with a file and fills what is missing", () => {
    const plots = readPlots('[{"file":"a.csv"},{"id":"x"},{"id":"c","file":"c.csv","template":"confusion","x":"p","y":"a","title":"C"}]');
    expect(plots.map((plot) => [plot.id, plot.template, plot.title, plot.y])).toEqual([
      ["a.csv", "linear", "a", []],
      ["c", "confusion", "C", ["a"]],
    ]);
  });
  it("says what is wrong", () => {
    expect(() => readPlots("{")).toThrow("not JSON");
    expect(() => readPlots("{}")).toThrow("list");
  });
  it("knows pictures by name", () => {
    expect(isPicture("plots/roc.PNG")).toBe(true);
    expect(isPicture("plots/png.csv")).toBe(false);
  });
});

describe("countConfusion", () => {
  const table = { columns: ["actual", "predicted"], rows: [["b", "b"], ["b", "a"], ["a", "a"], ["a", "a"]] };
  it("counts by actual, then predicted", () => {
    expect(countConfusion(table, "actual", "predicted")).toEqual({
      labels: ["a", "b"],
      counts: [
        [2, 0],
        [1, 1],
      ],
      total: 4,
      agreement: 0.75,
    });
  });
  it("sorts numbers as numbers", () => {
    const digits = { columns: ["a", "p"], rows: [["10", "9"], ["2", "2"]] };
    expect(countConfusion(digits, "a", "p")?.labels).toEqual(["2", "9", "10"]);
  });
  it("needs both columns", () => {
    expect(countConfusion(table, "truth", "predicted")).toBeUndefined();
  });
});

describe("plotSeries", () => {
  it("draws y over x in order of x, with gaps", () => {
    const table = { columns: ["epoch", "loss"], rows: [["2", "0.5"], ["1", "1"], ["3", ""]] };
    expect(plotSeries(table, { x: "epoch", y: ["loss"] })).toEqual({
      x: [1, 2, 3],
      lines: [{ name: "loss", values: [1, 0.5, null] }],
      xName: "epoch",
    });
  });
  it("takes the row and the last numeric column without x and y", () => {
    const table = { columns: ["tag", "loss"], rows: [["a", "3"], ["b", "4"]] };
    expect(plotSeries(table, { y: [] })).toEqual({ x: [0, 1], lines: [{ name: "loss", values: [3, 4] }], xName: "row" });
  });
  it("splits repeated x by a column of words", () => {
    const table = { columns: ["n", "acc", "split"], rows: [["1", "5", "train"], ["1", "4", "test"], ["2", "6", "train"]] };
    expect(plotSeries(table, { x: "n", y: ["acc"] })?.lines).toEqual([
      { name: "train", values: [5, 6] },
      { name: "test", values: [4, null] },
    ]);
  });
  it("has nothing to draw without numbers", () => {
    expect(plotSeries({ columns: ["a"], rows: [["x"]] }, { y: [] })).toBeUndefined();
  });
});

describe("plotBars", () => {
  const table = { columns: ["feature", "importance"], rows: [["Age", "0.1"], ["Weight", "0.5"]] };
  it("keeps the file's order, or sorts", () => {
    const plot = { x: "importance", y: ["feature"], template: "bar_horizontal" };
    expect(plotBars(table, plot)?.map((bar) => bar.name)).toEqual(["Age", "Weight"]);
    expect(plotBars(table, { ...plot, template: "bar_horizontal_sorted" })?.[0]).toEqual({ name: "Weight", value: 0.5 });
  });
  it("finds the columns itself", () => {
    expect(plotBars(table, { y: [], template: "bar_horizontal" })).toHaveLength(2);
  });
});
