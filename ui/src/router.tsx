import { Outlet, createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { ExperimentsPage } from "./experiments/ExperimentsPage";
import { Empty, Failure } from "./part/Notes";
import { Shell } from "./shell/Shell";

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined;

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => (
    <div className="page">
      <title>Not found · Matraz</title>
      <Empty title="There is no page at this address" />
    </div>
  ),
});
const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/experiments" });
  },
});
const experiments = createRoute({ getParentRoute: () => root, path: "experiments", component: Outlet });
const experimentList = createRoute({
  getParentRoute: () => experiments,
  path: "/",
  component: ExperimentsPage,
  validateSearch: (search): { q?: string } => ({ q: text(search.q) }),
});
const experiment = createRoute({ getParentRoute: () => experiments, path: "$experimentId", component: Outlet });
const runTable = createRoute({
  getParentRoute: () => experiment,
  path: "/",
  component: lazyRouteComponent(() => import("./runs/RunsPage"), "RunsPage"),
  validateSearch: (search): { filter?: string; sort?: string; view?: "flat" } => ({
    filter: text(search.filter),
    sort: text(search.sort),
    view: search.view === "flat" ? "flat" : undefined,
  }),
  // A selection or an open row belongs to one experiment.
  remountDeps: ({ params }) => params.experimentId,
});
const run = createRoute({
  getParentRoute: () => experiment,
  path: "runs/$runId/{-$tab}",
  component: lazyRouteComponent(() => import("./run/RunPage"), "RunPage"),
  validateSearch: (search): { path?: string } => ({ path: text(search.path) }),
  remountDeps: ({ params }) => params.runId,
});
const compare = createRoute({
  getParentRoute: () => root,
  path: "compare",
  component: lazyRouteComponent(() => import("./compare/ComparePage"), "ComparePage"),
  validateSearch: (search): { runs?: string } => ({ runs: text(search.runs) }),
});
const models = createRoute({ getParentRoute: () => root, path: "models", component: Outlet });
const modelList = createRoute({
  getParentRoute: () => models,
  path: "/",
  component: lazyRouteComponent(() => import("./models/ModelsPage"), "ModelsPage"),
  validateSearch: (search): { q?: string } => ({ q: text(search.q) }),
});
const model = createRoute({ getParentRoute: () => models, path: "$name", component: Outlet });
const versionList = createRoute({
  getParentRoute: () => model,
  path: "/",
  component: lazyRouteComponent(() => import("./models/ModelPage"), "ModelPage"),
});
const version = createRoute({
  getParentRoute: () => model,
  path: "versions/$version",
  component: lazyRouteComponent(() => import("./models/VersionPage"), "VersionPage"),
});

const data = createRoute({
  getParentRoute: () => root,
  path: "data/$digest",
  component: lazyRouteComponent(() => import("./lineage/DataPage"), "DataPage"),
  remountDeps: ({ params }) => params.digest,
});

const routeTree = root.addChildren([
  home,
  experiments.addChildren([experimentList, experiment.addChildren([runTable, run])]),
  compare,
  data,
  models.addChildren([modelList, model.addChildren([versionList, version])]),
]);

export const router = createRouter({
  routeTree,
  defaultPreload: "intent",
  scrollRestoration: true,
  defaultErrorComponent: ({ error, reset }) => (
    <div className="page">
      <Failure error={error} what="page" onRetry={reset} />
    </div>
  ),
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
