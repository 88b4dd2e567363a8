//! Artifacts of runs, logged models and model versions over HTTP: listings, and what the browser up- and downloads.

use axum::body::{Body, Bytes};
use axum::extract::Request as HttpRequest;
use axum::extract::{Path, Query, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Empty, Reply};
use super::{Answer, Int64, Message, Request};
use crate::artifact::{
    ArtifactError, ArtifactPath, ArtifactRoot, Entry, UPLOADING_PREFIX, file_response, on_disk,
};
use crate::db::Session;
use crate::error::{Code, Error, Result};
use crate::service::Service;
use crate::{logged_model, model_version, run};

/// The largest upload through the browser's route, in bytes.
const MAX_BROWSER_UPLOAD: usize = 10 << 20;

/// The routes below `/api` and `/ajax-api`.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(list_of_run))
        .routes(routes!(list_of_model))
        .routes(routes!(presigned_upload))
        .routes(routes!(presigned_download))
        .routes(routes!(upload_from_browser))
        .routes(routes!(file_of_model))
}

/// The routes at the root of the server.
pub(crate) fn root_routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(file_of_run)).routes(routes!(file_of_version))
}

impl From<ArtifactError> for Error {
    fn from(error: ArtifactError) -> Self {
        match error {
            ArtifactError::InvalidPath { .. } => Self::invalid("Invalid path"),
            ArtifactError::OutsideRoot { .. } => {
                Self::invalid("Invalid path: resolved path is outside the artifact directory")
            }
            ArtifactError::ReservedName { name } => Self::invalid(format!(
                "Invalid artifact file name: '{name}'. Artifact names starting with '{UPLOADING_PREFIX}' are reserved."
            )),
            ArtifactError::NoFileName => {
                Self::invalid("Artifact path must include a filename (cannot end with '/').")
            }
            ArtifactError::Missing { path } => Self::missing(format!("No such artifact: '{path}'")),
            ArtifactError::IsFolder { path } => {
                Self::invalid(format!("Artifact path refers to a directory, not a file: '{path}'"))
            }
            ArtifactError::FileInTheWay { .. } | ArtifactError::BrokenUpload { .. } => {
                Self::invalid(error.to_string())
            }
            ArtifactError::UnsupportedScheme { .. } => Self::request(Code::NotImplemented, error.to_string()),
            ArtifactError::NotServed { .. } => Self::request(Code::TemporarilyUnavailable, error.to_string()),
            ArtifactError::UntrustedFolder { .. } => Self::request(Code::PermissionDenied, error.to_string()),
            ArtifactError::Io { action, path, source } => Self::File { action, path, source },
        }
    }
}

/// A file or folder below an artifact location.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct FileInfo {
    path: String,
    is_dir: bool,
    /// Bytes, for files that are not empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    file_size: Option<u64>,
}

impl From<Entry> for FileInfo {
    fn from(entry: Entry) -> Self {
        Self { path: entry.path, is_dir: entry.is_folder, file_size: entry.size.filter(|size| *size > 0) }
    }
}

/// A listing.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Listing {
    /// The artifact location that the paths are relative to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) root_uri: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<FileInfo>,
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListArtifacts {
    #[param(required = true)]
    run_id: String,
    /// The older name of `run_id`.
    run_uuid: String,
    /// A folder below the artifact location; absent for all of it.
    path: String,
}

impl Message for ListArtifacts {
    const REQUIRED: &'static [&'static str] = &["run_id"];
}

/// List the artifacts of a run
#[utoipa::path(get, path = "/2.0/mlflow/artifacts/list", tag = "artifacts", params(ListArtifacts),
    responses((status = 200, body = Listing), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn list_of_run(
    State(service): State<Service>,
    Request(request): Request<ListArtifacts>,
) -> Reply<Listing> {
    let path = ArtifactPath::parse(&request.path)?;
    let run_id = if request.run_id.is_empty() { request.run_uuid } else { request.run_id };
    let info = run::find(&mut service.db().read().await?, &run_id).await?;
    listing(&service, info.artifact_uri, path).await
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ListModelArtifacts {
    /// A folder below the artifact location; absent for all of it.
    artifact_directory_path: String,
}

/// List the artifacts of a logged model
#[utoipa::path(get, path = "/2.0/mlflow/logged-models/{model_id}/artifacts/directories", tag = "artifacts",
    params(("model_id" = String, Path, description = "`m-` and 32 digits"), ListModelArtifacts),
    responses((status = 200, body = Listing), (status = 404, body = ErrorBody)))]
async fn list_of_model(
    State(service): State<Service>,
    Path(model_id): Path<String>,
    Query(query): Query<ListModelArtifacts>,
) -> Reply<Listing> {
    let path = ArtifactPath::parse(&query.artifact_directory_path)?;
    let model = logged_model::get(&mut service.db().read().await?, &model_id).await?;
    listing(&service, model.artifact_location, path).await
}

