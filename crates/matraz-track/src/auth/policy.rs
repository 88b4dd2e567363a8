//! What every route needs: one table, and nothing is served that is not in it.
//!
//! Paths are the patterns of the router, without `/api` or `/ajax-api`. A route that has no line here is for
//! administrators only; a test compares the table with the router.

use axum::http::Method;

use super::permission::Action;
use Action::{Delete, Manage, Read, Update};
use Needs::*;

/// What a route needs of its caller. Names in brackets are the fields of the request that say of which thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: who asks need not sign in.
    Nothing,
    /// A user. What the answer holds is narrowed to what that user may see, or is the user's own.
    User,
    /// An administrator.
    Admin,
    /// An administrator, or one of the workspace.
    WorkspaceAdmin,
    /// A user with any role in the workspace (`workspace` or `role_id`).
    Member,
    /// To be the user that it is about (`username`).
    Oneself,
    /// To be the user that it is about, or an administrator of the workspace (`username`).
    OneselfOrWorkspaceAdmin,
    /// Manage a thing to share it (`resource_type`, `resource_id`).
    Share,
    /// An experiment (`experiment_id`).
    Experiment(Action),
    /// An experiment (`experiment_name`).
    NamedExperiment(Action),
    /// To delete an experiment with all that is in it, or bring it back (`experiment_id`).
    WholeExperiment,
    /// To read all of some experiments (`experiment_ids`).
    Experiments,
    /// To search the datasets of some experiments (`experiment_ids`). Those of all are for administrators.
    SearchDatasets,
    /// To make something in an experiment (`experiment_id`).
    MakeIn(&'static str),
    /// To make an experiment; a place for artifacts must not be one of this server (`artifact_location`).
    MakeExperiment,
    /// A run (`run_id` or `run_uuid`), and the logged models that metrics or links name.
    Run(Action),
    /// A run, named in the query only.
    RunInQuery(Action),
    /// To read all of some runs (`run_id`, `run_ids`).
    Runs,
    /// A run or a logged model (`run_id`, `model_id`).
    RunOrLoggedModel(Action),
    /// A logged model (`model_id`).
    LoggedModel(Action),
    /// To make a logged model (`experiment_id`, `source_run_id`).
    MakeLoggedModel,
    /// A registered model or prompt (`name`).
    Model(Action),
    /// To make a registered model or prompt (`name`, `tags`).
    MakeModel,
    /// To delete a registered model with its versions (`name`).
    WholeModel,
    /// To move an alias; deleting one needs more (`name`).
    Alias(Action),
    /// A version (`name`).
    Version(Action),
    /// To make a version (`name`, `source`, `run_id`, `model_id`).
    MakeVersion,
    /// A version, named in the query only.
    VersionInQuery,
    /// A file below the artifact proxy (`path`).
    File(Action),
    /// A trace (`trace_id`, `request_id`).
    Trace(Action),
    /// All of some traces (`trace_ids`, `request_ids`).
    Traces(Action),
    /// To read the traces of some experiments (`experiment_ids`, `locations`).
    SearchTraces,
    /// To link traces to a run (`run_id`, `trace_ids`).
    LinkTraces,
    /// To delete traces of an experiment (`experiment_id`).
    DeleteTraces,
    /// To start a trace; the experiment is deep in the request.
    StartTrace,
    /// To send spans: the experiment is in the header `x-mlflow-experiment-id`.
    Spans,
    /// An assessment of a trace (`trace_id`).
    Assessment(Action),
    /// A dataset of records, through every experiment that it belongs to (`dataset_id`).
    Dataset(Action),
    /// A scorer of an experiment (`experiment_id`, `name`).
    Scorer(Action),
    /// To add a version of a scorer, or say when it judges (`experiment_id`, `name`).
    MakeScorer,
    /// The scorers of one experiment (`experiment_id`), or of all, of which the answer shows what the caller may see.
    ListScorers,
    /// To make such a dataset in some experiments (`experiment_ids`).
    MakeDataset,
}

