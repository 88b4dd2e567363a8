use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use crate::fixture::Fixture;

#[tokio::test]
async fn health_version_and_unknown_routes() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.get("/health").await, "OK");
    assert_eq!(fixture.get("/version").await, "3.18.0");
    assert_eq!(
        fixture.get("/ajax-api/2.0/mlflow/experiments/get?experiment_id=0").await["experiment"]["name"],
        "Default"
    );
    fixture.refused(Method::GET, "no/such/route", json!({}), 404, "ENDPOINT_NOT_FOUND").await;
    assert_eq!(fixture.call(Method::POST, "experiments/get", json!({})).await.0, 405);
}

#[tokio::test]
async fn strangers_are_kept_out() {
    let fixture = Fixture::new().await;
    let request = |method: Method, path: &str, host: &str, origin: &str| {
        let mut request = Request::builder().method(method).uri(path).header("host", host);
        if !origin.is_empty() {
            request = request.header("origin", origin);
        }
        request.header("content-type", "application/json").body(Body::from("{}")).unwrap()
    };
    let search = "/api/2.0/mlflow/experiments/get?experiment_id=0";
    for (method, path, host, origin, status) in [
        (Method::GET, search, "evil.example", "", 403),
        (Method::GET, "/health", "evil.example", "", 200),
        (Method::GET, search, "localhost", "http://evil.example", 200),
        (Method::POST, search, "localhost", "http://evil.example", 403),
        (Method::OPTIONS, search, "localhost", "", 204),
    ] {
        let (got, body) = fixture.send(request(method, path, host, origin)).await;
        assert_eq!(got, status, "{path} {host} {origin}: {body}");
    }
}

#[tokio::test]
async fn the_api_document_is_whole() {
    let fixture = Fixture::new().await;
    let document = fixture.get("/openapi.json").await;
    let mut ids = std::collections::HashSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{method} {path}: the id {id} is taken");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                if parameter["in"] == "header" {
                    continue;
                }
                let place = if path.contains(&format!("{{{name}}}")) { "path" } else { "query" };
                assert_eq!(parameter["in"], place, "{method} {path}: {name}");
            }
        }
    }
    for id in [
        "get_experiments_search",
        "post_runs_log_batch",
        "get_metrics_get_history",
        "get_server_info",
        "get_health",
    ] {
        assert!(ids.contains(id), "{id} is not among {ids:?}");
    }
    let search = &document["paths"]["/api/2.0/mlflow/metrics/get-history"]["get"]["parameters"];
    let required: Vec<&str> = search
        .as_array()
        .unwrap()
        .iter()
        .filter(|parameter| parameter["required"] == true)
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    assert_eq!(required, ["run_id", "metric_key"]);
}