/// The listing of `path` below an artifact location, with paths relative to that location.
async fn listing(service: &Service, uri: String, path: ArtifactPath) -> Reply<Listing> {
    let (root, folder) = service.artifacts().find(&uri, &path)?;
    let entries = on_disk(move || root.list(&folder)).await?;
    let relative = |entry: Entry| {
        let name = entry.path.rsplit('/').next().unwrap_or_default();
        let path = if path.is_root() { name.to_owned() } else { format!("{path}/{name}") };
        FileInfo::from(Entry { path, ..entry })
    };
    Ok(Answer(Listing { files: entries.into_iter().map(relative).collect(), root_uri: Some(uri) }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct PresignedUpload {
    /// Either this or `model_id`.
    run_id: String,
    model_id: String,
    path: String,
}

impl Message for PresignedUpload {
    const REQUIRED: &'static [&'static str] = &["path"];
}

/// Ask for a URL to upload to: always refused, as no storage of this server signs URLs
#[utoipa::path(post, path = "/2.0/mlflow/artifacts/presigned-upload-url", tag = "artifacts", request_body = PresignedUpload,
    responses((status = 400, body = ErrorBody), (status = 501, body = ErrorBody)))]
async fn presigned_upload(
    State(service): State<Service>,
    Request(request): Request<PresignedUpload>,
) -> Result<Answer<Empty>> {
    if request.run_id.is_empty() == request.model_id.is_empty() {
        return Err(Error::invalid("Exactly one of run_id and model_id must be provided."));
    }
    ArtifactPath::parse(&request.path)?;
    let mut session = service.db().read().await?;
    let uri = if request.model_id.is_empty() {
        run::find(&mut session, &request.run_id).await?.artifact_uri
    } else {
        logged_model::get(&mut session, &request.model_id).await?.artifact_location
    };
    Err(no_presigning(&uri, "upload", "proxied artifact storage"))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct PresignedDownload {
    run_id: String,
    path: String,
    /// Seconds that the URL should live.
    expiration: Option<Int64>,
}

impl Message for PresignedDownload {
    const REQUIRED: &'static [&'static str] = &["run_id", "path"];
}

/// Ask for a URL to download from: always refused, as no storage of this server signs URLs
#[utoipa::path(post, path = "/2.0/mlflow/artifacts/presigned-download-url", tag = "artifacts", request_body = PresignedDownload,
    responses((status = 400, body = ErrorBody), (status = 501, body = ErrorBody)))]
async fn presigned_download(
    State(service): State<Service>,
    Request(request): Request<PresignedDownload>,
) -> Result<Answer<Empty>> {
    ArtifactPath::parse(&request.path)?;
    if let Some(Int64(seconds)) = request.expiration
        && !(1..=604_800).contains(&seconds)
    {
        let message = format!("expiration must be between 1 and 604800 seconds (got {seconds}).");
        return Err(Error::invalid(message));
    }
    let info = run::find(&mut service.db().read().await?, &request.run_id).await?;
    Err(no_presigning(&info.artifact_uri, "download", "runs with proxied artifact storage"))
}

fn no_presigning(uri: &str, way: &str, proxied: &str) -> Error {
    match uri.split_once(':') {
        Some((scheme @ ("http" | "https" | "mlflow-artifacts"), _)) => Error::invalid(format!(
            "Presigned {way} is not supported for {proxied} (artifact URI scheme: {scheme}). This endpoint requires a direct \
             cloud storage artifact URI."
        )),
        _ => Error::request(
            Code::NotImplemented,
            format!("Presigned {way} is not supported for the current artifact repository"),
        ),
    }
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct RunFile {
    run_id: String,
    run_uuid: String,
    path: String,
    presigned: String,
}

impl RunFile {
    fn run(&self) -> &str {
        if self.run_id.is_empty() { &self.run_uuid } else { &self.run_id }
    }
}

/// Download a file of a run
#[utoipa::path(get, path = "/get-artifact", tag = "artifacts", params(RunFile),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = ErrorBody)))]
async fn file_of_run(
    State(service): State<Service>,
    Query(query): Query<RunFile>,
    headers: HeaderMap,
) -> Result<Response<Body>> {
    refuse_presigned(&query.presigned)?;
    let path = required_path(&query.path, "path")?;
    let info = run::find(&mut service.db().read().await?, query.run()).await?;
    file_at(&service, &info.artifact_uri, &path, &headers).await
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct VersionFile {
    name: String,
    version: String,
    path: String,
    presigned: String,
}

/// Download a file of a model version
#[utoipa::path(get, path = "/model-versions/get-artifact", tag = "artifacts", params(VersionFile),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = ErrorBody)))]
async fn file_of_version(
    State(service): State<Service>,
    Query(query): Query<VersionFile>,
    headers: HeaderMap,
) -> Result<Response<Body>> {
    refuse_presigned(&query.presigned)?;
    let path = required_path(&query.path, "path")?;
    let mut session = service.db().read().await?;
    let uri = model_version::download_uri(&mut session, &query.name, &query.version).await?;
    let uri = of_run_uri(&mut session, uri).await?;
    file_at(&service, &uri, &path, &headers).await
}

/// The artifact location behind a `runs:/…` URI; any other URI as it is.
async fn of_run_uri(session: &mut Session, uri: String) -> Result<String> {
    let Some(rest) = uri.strip_prefix("runs:/") else { return Ok(uri) };
    let (run_id, below) = rest.split_once('/').unwrap_or((rest, ""));
    let root = run::find(session, run_id).await?.artifact_uri;
    Ok(format!("{}/{}", root.trim_end_matches('/'), ArtifactPath::parse(below)?))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ModelFile {
    artifact_file_path: String,
    presigned: String,
}

/// Download a file of a logged model
#[utoipa::path(get, path = "/2.0/mlflow/logged-models/{model_id}/artifacts/files", tag = "artifacts",
    params(("model_id" = String, Path, description = "`m-` and 32 digits"), ModelFile),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = ErrorBody)))]
