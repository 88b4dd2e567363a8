//! `/2.0/mlflow/model-versions`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Empty, KeyValue, Reply};
use super::registered_models::{PROMPT_TAGS, key_values, pairs};
use super::{Answer, Int64, Message, Request};
use crate::auth::Caller;
use crate::model_version::{self, NewModelVersion};
use crate::search::models as search;
use crate::service::{Service, now_ms};
use crate::{registered_model, webhook};

/// The tag with the text of a prompt.
const PROMPT_TEXT: &str = "mlflow.prompt.text";

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(get))
        .routes(routes!(update))
        .routes(routes!(transition))
        .routes(routes!(delete))
        .routes(routes!(search_versions))
        .routes(routes!(download_uri))
        .routes(routes!(set_tag))
        .routes(routes!(delete_tag))
}

/// A version of a registered model.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ModelVersion {
    name: String,
    version: String,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_timestamp: Option<i64>,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// `None`, `Staging`, `Production` or `Archived`.
    current_stage: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<KeyValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_link: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
}

impl From<model_version::ModelVersion> for ModelVersion {
    fn from(stored: model_version::ModelVersion) -> Self {
        Self {
            name: stored.name,
            version: stored.version.to_string(),
            creation_timestamp: stored.creation_time,
            last_updated_timestamp: stored.last_updated_time,
            user_id: stored.user_id,
            current_stage: stored.current_stage,
            description: stored.description,
            source: stored.source,
            run_id: stored.run_id,
            status: stored.status,
            status_message: stored.status_message,
            tags: key_values(stored.tags),
            run_link: stored.run_link,
            aliases: stored.aliases,
        }
    }
}

/// One version.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ModelVersionAnswer {
    pub(super) model_version: ModelVersion,
}

/// A page of versions.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ModelVersionsAnswer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) model_versions: Vec<ModelVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_page_token: Option<String>,
}

fn answer(version: model_version::ModelVersion) -> Answer<ModelVersionAnswer> {
    Answer(ModelVersionAnswer { model_version: version.into() })
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct CreateModelVersion {
    name: String,
    source: String,
    run_id: Option<String>,
    tags: Vec<KeyValue>,
    run_link: String,
    description: String,
    model_id: Option<String>,
}

impl Message for CreateModelVersion {
    const REQUIRED: &'static [&'static str] = &["name", "source"];
}

/// Create the next version of a registered model
#[utoipa::path(post, path = "/2.0/mlflow/model-versions/create", tag = "model versions", request_body = CreateModelVersion,
    responses((status = 200, body = ModelVersionAnswer), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
async fn create(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<CreateModelVersion>,
) -> Reply<ModelVersionAnswer> {
    let new = NewModelVersion {
        name: request.name,
        source: request.source,
        run_id: request.run_id,
        model_id: request.model_id,
        run_link: request.run_link,
        description: request.description,
        tags: pairs(request.tags),
    };
    let mut session = service.write(&caller).await?;
    let version = model_version::create(&mut session, new, now_ms()).await?;
    session.commit().await?;
    tell_created(&service, &version).await;
    Ok(answer(version))
}

/// Tells webhooks of a new version of a model or a prompt.
async fn tell_created(service: &Service, version: &model_version::ModelVersion) {
    let tag =
        |key: &str| version.tags.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
    let is_prompt = tag(registered_model::IS_PROMPT).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let hidden = |key: &str| is_prompt && (PROMPT_TAGS.contains(&key) || key == PROMPT_TEXT);
    let tags: Map<String, Json> = version
        .tags
        .iter()
        .filter(|(key, _)| !hidden(key))
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    let number = version.version.to_string();
    let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if is_prompt {
        let data = json!({"name": version.name, "version": number, "template": tag(PROMPT_TEXT).unwrap_or_default(),
            "tags": tags, "description": said(&version.description)});
        webhook::fire(service, ("prompt_version", "created"), data).await;
    } else {
        let data = json!({"name": version.name, "version": number, "source": version.source, "run_id": said(&version.run_id),
            "tags": tags, "description": said(&version.description)});
        webhook::fire(service, ("model_version", "created"), data).await;
    }
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct NumberedModelVersion {
    #[param(required = true)]
    name: String,
    #[param(required = true)]
    version: String,
}

impl Message for NumberedModelVersion {
    const REQUIRED: &'static [&'static str] = &["name", "version"];
}

/// Get a version
#[utoipa::path(get, path = "/2.0/mlflow/model-versions/get", tag = "model versions", params(NumberedModelVersion),
    responses((status = 200, body = ModelVersionAnswer), (status = 404, body = ErrorBody)))]
async fn get(
    State(service): State<Service>,
    Request(request): Request<NumberedModelVersion>,
) -> Reply<ModelVersionAnswer> {
    let mut session = service.db().read().await?;
    Ok(answer(model_version::get(&mut session, &request.name, &request.version).await?))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct UpdateModelVersion {
    name: String,
    version: String,
    /// Absent to remove it.
    description: Option<String>,
}

impl Message for UpdateModelVersion {
    const REQUIRED: &'static [&'static str] = &["name", "version"];
}

/// Replace the description of a version
#[utoipa::path(patch, path = "/2.0/mlflow/model-versions/update", tag = "model versions", request_body = UpdateModelVersion,
    responses((status = 200, body = ModelVersionAnswer), (status = 404, body = ErrorBody)))]
