//! The artifact proxy `/2.0/mlflow-artifacts`: files below the artifact root of the server, by their paths.

use axum::body::Body;
use axum::extract::Request as HttpRequest;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::artifacts::{FileInfo, Listing, send};
use super::error::ErrorBody;
use super::json::{Empty, Reply};
use super::{Answer, Message, Request};
use crate::artifact::{ArtifactError, ArtifactPath, ArtifactRoot, Entry, on_disk};
use crate::auth::Caller;
use crate::error::{Code, Error, Result};
use crate::service::Service;

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(list_proxied))
        .routes(routes!(download_root))
        .routes(routes!(download, upload, remove))
        .routes(routes!(multipart))
        .routes(routes!(presigned_part))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ListProxied {
    /// A folder below the artifact root of the server.
    path: String,
}

/// List a folder of the artifact proxy, by base names
#[utoipa::path(get, path = "/2.0/mlflow-artifacts/artifacts", tag = "artifacts", params(ListProxied),
    responses((status = 200, body = Listing), (status = 400, body = ErrorBody)))]
async fn list_proxied(
    State(service): State<Service>,
    caller: Caller,
    Query(query): Query<ListProxied>,
) -> Reply<Listing> {
    let path = ArtifactPath::parse(&query.path)?;
    let root = proxy(&service)?;
    let is_root = path.is_root();
    let mut entries = on_disk(move || root.list(&path)).await?;
    if is_root {
        // The folders here are the numbers of experiments.
        let seen = caller.readable("experiment");
        entries.retain(|entry| seen.contains(&entry.path));
    }
    let base_name = |entry: Entry| {
        let name = entry.path.rsplit('/').next().unwrap_or_default().to_owned();
        FileInfo::from(Entry { path: name, ..entry })
    };
    Ok(Answer(Listing { root_uri: None, files: entries.into_iter().map(base_name).collect() }))
}

/// The folder behind the proxy.
fn proxy(service: &Service) -> Result<ArtifactRoot> {
    service.artifacts().proxy().cloned().ok_or_else(|| {
        Error::request(
            Code::TemporarilyUnavailable,
            "Artifact serving is disabled. Start the server with `--serve-artifacts` to enable it.",
        )
    })
}

/// Download a file through the artifact proxy
#[utoipa::path(get, path = "/2.0/mlflow-artifacts/artifacts/{*path}", tag = "artifacts",
    params(("path" = String, Path, description = "a path below the artifact root of the server, with its slashes")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, body = Vec<u8>, content_type = "application/octet-stream"), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody)))]
async fn download(
    State(service): State<Service>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response<Body>> {
    let path = ArtifactPath::parse(&path)?;
    match send(proxy(&service)?, path, &headers).await {
        Err(ArtifactError::IsFolder { path }) => {
            Ok(detail(&format!("Artifact path refers to a directory, not a file: '{path}'")))
        }
        sent => Ok(sent?),
    }
}

/// Refused: the root of the artifact proxy is a folder
#[utoipa::path(get, path = "/2.0/mlflow-artifacts/artifacts/", tag = "artifacts", responses((status = 400)))]
async fn download_root() -> Response<Body> {
    detail("Artifact path refers to a directory, not a file: ''")
}

/// The other error body of the proxy.
fn detail(message: &str) -> Response<Body> {
    let body = serde_json::json!({ "detail": message }).to_string();
    (StatusCode::BAD_REQUEST, [(CONTENT_TYPE, "application/json")], body).into_response()
}

/// Upload a file through the artifact proxy
#[utoipa::path(put, path = "/2.0/mlflow-artifacts/artifacts/{*path}", tag = "artifacts",
    params(("path" = String, Path, description = "a path below the artifact root of the server, with its slashes")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200), (status = 400, body = ErrorBody)))]
async fn upload(
    State(service): State<Service>,
    Path(sent): Path<String>,
    request: HttpRequest,
) -> Result<Response<Body>> {
    let path = ArtifactPath::parse(&sent)?;
    if sent.ends_with('/') || path.is_root() {
        return Ok(detail("Artifact path must include a filename (cannot end with '/')."));
    }
    proxy(&service)?.upload(&path, request.into_body().into_data_stream()).await?;
    Ok(StatusCode::OK.into_response())
}

/// Delete a file or a folder through the artifact proxy
#[utoipa::path(delete, path = "/2.0/mlflow-artifacts/artifacts/{*path}", tag = "artifacts",
    params(("path" = String, Path, description = "a path below the artifact root of the server, with its slashes")),
    responses((status = 200, body = Empty), (status = 400, body = ErrorBody)))]
async fn remove(State(service): State<Service>, Path(path): Path<String>) -> Reply<Empty> {
    let path = ArtifactPath::parse(&path)?;
    let root = proxy(&service)?;
    on_disk(move || root.delete(&path)).await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct Multipart {
    /// The name of the file.
    path: String,
}

impl Message for Multipart {
    const REQUIRED: &'static [&'static str] = &["path"];
}

/// Upload a file in parts: always refused, as no storage of this server takes parts
#[utoipa::path(post, path = "/2.0/mlflow-artifacts/mpu/{step}/{*path}", tag = "artifacts", request_body = Multipart,
    params(("step" = String, Path, description = "`create`, `complete` or `abort`"),
        ("path" = String, Path, description = "a path below the artifact root of the server, with its slashes")),
    responses((status = 400, body = ErrorBody), (status = 501, body = ErrorBody)))]
async fn multipart(
    Path((step, path)): Path<(String, String)>,
    Request(request): Request<Multipart>,
) -> Error {
    if !matches!(step.as_str(), "create" | "complete" | "abort") {
        return Error::request(Code::EndpointNotFound, format!("No route 'mpu/{step}'"));
    }
    match ArtifactPath::parse(&path).and_then(|_| ArtifactPath::parse(&request.path)) {
        Ok(_) => Error::request(
            Code::NotImplemented,
            "Multipart upload is not supported for the current artifact repository",
        ),
        Err(error) => error.into(),
    }
}

/// Ask for a URL to download from: always refused, as no storage of this server signs URLs
#[utoipa::path(get, path = "/2.0/mlflow-artifacts/presigned/{*path}", tag = "artifacts",
    params(("path" = String, Path, description = "a path below the artifact root of the server, with its slashes")),
    responses((status = 400, body = ErrorBody), (status = 501, body = ErrorBody)))]
async fn presigned_part(Path(path): Path<String>) -> Error {
    match ArtifactPath::parse(&path) {
        Ok(_) => Error::request(
            Code::NotImplemented,
            "Multipart download is not supported for the current artifact repository",
        ),
        Err(error) => error.into(),
    }
}
