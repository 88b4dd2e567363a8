//! `/2.0/mlflow/registered-models`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Empty, KeyValue, Reply};
use super::model_versions::{ModelVersion, ModelVersionAnswer, ModelVersionsAnswer};
use super::{Answer, Int64, Message, Request};
use crate::auth::{self, Caller};
use crate::model_version::Stage;
use crate::search::models as search;
use crate::service::{Service, now_ms};
use crate::{registered_model, webhook};

/// Tags that only say that a model is a prompt.
pub(super) const PROMPT_TAGS: [&str; 2] = [registered_model::IS_PROMPT, "_mlflow_prompt_type"];

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(get))
        .routes(routes!(update))
        .routes(routes!(rename))
        .routes(routes!(delete))
        .routes(routes!(search_models))
        .routes(routes!(latest, latest_by_get))
        .routes(routes!(set_tag))
        .routes(routes!(delete_tag))
        .routes(routes!(set_alias, get_alias, delete_alias))
}

/// A registered model.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RegisteredModel {
    name: String,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_timestamp: Option<i64>,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// The highest version of every stage.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    latest_versions: Vec<ModelVersion>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<KeyValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<Alias>,
}

/// A name for a version.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Alias {
    alias: String,
    version: String,
}

impl From<registered_model::RegisteredModel> for RegisteredModel {
    fn from(stored: registered_model::RegisteredModel) -> Self {
        Self {
            name: stored.name,
            creation_timestamp: stored.creation_time,
            last_updated_timestamp: stored.last_updated_time,
            description: stored.description.filter(|text| !text.is_empty()),
            latest_versions: stored.latest_versions.into_iter().map(ModelVersion::from).collect(),
            tags: key_values(stored.tags),
            aliases: stored
                .aliases
                .into_iter()
                .map(|(alias, version)| Alias { alias, version: version.to_string() })
                .collect(),
        }
    }
}

/// Pairs as messages carry them.
pub(super) fn key_values(pairs: Vec<(String, String)>) -> Vec<KeyValue> {
    pairs.into_iter().map(|(key, value)| KeyValue { key, value }).collect()
}

/// Pairs as entities take them.
pub(super) fn pairs(key_values: Vec<KeyValue>) -> Vec<(String, String)> {
    key_values.into_iter().map(|pair| (pair.key, pair.value)).collect()
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RegisteredModelAnswer {
    registered_model: RegisteredModel,
}

fn answer(model: registered_model::RegisteredModel) -> Answer<RegisteredModelAnswer> {
    Answer(RegisteredModelAnswer { registered_model: model.into() })
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct CreateRegisteredModel {
    name: String,
    tags: Vec<KeyValue>,
    description: String,
}

impl Message for CreateRegisteredModel {
    const REQUIRED: &'static [&'static str] = &["name"];
}

/// Create a registered model
#[utoipa::path(post, path = "/2.0/mlflow/registered-models/create", tag = "registered models", request_body = CreateRegisteredModel,
    responses((status = 200, body = RegisteredModelAnswer), (status = 400, body = ErrorBody)))]
async fn create(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<CreateRegisteredModel>,
) -> Reply<RegisteredModelAnswer> {
    let mut session = service.write(&caller).await?;
    let tags = pairs(request.tags);
    let model =
        registered_model::create(&mut session, &request.name, &request.description, &tags, now_ms()).await?;
    let kind = if model.is_prompt() { "prompt" } else { "registered_model" };
    auth::creator_manages(&mut session, &caller, kind, &model.name).await?;
    session.commit().await?;
    let told = tags.iter().filter(|(key, _)| !model.is_prompt() || !PROMPT_TAGS.contains(&key.as_str()));
    let told: Map<String, Json> = told.map(|(key, value)| (key.clone(), json!(value))).collect();
    let event = (if model.is_prompt() { "prompt" } else { "registered_model" }, "created");
    let data = json!({"name": request.name, "tags": told, "description": request.description});
    webhook::fire(&service, event, data).await;
    Ok(answer(model))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct NamedRegisteredModel {
    #[param(required = true)]
    name: String,
}

impl Message for NamedRegisteredModel {
    const REQUIRED: &'static [&'static str] = &["name"];
}

/// Get a registered model
#[utoipa::path(get, path = "/2.0/mlflow/registered-models/get", tag = "registered models", params(NamedRegisteredModel),
    responses((status = 200, body = RegisteredModelAnswer), (status = 404, body = ErrorBody)))]