async fn file_of_model(
    State(service): State<Service>,
    Path(model_id): Path<String>,
    Query(query): Query<ModelFile>,
    headers: HeaderMap,
) -> Result<Response<Body>> {
    refuse_presigned(&query.presigned)?;
    if query.artifact_file_path.is_empty() {
        let message = "Request must include the \"artifact_file_path\" query parameter.";
        return Err(Error::request(Code::BadRequest, message));
    }
    let path = ArtifactPath::parse(&query.artifact_file_path)?;
    let model = logged_model::get(&mut service.db().read().await?, &model_id).await?;
    file_at(&service, &model.artifact_location, &path, &headers).await
}

/// A file as an answer.
pub(super) async fn send(
    root: ArtifactRoot,
    path: ArtifactPath,
    headers: &HeaderMap,
) -> Result<Response<Body>, ArtifactError> {
    let file = on_disk(move || root.open(&path)).await?;
    Ok(file_response(file, headers))
}

async fn file_at(
    service: &Service,
    uri: &str,
    path: &ArtifactPath,
    headers: &HeaderMap,
) -> Result<Response<Body>> {
    let (root, path) = service.artifacts().find(uri, path)?;
    let mut response = send(root, path, headers).await?;
    // A browser asks again each time and is told when nothing has changed.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// A file of a trace: an attachment, or all of its spans when no path is given.
pub(super) async fn trace_file(service: &Service, location: &str, path: &str) -> Result<Response<Body>> {
    let path = if path.is_empty() {
        ArtifactPath::parse("traces.json")?
    } else {
        ArtifactPath::parse(&format!("attachments/{path}"))?
    };
    file_at(service, location, &path, &HeaderMap::new()).await
}

fn required_path(path: &str, parameter: &str) -> Result<ArtifactPath> {
    if path.is_empty() {
        return Err(Error::required(parameter));
    }
    Ok(ArtifactPath::parse(path)?)
}

/// Browsers ask for a signed URL first and go on without when there is none.
fn refuse_presigned(asked: &str) -> Result<()> {
    if asked.eq_ignore_ascii_case("true") {
        return Err(Error::request(
            Code::NotImplemented,
            "Presigned download is not supported for the current artifact repository",
        ));
    }
    Ok(())
}

/// Upload a file of a run from a browser, 10 MB at most
#[utoipa::path(post, path = "/2.0/mlflow/upload-artifact", tag = "artifacts", params(RunFile),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200), (status = 400, body = ErrorBody)))]
async fn upload_from_browser(
    State(service): State<Service>,
    Query(query): Query<RunFile>,
    request: HttpRequest,
) -> Result<StatusCode> {
    if query.run().is_empty() {
        return Err(Error::invalid("Request must specify run_id or run_uuid."));
    }
    if query.path.is_empty() {
        return Err(Error::invalid("Request must specify path."));
    }
    let path = ArtifactPath::parse(&query.path)?;
    let too_large = || Error::invalid("Artifact size is too large. Max size is 10MB.");
    let bytes: Bytes =
        axum::body::to_bytes(request.into_body(), MAX_BROWSER_UPLOAD).await.map_err(|_| too_large())?;
    if bytes.is_empty() {
        return Err(Error::invalid("Request must specify data."));
    }
    let info = run::find(&mut service.db().read().await?, query.run()).await?;
    let (root, path) = service.artifacts().find(&info.artifact_uri, &path)?;
    root.upload(&path, futures_util::stream::iter([Ok::<_, std::convert::Infallible>(bytes)])).await?;
    Ok(StatusCode::OK)
}
