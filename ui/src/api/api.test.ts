import { afterEach, describe, expect, it, vi } from "vitest";
import { artifactAddress, listArtifacts, readArtifact, readIfThere } from "./artifact";
import { ApiError, errorFromAnswer, filterLiteral, get, number, queryString } from "./client";
import { metricHistory } from "./metric";
import { readRun, runDuration } from "./run";

afterEach(() => vi.unstubAllGlobals());

/** Answers requests in turn and keeps their addresses. */
function serve(...bodies: (unknown | Response)[]) {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (url: string) => {
    asked.push(url);
    const body = bodies.shift();
    return body instanceof Response ? body : new Response(JSON.stringify(body));
  });
  return asked;
}

describe("client", () => {
  it("writes queries", () => {
    expect(queryString({})).toBe("");
    expect(queryString({ a: "x y", b: undefined, run_ids: ["1", "2"], n: 3 })).toBe("?a=x+y&run_ids=1&run_ids=2&n=3");
  });

  it.each([
    [400, '{"error_code":"INVALID_PARAMETER_VALUE","message":"no"}', "INVALID_PARAMETER_VALUE", "no"],
    [404, '{"detail":"Not Found"}', "HTTP_404", "Not Found"],
    [403, "Invalid Host header", "HTTP_403", "Invalid Host header"],
    [502, "<html>Bad gateway</html>", "HTTP_502", "the server answered with status 502"],
    [500, "", "HTTP_500", "the server answered with status 500"],
  ])("understands the error %d %s", (status, body, code, message) => {
    expect(errorFromAnswer(status, body)).toMatchObject({ status, code, message });
  });

  it("tells errors that pass from those that stay", () => {
    expect(new ApiError(0, "UNREACHABLE", "").passing).toBe(true);
    expect(new ApiError(503, "", "").passing).toBe(true);
    expect(new ApiError(400, "", "").passing).toBe(false);
    expect(new ApiError(400, "RESOURCE_DOES_NOT_EXIST", "").missing).toBe(true);
  });

  it("says that the server does not answer, or not in JSON", async () => {
    vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("Failed to fetch")));
    await expect(get("x")).rejects.toMatchObject({ status: 0, message: "the server does not answer" });
    serve(new Response("<html>"));
    await expect(get("x")).rejects.toMatchObject({ code: "NOT_JSON" });
  });

  it("quotes texts for filters", () => {
    expect(filterLiteral("a")).toBe("'a'");
    expect(filterLiteral("it's")).toBe('"it\'s"');
    expect(filterLiteral(`a'b"c`)).toBe(`'a_b"c'`);
  });

  it("reads doubles as proto JSON writes them", () => {
    expect([0.5, "NaN", "Infinity", "-Infinity", "1e3"].map(number)).toEqual([0.5, NaN, Infinity, -Infinity, 1000]);
  });
});

describe("readRun", () => {
  it("fills what the wire leaves out", () => {
    const run = readRun({ info: { run_uuid: "0123456789", experiment_id: "1", start_time: 0 } });
    expect(run).toMatchObject({ id: "0123456789", name: "01234567", status: "RUNNING", startTime: undefined, inputs: [] });
    expect(runDuration(run, 5)).toBeUndefined();
  });

  it("measures a finished run, and one that goes on", () => {
    const info = { run_id: "a", experiment_id: "1", start_time: 1000 };
    expect(runDuration(readRun({ info: { ...info, status: "FINISHED", end_time: 4000 } }), 9000)).toBe(3000);
    expect(runDuration(readRun({ info: { ...info, status: "RUNNING" } }), 9000)).toBe(8000);
    expect(runDuration(readRun({ info: { ...info, status: "KILLED" } }), 9000)).toBeUndefined();
  });
});

describe("metricHistory", () => {
  it("keeps runs apart", async () => {
    const asked = serve({
      metrics: [
        { key: "loss", value: 1, step: 0, timestamp: 5, run_id: "a" },
        { key: "loss", value: "NaN", run_id: "b" },
        { key: "loss", value: 2, step: 1, timestamp: 6, run_id: "a" },
      ],
    });
    const histories = await metricHistory(["a", "b", "c"], "loss");
    expect(histories.get("a")?.map((point) => point.value)).toEqual([1, 2]);
    expect(histories.get("b")).toEqual([{ value: NaN, step: 0, timestamp: 0 }]);
    expect(histories.has("c")).toBe(false);
    expect(asked[0]).toContain("run_ids=a&run_ids=b&run_ids=c&metric_key=loss");
  });
});

describe("artifacts", () => {
  it("lists all pages, folders first", async () => {
    const asked = serve(
      { files: [{ path: "b.txt", is_dir: false, file_size: "7" }], next_page_token: "t" },
      { files: [{ path: "a", is_dir: true }] },
    );
    expect(await listArtifacts("r", "")).toEqual([
      { path: "a", isDir: true, size: undefined },
      { path: "b.txt", isDir: false, size: 7 },
    ]);
    expect(asked[1]).toContain("page_token=t");
  });

  it("escapes the path in the address", () => {
    expect(artifactAddress("r", "a b/c&d#e")).toBe("/get-artifact?run_id=r&path=a+b%2Fc%26d%23e");
  });

  it("reads no more than the limit, also in the middle of a letter", async () => {
    serve(new Response("aäb"));
    expect(await readArtifact("r", "x", 2)).toEqual({ text: "a", cut: true, binary: false });
    serve(new Response("aäb"));
    expect(await readArtifact("r", "x", 10)).toEqual({ text: "aäb", cut: false, binary: false });
  });

  it.each([[new Uint8Array([1, 0, 2])], [new Uint8Array([0xff, 0xfe, 0x41])]])("knows binary files", async (bytes) => {
    serve(new Response(bytes));
    expect(await readArtifact("r", "x", 100)).toMatchObject({ text: "", binary: true });
  });

  it("does not ask for a file that the folder does not hold", async () => {
    const asked = serve({ files: [{ path: "matraz/lock.yaml", is_dir: false }] });
    expect(await readIfThere("r", "matraz/plots.json", 100)).toBeNull();
    expect(asked).toHaveLength(1);
    serve({ files: [{ path: "matraz/plots.json", is_dir: false }] }, new Response("[]"));
    expect(await readIfThere("r", "matraz/plots.json", 100)).toBe("[]");
  });
});