async fn get(
    State(service): State<Service>,
    Request(request): Request<NamedRegisteredModel>,
) -> Reply<RegisteredModelAnswer> {
    let mut session = service.db().read().await?;
    Ok(answer(registered_model::get(&mut session, &request.name).await?))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct UpdateRegisteredModel {
    name: String,
    description: String,
}

impl Message for UpdateRegisteredModel {
    const REQUIRED: &'static [&'static str] = &["name"];
}

/// Replace the description of a registered model
#[utoipa::path(patch, path = "/2.0/mlflow/registered-models/update", tag = "registered models", request_body = UpdateRegisteredModel,
    responses((status = 200, body = RegisteredModelAnswer), (status = 404, body = ErrorBody)))]
async fn update(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<UpdateRegisteredModel>,
) -> Reply<RegisteredModelAnswer> {
    let mut session = service.write(&caller).await?;
    let model = registered_model::update(&mut session, &request.name, &request.description, now_ms()).await?;
    session.commit().await?;
    Ok(answer(model))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct RenameRegisteredModel {
    name: String,
    new_name: String,
}

impl Message for RenameRegisteredModel {
    const REQUIRED: &'static [&'static str] = &["name", "new_name"];
}

/// Rename a registered model
#[utoipa::path(post, path = "/2.0/mlflow/registered-models/rename", tag = "registered models", request_body = RenameRegisteredModel,
    responses((status = 200, body = RegisteredModelAnswer), (status = 404, body = ErrorBody)))]
async fn rename(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<RenameRegisteredModel>,
) -> Reply<RegisteredModelAnswer> {
    let mut session = service.write(&caller).await?;
    auth::rename_thing(&mut session, &caller, &request.name, &request.new_name).await?;
    let model = registered_model::rename(&mut session, &request.name, &request.new_name, now_ms()).await?;
    session.commit().await?;
    Ok(answer(model))
}

/// Delete a registered model with all its versions
#[utoipa::path(delete, path = "/2.0/mlflow/registered-models/delete", tag = "registered models", request_body = NamedRegisteredModel,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn delete(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<NamedRegisteredModel>,
) -> Reply<Empty> {
    let mut session = service.write(&caller).await?;
    registered_model::delete(&mut session, &request.name).await?;
    auth::forget_thing(&mut session, &caller, &auth::NAMED, &request.name).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct SearchRegisteredModels {
    filter: String,
    /// At most 1000; 100 when absent.
    max_results: Option<Int64>,
    order_by: Vec<String>,
    page_token: String,
}

impl Message for SearchRegisteredModels {}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RegisteredModelsAnswer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    registered_models: Vec<RegisteredModel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// Search registered models
#[utoipa::path(get, path = "/2.0/mlflow/registered-models/search", tag = "registered models", params(SearchRegisteredModels),
    responses((status = 200, body = RegisteredModelsAnswer), (status = 400, body = ErrorBody)))]
async fn search_models(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<SearchRegisteredModels>,
) -> Reply<RegisteredModelsAnswer> {
    let query = search::Query {
        filter: request.filter,
        order_by: request.order_by,
        max_results: request.max_results.map(i64::from),
        page_token: request.page_token,
        models: caller.readable("registered_model"),
        prompts: caller.readable("prompt"),
    };
    let mut session = service.db().read().await?;
    let page = search::registered_models(&mut session, &query).await?;
    Ok(Answer(RegisteredModelsAnswer {
        registered_models: page.items.into_iter().map(RegisteredModel::from).collect(),
        next_page_token: page.next_page_token,
    }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct GetLatestVersions {
    #[param(required = true)]
    name: String,
    stages: Vec<String>,
}

impl Message for GetLatestVersions {
    const REQUIRED: &'static [&'static str] = &["name"];
}

async fn latest_versions(service: Service, request: GetLatestVersions) -> Reply<ModelVersionsAnswer> {
    let mut session = service.db().read().await?;
    // A model that does not exist comes before a stage that does not.
    registered_model::get(&mut session, &request.name).await?;
    let stages = request.stages.iter().map(|stage| Stage::parse(stage)).collect::<Result<Vec<_>, _>>()?;
    let versions = registered_model::latest(&mut session, &request.name, &stages).await?;
    Ok(Answer(ModelVersionsAnswer {
        model_versions: versions.into_iter().map(ModelVersion::from).collect(),
        next_page_token: None,
    }))
}

/// The highest version of each stage
#[utoipa::path(post, path = "/2.0/mlflow/registered-models/get-latest-versions", tag = "registered models", request_body = GetLatestVersions,
    responses((status = 200, body = ModelVersionsAnswer), (status = 404, body = ErrorBody)))]
