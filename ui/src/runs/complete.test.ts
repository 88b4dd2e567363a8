import { describe, expect, it } from "vitest";
import { completions } from "./complete";

const keys = { metrics: ["accuracy", "val acc", "loss"], params: ["seed"], tags: ["mlflow.user"] };
const labels = (text: string) => completions(text, text.length, keys).map((entry) => entry.label);

describe("completions", () => {
  it.each([
    ["", ["metrics.", "params.", "tags.", "attributes.", "dataset."]],
    ["me", ["metrics."]],
    ["metrics.", ["metrics.accuracy", "metrics.val acc", "metrics.loss"]],
    ["metrics.acc", ["metrics.accuracy", "metrics.val acc"]],
    ["metrics.accuracy", []],
    ["metrics.accuracy ", []],
    ["metrics.accuracy > 0", []],
    ["params.seed = 'me", []],
    ["params.seed = '1' AND ", ["metrics.", "params.", "tags.", "attributes.", "dataset."]],
    ["params.seed = '1' AND attributes.st", ["attributes.status", "attributes.start_time"]],
    ["nothing.", []],
  ])("of %j", (text, expected) => expect(labels(text)).toEqual(expected));

  it("replaces the word under the caret and quotes odd names", () => {
    expect(completions("metrics.val > 1", 11, keys)[0]).toEqual({
      label: "metrics.val acc",
      text: "metrics.`val acc`  > 1",
      caret: 18,
    });
    expect(completions("tags.user", 9, keys)[0]?.text).toBe("tags.mlflow.user ");
  });
});