async fn update(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<UpdateModelVersion>,
) -> Reply<ModelVersionAnswer> {
    let mut session = service.write(&caller).await?;
    let description = request.description.as_deref();
    let version =
        model_version::update(&mut session, &request.name, &request.version, description, now_ms()).await?;
    session.commit().await?;
    Ok(answer(version))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct TransitionModelVersionStage {
    name: String,
    version: String,
    stage: String,
    archive_existing_versions: bool,
}

impl Message for TransitionModelVersionStage {
    const REQUIRED: &'static [&'static str] = &["name", "version", "stage"];
}

/// Move a version to a stage
#[utoipa::path(post, path = "/2.0/mlflow/model-versions/transition-stage", tag = "model versions", request_body = TransitionModelVersionStage,
    responses((status = 200, body = ModelVersionAnswer), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
async fn transition(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<TransitionModelVersionStage>,
) -> Reply<ModelVersionAnswer> {
    let TransitionModelVersionStage { name, version, stage, archive_existing_versions } = request;
    let mut session = service.write(&caller).await?;
    let version =
        model_version::transition(&mut session, &name, &version, &stage, archive_existing_versions, now_ms())
            .await?;
    session.commit().await?;
    Ok(answer(version))
}

/// Delete a version
#[utoipa::path(delete, path = "/2.0/mlflow/model-versions/delete", tag = "model versions", request_body = NumberedModelVersion,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn delete(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<NumberedModelVersion>,
) -> Reply<Empty> {
    let mut session = service.write(&caller).await?;
    model_version::delete(&mut session, &request.name, &request.version, now_ms()).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchModelVersions {
    filter: String,
    /// At most 200000, which is also the default.
    max_results: Option<Int64>,
    order_by: Vec<String>,
    page_token: String,
}

impl Message for SearchModelVersions {}

/// Search versions
#[utoipa::path(get, path = "/2.0/mlflow/model-versions/search", tag = "model versions", params(SearchModelVersions),
    responses((status = 200, body = ModelVersionsAnswer), (status = 400, body = ErrorBody)))]
pub(super) async fn search_versions(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<SearchModelVersions>,
) -> Reply<ModelVersionsAnswer> {
    let query = search::Query {
        filter: request.filter,
        order_by: request.order_by,
        max_results: request.max_results.map(i64::from),
        page_token: request.page_token,
        models: caller.readable("registered_model"),
        prompts: caller.readable("prompt"),
    };
    let mut session = service.db().read().await?;
    let page = search::model_versions(&mut session, &query).await?;
    Ok(Answer(ModelVersionsAnswer {
        model_versions: page.items.into_iter().map(ModelVersion::from).collect(),
        next_page_token: page.next_page_token,
    }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ModelVersionDownloadUri {
    name: String,
    version: String,
}

impl Message for ModelVersionDownloadUri {}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ModelVersionDownloadUriAnswer {
    artifact_uri: String,
}

/// Where the files of a version lie
#[utoipa::path(get, path = "/2.0/mlflow/model-versions/get-download-uri", tag = "model versions", params(ModelVersionDownloadUri),
    responses((status = 200, body = ModelVersionDownloadUriAnswer), (status = 404, body = ErrorBody)))]
async fn download_uri(
    State(service): State<Service>,
    Request(request): Request<ModelVersionDownloadUri>,
) -> Reply<ModelVersionDownloadUriAnswer> {
    let mut session = service.db().read().await?;
    let artifact_uri = model_version::download_uri(&mut session, &request.name, &request.version).await?;
    Ok(Answer(ModelVersionDownloadUriAnswer { artifact_uri }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct ModelVersionTag {
    name: String,
    version: String,
    key: String,
    value: String,
}

impl Message for ModelVersionTag {
    const REQUIRED: &'static [&'static str] = &["name", "version", "key"];
}

/// Set a tag of a version
#[utoipa::path(post, path = "/2.0/mlflow/model-versions/set-tag", tag = "model versions", request_body = ModelVersionTag,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn set_tag(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<ModelVersionTag>,
) -> Reply<Empty> {
    let mut session = service.write(&caller).await?;
    model_version::set_tag(&mut session, &request.name, &request.version, &request.key, &request.value)
        .await?;
    let is_prompt = registered_model::get(&mut session, &request.name).await?.is_prompt();
    session.commit().await?;
    let entity = if is_prompt { "prompt_version_tag" } else { "model_version_tag" };
    let data =
        json!({"name": request.name, "version": request.version, "key": request.key, "value": request.value});
    webhook::fire(&service, (entity, "set"), data).await;
    Ok(Answer(Empty {}))
}

/// Remove a tag of a version
#[utoipa::path(delete, path = "/2.0/mlflow/model-versions/delete-tag", tag = "model versions", request_body = ModelVersionTag,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn delete_tag(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<ModelVersionTag>,
) -> Reply<Empty> {
    let mut session = service.write(&caller).await?;
    model_version::delete_tag(&mut session, &request.name, &request.version, &request.key).await?;
    let is_prompt = registered_model::get(&mut session, &request.name).await?.is_prompt();
    session.commit().await?;
    let entity = if is_prompt { "prompt_version_tag" } else { "model_version_tag" };
    let data = json!({"name": request.name, "version": request.version, "key": request.key});
    webhook::fire(&service, (entity, "deleted"), data).await;
    Ok(Answer(Empty {}))
}
