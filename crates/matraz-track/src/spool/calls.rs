//! Which calls may wait for the server, and which only ask.

use axum::http::Method;

/// A call that changes something and may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Makes an experiment; one of that name is as good.
    CreateExperiment,
    /// Makes a run.
    CreateRun,
    /// Makes a logged model.
    CreateModel,
    /// Makes a registered model; one of that name is as good.
    CreateRegisteredModel,
    /// Makes a version of a registered model.
    CreateVersion,
    /// Uploads a file.
    Upload,
    /// Anything else that may be done twice without harm.
    Plain,
}

/// Calls below `/2.0/mlflow/` that are sent by POST.
const PLAIN: &[&str] = &[
    "experiments/set-experiment-tag",
    "runs/delete",
    "runs/delete-tag",
    "runs/log-batch",
    "runs/log-inputs",
    "runs/log-metric",
    "runs/log-model",
    "runs/log-parameter",
    "runs/outputs",
    "runs/restore",
    "runs/set-tag",
    "runs/update",
];

/// Calls that only ask though they are sent by POST.
const ASKING: &[&str] = &[
    "/batchGetInfos",
    "/calculate-filter-correlation",
    "/get-latest-versions",
    "/graphql",
    "/search",
    "/search-datasets",
    "/traces/metrics",
];

/// The path behind `/api` or `/ajax-api`.
pub(super) fn below_api(path: &str) -> &str {
    path.strip_prefix("/ajax-api").or_else(|| path.strip_prefix("/api")).unwrap_or(path)
}

/// What a call is, when it may wait.
pub(super) fn waiting(method: &Method, path: &str) -> Option<Call> {
    let path = below_api(path);
    if artifact_path(path).is_some() {
        return match *method {
            Method::PUT => Some(Call::Upload),
            Method::DELETE => Some(Call::Plain),
            _ => None,
        };
    }
    if method == Method::POST && matches!(path, "/v1/traces" | "/3.0/mlflow/traces") {
        return Some(Call::Plain);
    }
    if let Some(rest) =
        path.strip_prefix("/3.0/mlflow/traces/").or_else(|| path.strip_prefix("/2.0/mlflow/traces/"))
    {
        return (method == Method::PATCH && rest.ends_with("/tags")).then_some(Call::Plain);
    }
    let path = path.strip_prefix("/2.0/mlflow/")?;
    if let Some(rest) = path.strip_prefix("logged-models") {
        let parts: Vec<&str> = rest.split('/').skip(1).collect();
        return match (method, parts.as_slice()) {
            (&Method::POST, []) => Some(Call::CreateModel),
            (&Method::POST, [_, "params"])
            | (&Method::PATCH, [_] | [_, "tags"])
            | (&Method::DELETE, [_] | [_, "tags", _]) => Some(Call::Plain),
            _ => None,
        };
    }
    match (method, path) {
        (&Method::POST, "experiments/create") => Some(Call::CreateExperiment),
        (&Method::POST, "runs/create") => Some(Call::CreateRun),
        (&Method::POST, path) if PLAIN.contains(&path) => Some(Call::Plain),
        (method, path) => of_registry(method, path),
    }
}

/// What a call of the registry is. To delete or rename a model is no part of a training, and others may have changed the
/// model before it would be delivered.
fn of_registry(method: &Method, path: &str) -> Option<Call> {
    match (method.as_str(), path) {
        ("POST", "registered-models/create") => Some(Call::CreateRegisteredModel),
        ("POST", "model-versions/create") => Some(Call::CreateVersion),
        (
            "POST",
            "registered-models/set-tag"
            | "registered-models/alias"
            | "model-versions/set-tag"
            | "model-versions/transition-stage",
        )
        | ("PATCH", "registered-models/update" | "model-versions/update")
        | (
            "DELETE",
            "registered-models/delete-tag"
            | "registered-models/alias"
            | "model-versions/delete-tag"
            | "model-versions/delete",
        ) => Some(Call::Plain),
        _ => None,
    }
}

/// Whether a call changes nothing.
pub(super) fn only_asks(method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
        || (method == Method::POST && ASKING.iter().any(|end| path.ends_with(end)))
}

/// The file that a path of the artifact proxy names, as it was sent.
pub(super) fn artifact_path(path: &str) -> Option<&str> {
    below_api(path).strip_prefix("/2.0/mlflow-artifacts/artifacts/").filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let post = Method::POST;
        for (method, path, kind) in [
            (post.clone(), "/api/2.0/mlflow/runs/create", Some(Call::CreateRun)),
            (post.clone(), "/ajax-api/2.0/mlflow/runs/log-batch", Some(Call::Plain)),
            (post.clone(), "/api/2.0/mlflow/runs/search", None),
            (post.clone(), "/api/2.0/mlflow/logged-models", Some(Call::CreateModel)),
            (Method::PATCH, "/api/2.0/mlflow/logged-models/m-1", Some(Call::Plain)),
            (Method::GET, "/api/2.0/mlflow/logged-models/m-1", None),
            (Method::PUT, "/api/2.0/mlflow-artifacts/artifacts/0/r/artifacts/x", Some(Call::Upload)),
            (Method::GET, "/api/2.0/mlflow-artifacts/artifacts/0/r/artifacts/x", None),
            (Method::DELETE, "/api/2.0/mlflow/registered-models/delete", None),
            (post.clone(), "/api/2.0/mlflow/model-versions/create", Some(Call::CreateVersion)),
            (Method::PATCH, "/api/2.0/mlflow/model-versions/update", Some(Call::Plain)),
            (Method::DELETE, "/api/2.0/mlflow/registered-models/alias", Some(Call::Plain)),
            (Method::GET, "/api/2.0/mlflow/registered-models/alias", None),
        ] {
            assert_eq!(waiting(&method, path), kind, "{method} {path}");
        }
        assert!(only_asks(&post, "/api/2.0/mlflow/runs/search"));
        assert!(!only_asks(&post, "/api/2.0/mlflow/users/create"));
    }
}
