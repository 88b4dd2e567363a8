import { expect, it } from "vitest";
import { alignHistories } from "./history";

const point = (step: number, value: number, timestamp = step * 10) => ({ step, value, timestamp });

it("joins the steps of several runs", () => {
  const { x, lines } = alignHistories(
    [
      { name: "a", points: [point(0, 1), point(2, 3)] },
      { name: "b", points: [point(1, 5), point(2, 6), point(2, 7)], colour: 4 },
    ],
    "step",
  );
  expect(x).toEqual([0, 1, 2]);
  expect(lines).toEqual([
    { name: "a", values: [1, null, 3], colour: undefined },
    { name: "b", values: [null, 5, 7], colour: 4 },
  ]);
});

it("counts time from the start of each run", () => {
  const { x, lines } = alignHistories([{ name: "a", points: [point(0, 1, 1000), point(1, 2, 1500)], start: 900 }], "time");
  expect(x).toEqual([100, 600]);
  expect(lines[0]?.values).toEqual([1, 2]);
});

it("leaves gaps for what cannot be drawn", () => {
  const { lines } = alignHistories([{ name: "a", points: [point(0, Number.NaN), point(1, Number.MAX_VALUE)] }], "step");
  expect(lines[0]?.values).toEqual([null, null]);
});
