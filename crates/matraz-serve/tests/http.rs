//! The scoring server's routes.

#![allow(clippy::unwrap_used, reason = "a broken fixture must end the test")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use matraz_serve::Model;
use matraz_serve::scoring::{Options, Scorer, router, router_with};
use tower::ServiceExt;

fn model() -> Model {
    Model::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scoring/ridge_columns")).unwrap()
}

async fn ask(app: axum::Router, request: Request<Body>) -> (StatusCode, String, String) {
    let response = app.oneshot(request).await.unwrap();
    let status = response.status();
    let content_type =
        response.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, content_type.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn post(content_type: Option<&str>, body: &str) -> Request<Body> {
    let mut request = Request::post("/invocations");
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

const ROWS: &str =
    "{\"dataframe_split\": {\"columns\": [\"a\", \"b\", \"c\", \"d\"], \"data\": [[1, 2, 3, 4]]}}";

#[tokio::test]
async fn health_and_version_are_answered_as_by_mlflow() {
    for path in ["/ping", "/health"] {
        let (status, content_type, body) = ask(router(model()), get(path)).await;
        assert_eq!(
            (status, content_type.as_str(), body.as_str()),
            (StatusCode::OK, "application/json", "\n")
        );
    }
    let (status, _, body) = ask(router(model()), get("/version")).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "3.18.0"));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused() {
    let (status, _, body) = ask(router(model()), get("/nothing")).await;
    assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, "{\"detail\":\"Not Found\"}"));
    let (status, _, body) = ask(router(model()), get("/invocations")).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(body, "{\"detail\":\"Method Not Allowed\"}");
}

#[tokio::test]
async fn a_row_is_scored() {
    let (status, content_type, body) = ask(router(model()), post(Some("application/json"), ROWS)).await;
    assert_eq!((status, content_type.as_str()), (StatusCode::OK, "application/json"), "{body}");
    assert!(body.starts_with("{\"predictions\": [{\"variable\": 0.2"), "{body}");
}

#[tokio::test]
async fn refusals_have_the_error_body_of_mlflow() {
    let (status, content_type, body) = ask(router(model()), post(Some("application/json"), "[1]")).await;
    assert_eq!((status, content_type.as_str()), (StatusCode::BAD_REQUEST, "application/json"));
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["error_code"], "BAD_REQUEST");
    for content_type in [None, Some("text/plain"), Some("application/json; charset=latin-1")] {
        let (status, content_type, _) = ask(router(model()), post(content_type, ROWS)).await;
        assert_eq!(
            (status, content_type.as_str()),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "text/plain; charset=utf-8")
        );
    }
}

#[tokio::test]
async fn large_bodies_and_long_waits_end() {
    let model = Arc::new(model());
    let small = Options { max_body: 10, ..Options::default() };
    let (status, ..) =
        ask(router_with(Scorer::Native(Arc::clone(&model)), small), post(Some("text/csv"), ROWS)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);

    // A body that never ends is given up.
    let short = Options { timeout: Duration::from_millis(20), ..Options::default() };
    let endless = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request =
        Request::post("/invocations").header(header::CONTENT_TYPE, "text/csv").body(endless).unwrap();
    let (status, _, body) = ask(router_with(Scorer::Native(model), short), request).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(body, "Request processing time exceeded limit");
}