/// What a route needs, if it is in the table.
pub fn needs(method: &Method, pattern: &str) -> Option<Needs> {
    let path = ["/api", "/ajax-api"]
        .iter()
        .find_map(|prefix| pattern.strip_prefix(prefix).filter(|rest| rest.starts_with('/')))
        .unwrap_or(pattern);
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    TABLE.iter().find(|(verb, known, _)| *verb == method && *known == path).map(|(.., needs)| *needs)
}

/// Method, path, and what it needs.
const TABLE: &[(&str, &str, Needs)] = &[
    // The server itself.
    ("GET", "/health", Nothing),
    ("GET", "/version", User),
    ("GET", "/metrics", User),
    ("GET", "/openapi.json", User),
    ("GET", "/3.0/mlflow/server-info", Nothing),
    // What belongs together; the answer is gathered in the caller's name.
    ("GET", "/2.0/matraz/lineage", User),
    // Experiments.
    ("POST", "/2.0/mlflow/experiments/create", MakeExperiment),
    ("GET", "/2.0/mlflow/experiments/get", Experiment(Read)),
    ("GET", "/2.0/mlflow/experiments/get-by-name", NamedExperiment(Read)),
    ("GET", "/2.0/mlflow/experiments/search", User),
    ("POST", "/2.0/mlflow/experiments/search", User),
    ("POST", "/2.0/mlflow/experiments/search-datasets", Experiments),
    ("POST", "/2.0/mlflow/experiments/update", Experiment(Update)),
    ("POST", "/2.0/mlflow/experiments/delete", WholeExperiment),
    ("POST", "/2.0/mlflow/experiments/restore", WholeExperiment),
    ("POST", "/2.0/mlflow/experiments/set-experiment-tag", Experiment(Update)),
    ("POST", "/2.0/mlflow/experiments/delete-experiment-tag", Experiment(Update)),
    // Runs.
    ("POST", "/2.0/mlflow/runs/create", MakeIn("run")),
    ("POST", "/2.0/mlflow/runs/create-promptlab-run", MakeIn("run")),
    ("GET", "/2.0/mlflow/runs/get", Run(Read)),
    ("POST", "/2.0/mlflow/runs/search", User),
    ("POST", "/2.0/mlflow/runs/update", Run(Update)),
    ("POST", "/2.0/mlflow/runs/delete", Run(Delete)),
    ("POST", "/2.0/mlflow/runs/restore", Run(Delete)),
    ("POST", "/2.0/mlflow/runs/log-metric", Run(Update)),
    ("POST", "/2.0/mlflow/runs/log-parameter", Run(Update)),
    ("POST", "/2.0/mlflow/runs/log-batch", Run(Update)),
    ("POST", "/2.0/mlflow/runs/log-inputs", Run(Update)),
    ("POST", "/2.0/mlflow/runs/log-model", Run(Update)),
    ("POST", "/2.0/mlflow/runs/outputs", Run(Update)),
    ("POST", "/2.0/mlflow/runs/set-tag", Run(Update)),
    ("POST", "/2.0/mlflow/runs/delete-tag", Run(Update)),
    ("GET", "/2.0/mlflow/metrics/get-history", Run(Read)),
    ("GET", "/2.0/mlflow/metrics/get-history-bulk", Runs),
    ("GET", "/2.0/mlflow/metrics/get-history-bulk-interval", Runs),
    // Artifacts.
    ("GET", "/2.0/mlflow/artifacts/list", Run(Read)),
    ("POST", "/2.0/mlflow/artifacts/presigned-upload-url", RunOrLoggedModel(Update)),
    ("POST", "/2.0/mlflow/artifacts/presigned-download-url", RunOrLoggedModel(Read)),
    ("GET", "/get-artifact", RunInQuery(Read)),
    ("GET", "/model-versions/get-artifact", VersionInQuery),
    ("POST", "/2.0/mlflow/upload-artifact", RunInQuery(Update)),
    ("GET", "/2.0/mlflow-artifacts/artifacts", File(Read)),
    ("GET", "/2.0/mlflow-artifacts/artifacts/", File(Read)),
    ("GET", "/2.0/mlflow-artifacts/artifacts/{*path}", File(Read)),
    ("PUT", "/2.0/mlflow-artifacts/artifacts/{*path}", File(Update)),
    ("DELETE", "/2.0/mlflow-artifacts/artifacts/{*path}", File(Manage)),
    ("POST", "/2.0/mlflow-artifacts/mpu/{step}/{*path}", File(Update)),
    ("GET", "/2.0/mlflow-artifacts/presigned/{*path}", File(Read)),
    // Logged models.
    ("POST", "/2.0/mlflow/logged-models", MakeLoggedModel),
    ("POST", "/2.0/mlflow/logged-models/search", User),
    ("GET", "/2.0/mlflow/logged-models/{model_id}", LoggedModel(Read)),
    ("PATCH", "/2.0/mlflow/logged-models/{model_id}", LoggedModel(Update)),
    ("DELETE", "/2.0/mlflow/logged-models/{model_id}", LoggedModel(Delete)),
    ("PATCH", "/2.0/mlflow/logged-models/{model_id}/tags", LoggedModel(Update)),
    ("DELETE", "/2.0/mlflow/logged-models/{model_id}/tags/{tag_key}", LoggedModel(Delete)),
    ("POST", "/2.0/mlflow/logged-models/{model_id}/params", LoggedModel(Update)),
    ("GET", "/2.0/mlflow/logged-models/{model_id}/artifacts/directories", LoggedModel(Read)),
    ("GET", "/2.0/mlflow/logged-models/{model_id}/artifacts/files", LoggedModel(Read)),
    // The registry.
    ("POST", "/2.0/mlflow/registered-models/create", MakeModel),
    ("GET", "/2.0/mlflow/registered-models/get", Model(Read)),
    ("GET", "/2.0/mlflow/registered-models/search", User),
    ("PATCH", "/2.0/mlflow/registered-models/update", Model(Update)),
    ("POST", "/2.0/mlflow/registered-models/rename", Model(Update)),
    ("DELETE", "/2.0/mlflow/registered-models/delete", WholeModel),
    ("GET", "/2.0/mlflow/registered-models/get-latest-versions", Version(Read)),
    ("POST", "/2.0/mlflow/registered-models/get-latest-versions", Version(Read)),
    ("POST", "/2.0/mlflow/registered-models/set-tag", Model(Update)),
    ("DELETE", "/2.0/mlflow/registered-models/delete-tag", Model(Update)),
    ("POST", "/2.0/mlflow/registered-models/alias", Alias(Update)),
    ("DELETE", "/2.0/mlflow/registered-models/alias", Alias(Delete)),
    ("GET", "/2.0/mlflow/registered-models/alias", Version(Read)),
    ("POST", "/2.0/mlflow/model-versions/create", MakeVersion),
    ("GET", "/2.0/mlflow/model-versions/get", Version(Read)),
    ("GET", "/2.0/mlflow/model-versions/search", User),
    ("GET", "/2.0/mlflow/model-versions/get-download-uri", Version(Read)),
    ("PATCH", "/2.0/mlflow/model-versions/update", Version(Update)),
    ("POST", "/2.0/mlflow/model-versions/transition-stage", Version(Update)),
    ("DELETE", "/2.0/mlflow/model-versions/delete", Version(Delete)),
    ("POST", "/2.0/mlflow/model-versions/set-tag", Version(Update)),
    ("DELETE", "/2.0/mlflow/model-versions/delete-tag", Version(Delete)),
    // Traces.
    ("POST", "/v1/traces", Spans),
    ("POST", "/3.0/mlflow/traces", StartTrace),
    ("GET", "/3.0/mlflow/traces/{trace_id}", Trace(Read)),
    ("GET", "/3.0/mlflow/traces/get", Trace(Read)),
    ("GET", "/3.0/mlflow/traces/batchGet", Traces(Read)),
    ("POST", "/3.0/mlflow/traces/batchGetInfos", Traces(Read)),
    ("POST", "/3.0/mlflow/traces/search", SearchTraces),
    ("POST", "/3.0/mlflow/traces/delete-traces", DeleteTraces),
    ("POST", "/3.0/mlflow/traces/calculate-filter-correlation", SearchTraces),
    ("POST", "/3.0/mlflow/traces/metrics", SearchTraces),
    ("PATCH", "/3.0/mlflow/traces/{trace_id}/tags", Trace(Update)),
    ("DELETE", "/3.0/mlflow/traces/{trace_id}/tags", Trace(Update)),
    ("POST", "/3.0/mlflow/traces/{trace_id}/assessments", Assessment(Update)),
    ("GET", "/3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}", Assessment(Read)),
    ("PATCH", "/3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}", Assessment(Update)),
    ("DELETE", "/3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}", Assessment(Update)),
    ("POST", "/2.0/mlflow/traces/link-to-run", LinkTraces),
    ("POST", "/2.0/mlflow/traces/link-prompts", Trace(Update)),
    ("GET", "/2.0/mlflow/get-trace-artifact", Trace(Read)),
    ("GET", "/3.0/mlflow/get-trace-artifact", Trace(Read)),
    ("POST", "/2.0/mlflow/traces", StartTrace),
    ("GET", "/2.0/mlflow/traces", SearchTraces),
    ("PATCH", "/2.0/mlflow/traces/{request_id}", Trace(Update)),
    ("GET", "/2.0/mlflow/traces/{request_id}/info", Trace(Read)),
    ("PATCH", "/2.0/mlflow/traces/{request_id}/tags", Trace(Update)),
    ("DELETE", "/2.0/mlflow/traces/{request_id}/tags", Trace(Update)),
    ("POST", "/2.0/mlflow/traces/delete-traces", DeleteTraces),
    ("GET", "/2.0/mlflow/unified-traces", User),
    ("GET", "/2.0/mlflow/get-online-trace-details", User),
    // Evaluation datasets.
    ("POST", "/3.0/mlflow/datasets/create", MakeDataset),
    ("POST", "/3.0/mlflow/datasets/search", SearchDatasets),
    ("GET", "/3.0/mlflow/datasets/search", SearchDatasets),
    ("GET", "/3.0/mlflow/datasets/{dataset_id}", Dataset(Read)),
    ("DELETE", "/3.0/mlflow/datasets/{dataset_id}", Dataset(Delete)),
    ("GET", "/3.0/mlflow/datasets/{dataset_id}/records", Dataset(Read)),
    ("POST", "/3.0/mlflow/datasets/{dataset_id}/records", Dataset(Update)),
    ("DELETE", "/3.0/mlflow/datasets/{dataset_id}/records", Dataset(Update)),
    ("PATCH", "/3.0/mlflow/datasets/{dataset_id}/tags", Dataset(Update)),
    ("DELETE", "/3.0/mlflow/datasets/{dataset_id}/tags/{key}", Dataset(Update)),
    ("GET", "/3.0/mlflow/datasets/{dataset_id}/experiment-ids", Dataset(Read)),
    ("POST", "/3.0/mlflow/datasets/{dataset_id}/add-experiments", Dataset(Update)),
    ("POST", "/3.0/mlflow/datasets/{dataset_id}/remove-experiments", Dataset(Update)),
    // Scorers.
    ("POST", "/3.0/mlflow/scorers/register", MakeScorer),
    ("GET", "/3.0/mlflow/scorers/list", ListScorers),
    ("GET", "/3.0/mlflow/scorers/versions", Scorer(Read)),
    ("GET", "/3.0/mlflow/scorers/get", Scorer(Read)),
    ("DELETE", "/3.0/mlflow/scorers/delete", Scorer(Delete)),
    ("PUT", "/3.0/mlflow/scorers/online-config", MakeScorer),
    ("GET", "/3.0/mlflow/scorers/online-configs", User),
    // What MLflow's web app asks about parts that are not there.
    ("GET", "/3.0/mlflow/ui-telemetry", User),
    ("POST", "/3.0/mlflow/ui-telemetry", User),
    ("GET", "/3.0/mlflow/assistant/config", User),
    ("GET", "/3.0/mlflow/assistant/providers", User),
    ("GET", "/2.0/mlflow/gateway-proxy", User),
    ("POST", "/2.0/mlflow/gateway-proxy", User),
    // GraphQL asks about anything; its handler judges field by field.
    ("POST", "/graphql", User),
    // Webhooks tell others what happens.
    ("GET", "/2.0/mlflow/webhooks", Admin),
    ("POST", "/2.0/mlflow/webhooks", Admin),
    ("GET", "/2.0/mlflow/webhooks/{webhook_id}", Admin),
    ("PATCH", "/2.0/mlflow/webhooks/{webhook_id}", Admin),
    ("DELETE", "/2.0/mlflow/webhooks/{webhook_id}", Admin),
    ("POST", "/2.0/mlflow/webhooks/{webhook_id}/test", Admin),
    // Workspaces, which this server does not have.
    ("GET", "/3.0/mlflow/workspaces", User),
    ("GET", "/3.0/mlflow/workspaces/{*name}", User),
    ("POST", "/3.0/mlflow/workspaces", User),
    ("POST", "/3.0/mlflow/workspaces/{*name}", User),
    ("PUT", "/3.0/mlflow/workspaces", User),
    ("PUT", "/3.0/mlflow/workspaces/{*name}", User),
    ("PATCH", "/3.0/mlflow/workspaces", User),
    ("PATCH", "/3.0/mlflow/workspaces/{*name}", User),
    ("DELETE", "/3.0/mlflow/workspaces", User),
    ("DELETE", "/3.0/mlflow/workspaces/{*name}", User),
    // Users and roles.
    ("POST", "/2.0/mlflow/users/create", WorkspaceAdmin),
    ("GET", "/2.0/mlflow/users/get", Oneself),
    ("GET", "/2.0/mlflow/users/list", User),
    ("GET", "/2.0/mlflow/users/current", User),
    ("PATCH", "/2.0/mlflow/users/update-password", Oneself),
    ("PATCH", "/2.0/mlflow/users/update-admin", Admin),
    ("DELETE", "/2.0/mlflow/users/delete", Admin),
    ("GET", "/3.0/mlflow/users/current/permissions", User),
    ("GET", "/3.0/mlflow/users/permissions/list", OneselfOrWorkspaceAdmin),
    ("GET", "/3.0/mlflow/users/permissions/get", OneselfOrWorkspaceAdmin),
    ("POST", "/3.0/mlflow/users/permissions/grant", Share),
    ("POST", "/3.0/mlflow/users/permissions/revoke", Share),
    ("GET", "/3.0/mlflow/users/roles/list", OneselfOrWorkspaceAdmin),
    ("POST", "/3.0/mlflow/roles/create", WorkspaceAdmin),
    ("GET", "/3.0/mlflow/roles/get", Member),
    ("GET", "/3.0/mlflow/roles/list", Member),
    ("PATCH", "/3.0/mlflow/roles/update", WorkspaceAdmin),
    ("DELETE", "/3.0/mlflow/roles/delete", WorkspaceAdmin),
    ("POST", "/3.0/mlflow/roles/permissions/add", WorkspaceAdmin),
    ("DELETE", "/3.0/mlflow/roles/permissions/remove", WorkspaceAdmin),
    ("GET", "/3.0/mlflow/roles/permissions/list", Member),
    ("PATCH", "/3.0/mlflow/roles/permissions/update", WorkspaceAdmin),
    ("POST", "/3.0/mlflow/roles/assign", WorkspaceAdmin),
    ("DELETE", "/3.0/mlflow/roles/unassign", WorkspaceAdmin),
    ("GET", "/3.0/mlflow/roles/users/list", WorkspaceAdmin),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_prefixes_and_head_are_looked_up_and_the_unknown_is_not_found() {
        let get = |pattern| needs(&Method::GET, pattern);
        assert_eq!(get("/api/2.0/mlflow/runs/get"), Some(Run(Read)));
        assert_eq!(get("/ajax-api/2.0/mlflow/runs/get"), Some(Run(Read)));
        assert_eq!(needs(&Method::HEAD, "/health"), Some(Nothing));
        assert_eq!(get("/api/2.0/mlflow/runs/everything"), None);
        assert_eq!(needs(&Method::DELETE, "/api/2.0/mlflow/runs/get"), None);
    }

    #[test]
    fn no_line_is_there_twice() {
        for (index, (method, path, _)) in TABLE.iter().enumerate() {
            assert!(!TABLE[..index].iter().any(|(m, p, _)| m == method && p == path), "{method} {path}");
        }
    }
}
