//! Every route that MLflow's Python client or its web app calls is there.

use axum::body::Body;
use axum::http::{Method, Request};

use crate::fixture::Fixture;

/// Below `/api` and `/ajax-api`: methods, and paths with an `x` for what is named.
const CALLED: &[(&str, &str)] = &[
    ("POST", "2.0/mlflow/experiments/create"),
    ("GET", "2.0/mlflow/experiments/get"),
    ("GET", "2.0/mlflow/experiments/get-by-name"),
    ("POST", "2.0/mlflow/experiments/delete"),
    ("POST", "2.0/mlflow/experiments/restore"),
    ("POST", "2.0/mlflow/experiments/update"),
    ("POST GET", "2.0/mlflow/experiments/search"),
    ("POST", "2.0/mlflow/experiments/set-experiment-tag"),
    ("POST", "2.0/mlflow/experiments/delete-experiment-tag"),
    ("POST", "2.0/mlflow/experiments/search-datasets"),
    ("POST", "2.0/mlflow/runs/create"),
    ("GET", "2.0/mlflow/runs/get"),
    ("POST", "2.0/mlflow/runs/update"),
    ("POST", "2.0/mlflow/runs/delete"),
    ("POST", "2.0/mlflow/runs/restore"),
    ("POST", "2.0/mlflow/runs/search"),
    ("POST", "2.0/mlflow/runs/log-metric"),
    ("POST", "2.0/mlflow/runs/log-parameter"),
    ("POST", "2.0/mlflow/runs/log-batch"),
    ("POST", "2.0/mlflow/runs/set-tag"),
    ("POST", "2.0/mlflow/runs/delete-tag"),
    ("POST", "2.0/mlflow/runs/log-inputs"),
    ("POST", "2.0/mlflow/runs/outputs"),
    ("POST", "2.0/mlflow/runs/log-model"),
    ("GET", "2.0/mlflow/metrics/get-history"),
    ("GET", "2.0/mlflow/metrics/get-history-bulk"),
    ("GET", "2.0/mlflow/metrics/get-history-bulk-interval"),
    ("GET", "2.0/mlflow/artifacts/list"),
    ("POST", "2.0/mlflow/upload-artifact"),
    ("GET", "2.0/mlflow/logged-models/x/artifacts/files"),
    ("GET", "2.0/mlflow/get-trace-artifact"),
    ("GET", "3.0/mlflow/get-trace-artifact"),
    ("GET PUT DELETE", "2.0/mlflow-artifacts/artifacts/x"),
    ("GET", "2.0/mlflow-artifacts/artifacts"),
    ("POST", "2.0/mlflow/logged-models"),
    ("GET PATCH DELETE", "2.0/mlflow/logged-models/x"),
    ("POST", "2.0/mlflow/logged-models/search"),
    ("PATCH", "2.0/mlflow/logged-models/x/tags"),
    ("DELETE", "2.0/mlflow/logged-models/x/tags/x"),
    ("POST", "2.0/mlflow/logged-models/x/params"),
    ("GET", "2.0/mlflow/logged-models/x/artifacts/directories"),
    ("POST", "2.0/mlflow/registered-models/create"),
    ("POST", "2.0/mlflow/registered-models/rename"),
    ("PATCH", "2.0/mlflow/registered-models/update"),
    ("DELETE", "2.0/mlflow/registered-models/delete"),
    ("GET", "2.0/mlflow/registered-models/get"),
    ("GET", "2.0/mlflow/registered-models/search"),
    ("POST GET", "2.0/mlflow/registered-models/get-latest-versions"),
    ("POST", "2.0/mlflow/registered-models/set-tag"),
    ("DELETE", "2.0/mlflow/registered-models/delete-tag"),
    ("POST DELETE GET", "2.0/mlflow/registered-models/alias"),
    ("POST", "2.0/mlflow/model-versions/create"),
    ("PATCH", "2.0/mlflow/model-versions/update"),
    ("POST", "2.0/mlflow/model-versions/transition-stage"),
    ("DELETE", "2.0/mlflow/model-versions/delete"),
    ("GET", "2.0/mlflow/model-versions/get"),
    ("GET", "2.0/mlflow/model-versions/search"),
    ("GET", "2.0/mlflow/model-versions/get-download-uri"),
    ("POST", "2.0/mlflow/model-versions/set-tag"),
    ("DELETE", "2.0/mlflow/model-versions/delete-tag"),
    ("POST", "3.0/mlflow/traces"),
    ("GET", "3.0/mlflow/traces/x"),
    ("GET", "3.0/mlflow/traces/get"),
    ("GET", "3.0/mlflow/traces/batchGet"),
    ("POST", "3.0/mlflow/traces/batchGetInfos"),
    ("POST", "3.0/mlflow/traces/search"),
    ("POST", "3.0/mlflow/traces/delete-traces"),
    ("PATCH DELETE", "3.0/mlflow/traces/x/tags"),
    ("POST", "3.0/mlflow/traces/x/assessments"),
    ("GET PATCH DELETE", "3.0/mlflow/traces/x/assessments/x"),
    ("POST", "3.0/mlflow/traces/metrics"),
    ("POST", "3.0/mlflow/traces/calculate-filter-correlation"),
    ("POST", "2.0/mlflow/traces/link-to-run"),
    ("POST", "2.0/mlflow/traces/link-prompts"),
    ("POST GET", "2.0/mlflow/traces"),
    ("PATCH", "2.0/mlflow/traces/x"),
    ("GET", "2.0/mlflow/traces/x/info"),
    ("PATCH DELETE", "2.0/mlflow/traces/x/tags"),
    ("POST", "2.0/mlflow/traces/delete-traces"),
    ("POST", "3.0/mlflow/datasets/create"),
    ("GET DELETE", "3.0/mlflow/datasets/x"),
    ("POST GET", "3.0/mlflow/datasets/search"),
    ("POST GET DELETE", "3.0/mlflow/datasets/x/records"),
    ("PATCH", "3.0/mlflow/datasets/x/tags"),
    ("DELETE", "3.0/mlflow/datasets/x/tags/x"),
    ("GET", "3.0/mlflow/datasets/x/experiment-ids"),
    ("POST", "3.0/mlflow/datasets/x/add-experiments"),
    ("POST", "3.0/mlflow/datasets/x/remove-experiments"),
    ("POST GET", "2.0/mlflow/webhooks"),
    ("GET PATCH DELETE", "2.0/mlflow/webhooks/x"),
    ("POST", "2.0/mlflow/webhooks/x/test"),
    ("POST", "3.0/mlflow/scorers/register"),
    ("GET", "3.0/mlflow/scorers/list"),
    ("GET", "3.0/mlflow/scorers/versions"),
    ("GET", "3.0/mlflow/scorers/get"),
    ("DELETE", "3.0/mlflow/scorers/delete"),
    ("PUT", "3.0/mlflow/scorers/online-config"),
    ("GET", "3.0/mlflow/scorers/online-configs"),
    ("GET", "3.0/mlflow/server-info"),
    ("GET POST", "3.0/mlflow/ui-telemetry"),
    ("GET", "3.0/mlflow/assistant/config"),
    ("GET", "3.0/mlflow/assistant/providers"),
    ("GET POST", "2.0/mlflow/gateway-proxy"),
];

/// At the root.
const AT_THE_ROOT: &[(&str, &str)] = &[
    ("GET", "/health"),
    ("GET", "/version"),
    ("GET", "/get-artifact"),
    ("GET", "/model-versions/get-artifact"),
    ("POST", "/v1/traces"),
    ("POST", "/graphql"),
];

#[tokio::test]
async fn the_router_knows_what_clients_call() {
    let fixture = Fixture::new().await;
    let mut asked: Vec<(String, String)> = Vec::new();
    for (methods, path) in CALLED {
        for method in methods.split(' ') {
            asked.extend(["/api", "/ajax-api"].map(|prefix| (method.to_owned(), format!("{prefix}/{path}"))));
        }
    }
    asked.extend(AT_THE_ROOT.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())));
    for (method, path) in asked {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(&path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Body::from("{}"))
            .unwrap();
        let (status, answer) = fixture.send(request).await;
        let unknown = status == 404 && answer["error_code"] != "RESOURCE_DOES_NOT_EXIST" && answer["detail"].is_null();
        assert!(!unknown && status != 405 && status != 501 && status != 500, "{method} {path}: {status} {answer}");
    }
}
