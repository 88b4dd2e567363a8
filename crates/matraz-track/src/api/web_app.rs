//! Routes that only MLflow's web app asks, about parts that this server does not have: its telemetry, an assistant, a
//! gateway to language models. It gets the answers of a server on which nobody set them up.

use axum::Json;
use axum::body::Bytes;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::service::Service;

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(telemetry, telemetry_records))
        .routes(routes!(assistant))
        .routes(routes!(assistants))
        .routes(routes!(endpoints, ask_endpoint))
}

/// Whether the web app is to send telemetry: it is not
#[utoipa::path(get, path = "/3.0/mlflow/ui-telemetry", tag = "web app", responses((status = 200, body = Object)))]
async fn telemetry() -> Json<Value> {
    Json(json!({"disable_ui_events": [], "disable_ui_telemetry": true, "ui_rollout_percentage": 0}))
}

/// Telemetry of the web app, which nobody takes
#[utoipa::path(post, path = "/3.0/mlflow/ui-telemetry", request_body = Object, tag = "web app", responses((status = 200, body = Object)))]
async fn telemetry_records(_records: Bytes) -> Json<Value> {
    Json(json!({"status": "disabled"}))
}

/// The settings of the assistant, which is not there
#[utoipa::path(get, path = "/3.0/mlflow/assistant/config", tag = "web app", responses((status = 200, body = Object)))]
async fn assistant() -> Json<Value> {
    Json(
        json!({"providers": {}, "projects": {}, "remote_access_allowed": false, "can_edit_server_settings": false}),
    )
}

/// The assistants, of which there is none
#[utoipa::path(get, path = "/3.0/mlflow/assistant/providers", tag = "web app", responses((status = 200, body = Object)))]
async fn assistants() -> Json<Value> {
    Json(json!({"providers": []}))
}

/// The endpoints of a gateway to language models, of which there is none
#[utoipa::path(get, path = "/2.0/mlflow/gateway-proxy", tag = "web app", responses((status = 200, body = Object)))]
async fn endpoints() -> Json<Value> {
    Json(json!({"endpoints": []}))
}

/// A question to a gateway to language models, which is answered as if it had no endpoints
#[utoipa::path(post, path = "/2.0/mlflow/gateway-proxy", request_body = Object, tag = "web app", responses((status = 200, body = Object)))]
async fn ask_endpoint(_question: Bytes) -> Json<Value> {
    endpoints().await
}
