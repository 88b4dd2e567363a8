//! What the server is and can do: clients ask before they move artifacts, and to see whether it lives.

use axum::extract::State;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use super::router::MLFLOW_VERSION;
use crate::service::Service;

/// The abilities of the server.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ServerInfo {
    /// Always `SqlStore`.
    store_type: &'static str,
    workspaces_enabled: bool,
    trace_archival_enabled: bool,
    multipart_uploads_enabled: bool,
    multipart_downloads_enabled: bool,
    /// Whether artifacts go through this server.
    artifact_serving_enabled: bool,
    /// Bytes.
    skill_content_max_size: u64,
    skill_content_max_files: u64,
    presigned_upload_run_id_supported: bool,
    presigned_upload_model_id_supported: bool,
    model_artifact_presigned_downloads_supported: bool,
    features_enabled: Features,
    tracking_auth: &'static str,
    artifacts_presigned_only: bool,
}

/// Optional parts of MLflow.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Features {
    gateway: bool,
    scheduled_issue_detection: bool,
}

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(server_info))
        // Refused in every way; the document would say nothing but that.
        .route("/3.0/mlflow/workspaces", axum::routing::any(no_workspaces))
        .route("/3.0/mlflow/workspaces/{*name}", axum::routing::any(no_workspaces))
}

/// The routes at the root of the server.
pub(crate) fn root_routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(version))
}

/// Whether the server lives
#[utoipa::path(get, path = "/health", tag = "server", responses((status = 200, body = String, content_type = "text/plain")))]
async fn health() -> &'static str {
    "OK"
}

/// The version of MLflow whose API is spoken
#[utoipa::path(get, path = "/version", tag = "server", responses((status = 200, body = String, content_type = "text/html")))]
async fn version() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], MLFLOW_VERSION)
}

/// What the server can do
#[utoipa::path(get, path = "/3.0/mlflow/server-info", tag = "server", responses((status = 200, body = ServerInfo)))]
async fn server_info(State(service): State<Service>) -> Answer<ServerInfo> {
    Answer(ServerInfo {
        store_type: "SqlStore",
        workspaces_enabled: false,
        trace_archival_enabled: false,
        multipart_uploads_enabled: false,
        multipart_downloads_enabled: false,
        artifact_serving_enabled: service.options().artifacts_destination.is_some(),
        skill_content_max_size: 0,
        skill_content_max_files: 0,
        presigned_upload_run_id_supported: false,
        presigned_upload_model_id_supported: false,
        model_artifact_presigned_downloads_supported: false,
        features_enabled: Features { gateway: false, scheduled_issue_detection: false },
        tracking_auth: "",
        artifacts_presigned_only: false,
    })
}

async fn no_workspaces() -> impl IntoResponse {
    (StatusCode::SERVICE_UNAVAILABLE, "this server runs without workspaces")
}
