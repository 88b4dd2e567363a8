//! Parts of MLflow's API that this server does not offer: they answer so in MLflow's own words, and are not unknown.

use axum::http::StatusCode;

use crate::error::{Code, Error};

/// The starts of their paths, behind `/api` or `/ajax-api`.
const FAMILIES: &[&str] = &[
    "2.0/mlflow/runs/create-promptlab-run",
    "3.0/jobs",
    "3.0/mlflow/assistant",
    "3.0/mlflow/demo",
    "3.0/mlflow/gateway",
    "3.0/mlflow/genai",
    "3.0/mlflow/issues",
    "3.0/mlflow/jobs",
    "3.0/mlflow/label-schemas",
    "3.0/mlflow/mcp-servers",
    "3.0/mlflow/prompt-optimization",
    "3.0/mlflow/review-queues",
    "3.0/mlflow/scorer",
    "3.0/mlflow/skills",
];

/// The answer for a path that no route has.
pub(super) fn answer(path: &str) -> (StatusCode, Error) {
    let below = path.trim_start_matches("/api/").trim_start_matches("/ajax-api/");
    let is_of = |family: &&&str| {
        below.strip_prefix(**family).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match FAMILIES.iter().find(is_of) {
        Some(family) => {
            let message = format!("'{family}' is not implemented by this server");
            (StatusCode::NOT_IMPLEMENTED, Error::request(Code::NotImplemented, message))
        }
        None => (StatusCode::NOT_FOUND, Error::request(Code::EndpointNotFound, format!("No route '{path}'"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_and_unknown() {
        for (path, status) in [
            ("/api/3.0/mlflow/scorer/invoke", 501),
            ("/ajax-api/3.0/mlflow/skills", 501),
            ("/ajax-api/3.0/mlflow/skillset", 404),
            ("/api/2.0/mlflow/nonsense", 404),
        ] {
            assert_eq!(answer(path).0.as_u16(), status, "{path}");
        }
    }
}
