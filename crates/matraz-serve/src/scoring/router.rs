//! The scoring server's routes: `/ping`, `/health`, `/version`, `/invocations`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use super::model::Model;

/// Limits of a scoring server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The largest body taken, in bytes.
    pub max_body: usize,
    /// How long a request may take before it is answered with 504.
    pub timeout: Duration,
    /// How many predictions run at once; further ones wait.
    pub parallel: usize,
    /// What `/version` answers: the MLflow version that clients should take the server for.
    pub version: String,
}

impl Default for Options {
    /// 128 MiB, MLflow's 60 seconds, one prediction for each processor.
    fn default() -> Self {
        Self {
            max_body: 128 << 20,
            timeout: Duration::from_secs(60),
            parallel: std::thread::available_parallelism().map_or(1, usize::from),
            version: "3.18.0".into(),
        }
    }
}

struct Scorer {
    model: Arc<Model>,
    options: Options,
    permits: Arc<Semaphore>,
}

/// Serves `model` with the default [`Options`].
pub fn router(model: Model) -> Router {
    router_with(Arc::new(model), Options::default())
}

/// Serves `model` with the given limits.
pub fn router_with(model: Arc<Model>, options: Options) -> Router {
    let permits = Arc::new(Semaphore::new(options.parallel.max(1)));
    let scorer = Arc::new(Scorer { model, options, permits });
    Router::new()
        .route("/ping", get(ping))
        .route("/health", get(ping))
        .route("/version", get(version))
        .route("/invocations", post(invocations))
        .method_not_allowed_fallback(|| async {
            detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
        })
        .fallback(|| async { detail(StatusCode::NOT_FOUND, "Not Found") })
        .with_state(scorer)
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, content_type)], body.into()).into_response()
}

fn detail(status: StatusCode, text: &str) -> Response {
    answer(status, "application/json", format!("{{\"detail\":\"{text}\"}}"))
}

async fn ping() -> Response {
    answer(StatusCode::OK, "application/json", "\n")
}

async fn version(State(scorer): State<Arc<Scorer>>) -> Response {
    answer(StatusCode::OK, "application/json", scorer.options.version.clone())
}

async fn invocations(State(scorer): State<Arc<Scorer>>, request: Request) -> Response {
    match tokio::time::timeout(scorer.options.timeout, score(&scorer, request)).await {
        Ok(response) => response,
        Err(_) => {
            answer(StatusCode::GATEWAY_TIMEOUT, "application/json", "Request processing time exceeded limit")
        }
    }
}

async fn score(scorer: &Scorer, request: Request) -> Response {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let Ok(body) = to_bytes(request.into_body(), scorer.options.max_body).await else {
        return detail(StatusCode::PAYLOAD_TOO_LARGE, "Request body is too large or was not sent whole");
    };
    let Ok(permit) = Arc::clone(&scorer.permits).acquire_owned().await else {
        return detail(StatusCode::SERVICE_UNAVAILABLE, "The server is ending");
    };
    let model = Arc::clone(&scorer.model);
    // A prediction that outlives its request keeps its permit, so that timeouts do not pile up work.
    let work = tokio::task::spawn_blocking(move || {
        let result = model.predict(&body, &content_type);
        drop(permit);
        result
    });
    match work.await {
        Ok(Ok(text)) => answer(StatusCode::OK, "application/json", text),
        Ok(Err(refusal)) => {
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
            answer(status, refusal.content_type, refusal.body)
        }
        Err(error) => {
            tracing::error!(%error, "a prediction broke off");
            answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", "Internal Server Error")
        }
    }
}