async fn latest(
    State(service): State<Service>,
    Request(request): Request<GetLatestVersions>,
) -> Reply<ModelVersionsAnswer> {
    latest_versions(service, request).await
}

/// The highest version of each stage, by GET
#[utoipa::path(get, path = "/2.0/mlflow/registered-models/get-latest-versions", tag = "registered models", params(GetLatestVersions),
    responses((status = 200, body = ModelVersionsAnswer), (status = 404, body = ErrorBody)))]
async fn latest_by_get(
    State(service): State<Service>,
    Request(request): Request<GetLatestVersions>,
) -> Reply<ModelVersionsAnswer> {
    latest_versions(service, request).await
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct RegisteredModelTag {
    name: String,
    key: String,
    value: String,
}

impl Message for RegisteredModelTag {
    const REQUIRED: &'static [&'static str] = &["name", "key"];
}

/// Set a tag of a registered model
#[utoipa::path(post, path = "/2.0/mlflow/registered-models/set-tag", tag = "registered models", request_body = RegisteredModelTag,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn set_tag(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<RegisteredModelTag>,
) -> Reply<Empty> {
    let mut session = service.write(&caller).await?;
    registered_model::set_tag(&mut session, &request.name, &request.key, &request.value).await?;
    let is_prompt = registered_model::get(&mut session, &request.name).await?.is_prompt();
    session.commit().await?;
    if is_prompt {
        let data = json!({"name": request.name, "key": request.key, "value": request.value});
        webhook::fire(&service, ("prompt_tag", "set"), data).await;
    }
    Ok(Answer(Empty {}))
}

/// Remove a tag of a registered model
#[utoipa::path(delete, path = "/2.0/mlflow/registered-models/delete-tag", tag = "registered models", request_body = RegisteredModelTag,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn delete_tag(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<RegisteredModelTag>,
) -> Reply<Empty> {
    let mut session = service.write(&caller).await?;
    let is_prompt = registered_model::get(&mut session, &request.name).await?.is_prompt();
    registered_model::delete_tag(&mut session, &request.name, &request.key).await?;
    session.commit().await?;
    if is_prompt {
        let data = json!({"name": request.name, "key": request.key});
        webhook::fire(&service, ("prompt_tag", "deleted"), data).await;
    }
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct SetAlias {
    name: String,
    alias: String,
    version: String,
}

impl Message for SetAlias {
    const REQUIRED: &'static [&'static str] = &["name", "alias", "version"];
}

/// Point an alias at a version
#[utoipa::path(post, path = "/2.0/mlflow/registered-models/alias", tag = "registered models", request_body = SetAlias,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn set_alias(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<SetAlias>,
) -> Reply<Empty> {
    let mut session = service.write(&caller).await?;
    registered_model::set_alias(&mut session, &request.name, &request.alias, &request.version).await?;
    let is_prompt = registered_model::get(&mut session, &request.name).await?.is_prompt();
    session.commit().await?;
    let entity = if is_prompt { "prompt_alias" } else { "model_version_alias" };
    let data = json!({"name": request.name, "alias": request.alias, "version": request.version});
    webhook::fire(&service, (entity, "created"), data).await;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct NamedAlias {
    #[param(required = true)]
    name: String,
    #[param(required = true)]
    alias: String,
}

impl Message for NamedAlias {
    const REQUIRED: &'static [&'static str] = &["name", "alias"];
}

/// The version that an alias points at
#[utoipa::path(get, path = "/2.0/mlflow/registered-models/alias", tag = "registered models", params(NamedAlias),
    responses((status = 200, body = ModelVersionAnswer), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
async fn get_alias(
    State(service): State<Service>,
    Request(request): Request<NamedAlias>,
) -> Reply<ModelVersionAnswer> {
    let mut session = service.db().read().await?;
    let version = registered_model::version_by_alias(&mut session, &request.name, &request.alias).await?;
    Ok(Answer(ModelVersionAnswer { model_version: version.into() }))
}

/// Remove an alias
#[utoipa::path(delete, path = "/2.0/mlflow/registered-models/alias", tag = "registered models", request_body = NamedAlias,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn delete_alias(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<NamedAlias>,
) -> Reply<Empty> {
    let mut session = service.write(&caller).await?;
    let is_prompt = registered_model::get(&mut session, &request.name).await?.is_prompt();
    registered_model::delete_alias(&mut session, &request.name, &request.alias).await?;
    session.commit().await?;
    let entity = if is_prompt { "prompt_alias" } else { "model_version_alias" };
    let data = json!({"name": request.name, "alias": request.alias});
    webhook::fire(&service, (entity, "deleted"), data).await;
    Ok(Answer(Empty {}))
}
