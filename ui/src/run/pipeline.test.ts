import { describe, expect, it } from "vitest";
import { readRun, type RunMessage } from "../api/run";
import { stageRows } from "./pipeline";

const stageRun = (id: string, stage: string, status: RunMessage["info"]["status"], tags: Record<string, string> = {}) =>
  readRun({
    info: { run_id: id, experiment_id: "1", run_name: stage, status, start_time: 1000, end_time: 3000 },
    data: { tags: Object.entries({ "matraz.stage": stage, ...tags }).map(([key, value]) => ({ key, value })) },
  });

describe("stageRows", () => {
  const train = stageRun("t", "train", "FINISHED");

  it("lists stages that did not run, too", () => {
    const list = JSON.stringify([
      { stage: "prepare", status: "unchanged" },
      { stage: "train", status: "ran", run_id: "t", seconds: 1.9 },
      { stage: "odd", status: "exploded" },
      { status: "ran" },
    ]);
    expect(stageRows(list, [train], 0)).toEqual([
      { name: "prepare", status: "unchanged", run: undefined, seconds: undefined },
      { name: "train", status: "ran", run: train, seconds: 1.9 },
    ]);
  });

  it("takes the runs as they are while there is no list", () => {
    const cached = stageRun("c", "prepare", "FINISHED", { "matraz.cached": "true", "matraz.cached.saved_seconds": "7.5" });
    const failed = stageRun("f", "evaluate", "FAILED");
    const going = stageRun("g", "report", "RUNNING");
    const rows = stageRows(null, [cached, train, failed, going], 0);
    expect(rows.map((row) => [row.name, row.status])).toEqual([
      ["prepare", "cached"],
      ["train", "ran"],
      ["evaluate", "failed"],
      ["report", "running"],
    ]);
    expect(rows.map((row) => row.seconds)).toEqual([7.5, 2, 2, 2]);
  });

  it("keeps runs that the list does not know, and survives a broken list", () => {
    expect(stageRows("[]", [train], 0)).toHaveLength(1);
    expect(stageRows("{", [train], 0)).toHaveLength(1);
    expect(stageRows("{}", [train], 0)).toHaveLength(1);
  });
});
