/**
 * MLflow's client prints addresses such as `http://host/#/experiments/1/runs/abc`. Our pages have the same paths without
 * the `#`; the part of a page that follows a run's id has its own names.
 */
export function mlflowAddress(hash: string): string | undefined {
  if (!hash.startsWith("#/")) return undefined;
  const [path = "/", query = ""] = hash.slice(1).split("?");
  const run = /^\/experiments\/([^/]+)\/runs\/([^/]+)(?:\/(.*))?$/.exec(path);
  if (run) {
    const [, experiment, id, rest = ""] = run;
    const tab = rest.startsWith("artifacts") ? "/artifacts" : /metric/.test(rest) ? "/metrics" : "";
    return `/experiments/${experiment}/runs/${id}${tab}`;
  }
  const experiment = /^\/experiments\/([^/]+)/.exec(path);
  if (experiment) return `/experiments/${experiment[1]}`;
  if (path === "/compare-runs") {
    try {
      const runs: unknown = JSON.parse(new URLSearchParams(query).get("runs") ?? "");
      if (Array.isArray(runs)) return `/compare?runs=${runs.map((id) => encodeURIComponent(String(id))).join(",")}`;
    } catch {
      return "/experiments";
    }
  }
  return /^\/models(\/[^/]+(\/versions\/[^/]+)?)?$/.test(path) ? path : "/experiments";
}
