//! The scoring server's routes: `/ping`, `/health`, `/version`, `/invocations`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use super::json::write_text;
use super::model::Model;
use crate::Error;
use crate::worker::Pool;

/// What answers requests.
#[derive(Clone, Debug)]
pub enum Scorer {
    /// The interpreter of this program.
    Native(Arc<Model>),
    /// Python processes.
    Python(Arc<Pool>),
}

/// Limits of a scoring server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The largest body taken, in bytes.
    pub max_body: usize,
    /// How long a request may take before it is answered with 504.
    pub timeout: Duration,
    /// How many predictions of this program's interpreter run at once; further ones wait.
    pub parallel: usize,
    /// What `/version` answers for models that this program runs itself: the MLflow version that clients should take
    /// the server for. Python processes say the version of their MLflow.
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

struct Served {
    scorer: Scorer,
    options: Options,
    permits: Arc<Semaphore>,
}

/// Serves `model` with the default [`Options`].
pub fn router(model: Model) -> Router {
    router_with(Scorer::Native(Arc::new(model)), Options::default())
}

/// Serves a model with the given limits.
pub fn router_with(scorer: Scorer, options: Options) -> Router {
    let permits = Arc::new(Semaphore::new(options.parallel.max(1)));
    let served = Arc::new(Served { scorer, options, permits });
    Router::new()
        .route("/ping", get(ping))
        .route("/health", get(ping))
        .route("/version", get(version))
        .route("/invocations", post(invocations))
        .method_not_allowed_fallback(|| async {
            detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
        })
        .fallback(|| async { detail(StatusCode::NOT_FOUND, "Not Found") })
        .with_state(served)
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, content_type)], body.into()).into_response()
}

fn detail(status: StatusCode, text: &str) -> Response {
    answer(status, "application/json", format!("{{\"detail\":\"{text}\"}}"))
}

/// An error that is not the client's, as MLflow writes it.
fn failure(status: StatusCode, code: &str, message: &str) -> Response {
    let mut body = format!("{{\"error_code\": \"{code}\", \"message\": ");
    write_text(&mut body, message);
    body.push('}');
    answer(status, "application/json", body)
}

async fn ping(State(served): State<Arc<Served>>) -> Response {
    match &served.scorer {
        Scorer::Python(pool) if !pool.is_up() => failure(
            StatusCode::SERVICE_UNAVAILABLE,
            "TEMPORARILY_UNAVAILABLE",
            "no process of the model is running",
        ),
        _ => answer(StatusCode::OK, "application/json", "\n"),
    }
}

async fn version(State(served): State<Arc<Served>>) -> Response {
    let version = match &served.scorer {
        Scorer::Native(_) => &served.options.version,
        Scorer::Python(pool) => pool.version(),
    };
    answer(StatusCode::OK, "application/json", version.to_owned())
}

async fn invocations(State(served): State<Arc<Served>>, request: Request) -> Response {
    match tokio::time::timeout(served.options.timeout, score(&served, request)).await {
        Ok(response) => response,
        Err(_) => {
            answer(StatusCode::GATEWAY_TIMEOUT, "application/json", "Request processing time exceeded limit")
        }
    }
}

async fn score(served: &Served, request: Request) -> Response {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let Ok(body) = to_bytes(request.into_body(), served.options.max_body).await else {
        return detail(StatusCode::PAYLOAD_TOO_LARGE, "Request body is too large or was not sent whole");
    };
    match &served.scorer {
        Scorer::Native(model) => score_here(Arc::clone(model), &served.permits, content_type, body).await,
        Scorer::Python(pool) => match pool.predict(content_type, body.into()).await {
            Ok(given) => {
                let status = StatusCode::from_u16(given.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                // As MLflow's server completes the types that it names.
                let charset = if given.content_type.starts_with("text/") { "; charset=utf-8" } else { "" };
                let content_type = format!("{}{charset}", given.content_type);
                (status, [(header::CONTENT_TYPE, content_type)], given.body).into_response()
            }
            Err(error @ Error::NoWorker { .. }) => {
                failure(StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE", &error.to_string())
            }
            Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", &error.to_string()),
        },
    }
}

/// Answers with the interpreter of this program.
async fn score_here(
    model: Arc<Model>,
    permits: &Arc<Semaphore>,
    content_type: String,
    body: Bytes,
) -> Response {
    let Ok(permit) = Arc::clone(permits).acquire_owned().await else {
        return detail(StatusCode::SERVICE_UNAVAILABLE, "The server is ending");
    };
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
