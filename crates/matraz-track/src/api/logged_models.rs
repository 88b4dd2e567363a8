//! `/2.0/mlflow/logged-models`, and the models that a run made.

use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Double, Empty, KeyValue, Reply};
use super::registered_models::{key_values, pairs};
use super::{Answer, Int64, Message, Request};
use crate::auth::Caller;
use crate::logged_model::{self, NewLoggedModel, Status};
use crate::search::logged_models as search;
use crate::service::{Service, now_ms};

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(search_models))
        .routes(routes!(get, finalize, delete))
        .routes(routes!(set_tags))
        .routes(routes!(delete_tag))
        .routes(routes!(log_params))
        .routes(routes!(log_outputs))
        .routes(routes!(log_model))
}

/// A logged model.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LoggedModel {
    info: LoggedModelInfo,
    data: LoggedModelData,
}

/// What a logged model is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct LoggedModelInfo {
    model_id: String,
    experiment_id: String,
    name: String,
    creation_timestamp_ms: i64,
    last_updated_timestamp_ms: i64,
    artifact_uri: String,
    /// `LOGGED_MODEL_PENDING`, `LOGGED_MODEL_READY` or `LOGGED_MODEL_UPLOAD_FAILED`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<KeyValue>,
}

/// What was logged about a model.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct LoggedModelData {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<KeyValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<LoggedModelMetric>,
}

/// A measured value of a model.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct LoggedModelMetric {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Double>,
    timestamp: i64,
    step: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_digest: Option<String>,
    model_id: String,
    run_id: String,
}

impl From<logged_model::LoggedModel> for LoggedModel {
    fn from(stored: logged_model::LoggedModel) -> Self {
        let model_id = stored.model_id;
        let metric = |metric: logged_model::ModelMetric| LoggedModelMetric {
            key: metric.key,
            value: metric.value.map(Double),
            timestamp: metric.timestamp,
            step: metric.step,
            dataset_name: metric.dataset_name,
            dataset_digest: metric.dataset_digest,
            model_id: model_id.clone(),
            run_id: metric.run_id,
        };
        Self {
            data: LoggedModelData {
                params: key_values(stored.params),
                metrics: stored.metrics.into_iter().map(metric).collect(),
            },
            info: LoggedModelInfo {
                model_id,
                experiment_id: stored.experiment_id.to_string(),
                name: stored.name,
                creation_timestamp_ms: stored.creation_time,
                last_updated_timestamp_ms: stored.last_updated_time,
                artifact_uri: stored.artifact_location,
                status: stored.status.wire_name(),
                model_type: stored.model_type,
                source_run_id: stored.source_run_id,
                status_message: stored.status_message,
                tags: key_values(stored.tags),
            },
        }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct LoggedModelAnswer {
    model: LoggedModel,
}

fn answer(model: logged_model::LoggedModel) -> Answer<LoggedModelAnswer> {
    Answer(LoggedModelAnswer { model: model.into() })
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct CreateLoggedModel {
    experiment_id: String,
    /// Made up when absent.
    name: String,
    model_type: String,
    source_run_id: String,
    params: Vec<KeyValue>,
    tags: Vec<KeyValue>,
}

impl Message for CreateLoggedModel {
    const REQUIRED: &'static [&'static str] = &["experiment_id"];
}

/// Create a logged model
#[utoipa::path(post, path = "/2.0/mlflow/logged-models", tag = "logged models", request_body = CreateLoggedModel,
    responses((status = 200, body = LoggedModelAnswer), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
async fn create(
    State(service): State<Service>,
    Request(request): Request<CreateLoggedModel>,
) -> Reply<LoggedModelAnswer> {
    let new = NewLoggedModel {
        experiment_id: request.experiment_id,
        name: request.name,
        model_type: request.model_type,
        source_run_id: request.source_run_id,
        params: pairs(request.params),
        tags: pairs(request.tags),
    };
    let mut session = service.db().write().await?;
    let model = logged_model::create(&mut session, new, now_ms()).await?;
    session.commit().await?;
    Ok(answer(model))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct AllowDeleted {
    /// `true` to find deleted models too.
    allow_deleted: String,
}

/// Get a logged model
#[utoipa::path(get, path = "/2.0/mlflow/logged-models/{model_id}", tag = "logged models",
    params(("model_id" = String, Path, description = "`m-` and 32 digits"), AllowDeleted),
    responses((status = 200, body = LoggedModelAnswer), (status = 404, body = ErrorBody)))]
async fn get(
    State(service): State<Service>,
    Path(model_id): Path<String>,
    Query(query): Query<AllowDeleted>,
) -> Reply<LoggedModelAnswer> {
    let mut session = service.db().read().await?;
    let model = if query.allow_deleted.eq_ignore_ascii_case("true") {
        logged_model::get_any(&mut session, &model_id).await?
    } else {
        logged_model::get(&mut session, &model_id).await?
    };
    Ok(answer(model))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct FinalizeLoggedModel {
    model_id: String,
    /// `LOGGED_MODEL_READY` or `LOGGED_MODEL_UPLOAD_FAILED`, or its number.
    #[schema(value_type = String)]
    status: Json,
}

impl Message for FinalizeLoggedModel {
    const REQUIRED: &'static [&'static str] = &["model_id", "status"];
}

/// Say that the upload of a model has ended
#[utoipa::path(patch, path = "/2.0/mlflow/logged-models/{model_id}", tag = "logged models", request_body = FinalizeLoggedModel,
    params(("model_id" = String, Path, description = "`m-` and 32 digits")),
    responses((status = 200, body = LoggedModelAnswer), (status = 404, body = ErrorBody)))]
async fn finalize(
    State(service): State<Service>,
    Request(request): Request<FinalizeLoggedModel>,
) -> Reply<LoggedModelAnswer> {
    let mut session = service.db().write().await?;
    let model =
        logged_model::finalize(&mut session, &request.model_id, Status::parse(&request.status), now_ms())
            .await?;
    session.commit().await?;
    Ok(answer(model))
}

/// Delete a logged model
#[utoipa::path(delete, path = "/2.0/mlflow/logged-models/{model_id}", tag = "logged models",
    params(("model_id" = String, Path, description = "`m-` and 32 digits")),
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn delete(State(service): State<Service>, Path(model_id): Path<String>) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    logged_model::delete(&mut session, &model_id, now_ms()).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct SearchLoggedModels {
    experiment_ids: Vec<String>,
    filter: String,
    datasets: Vec<LoggedModelDataset>,
    /// 50 when absent.
    max_results: Option<Int64>,
    order_by: Vec<LoggedModelOrder>,
    page_token: String,
}

#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct LoggedModelDataset {
    dataset_name: String,
    dataset_digest: String,
}

#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct LoggedModelOrder {
    field_name: String,
    ascending: bool,
    dataset_name: String,
    dataset_digest: String,
}

impl Default for LoggedModelOrder {
    fn default() -> Self {
        Self {
            field_name: String::new(),
            ascending: true,
            dataset_name: String::new(),
            dataset_digest: String::new(),
        }
    }
}

impl Message for SearchLoggedModels {
    const REQUIRED: &'static [&'static str] = &["experiment_ids"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct LoggedModelsAnswer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    models: Vec<LoggedModel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// Search logged models
#[utoipa::path(post, path = "/2.0/mlflow/logged-models/search", tag = "logged models", request_body = SearchLoggedModels,
    responses((status = 200, body = LoggedModelsAnswer), (status = 400, body = ErrorBody)))]
async fn search_models(
    State(service): State<Service>,
    caller: Caller,
    Request(mut request): Request<SearchLoggedModels>,
) -> Reply<LoggedModelsAnswer> {
    request.experiment_ids.retain(|id| caller.sees_in_experiment("logged_model", id));
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let dataset = |dataset: LoggedModelDataset| search::Dataset {
        name: dataset.dataset_name,
        digest: given(dataset.dataset_digest),
    };
    let order = |order: LoggedModelOrder| search::OrderBy {
        field_name: order.field_name,
        ascending: order.ascending,
        dataset_name: given(order.dataset_name),
        dataset_digest: given(order.dataset_digest),
    };
    let query = search::Query {
        experiment_ids: request.experiment_ids,
        filter: request.filter,
        datasets: request.datasets.into_iter().map(dataset).collect(),
        order_by: request.order_by.into_iter().map(order).collect(),
        max_results: request.max_results.map(i64::from),
        page_token: request.page_token,
    };
    let mut session = service.db().read().await?;
    let page = search::logged_models(&mut session, &query).await?;
    Ok(Answer(LoggedModelsAnswer {
        models: page.items.into_iter().map(LoggedModel::from).collect(),
        next_page_token: page.next_page_token,
    }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct SetLoggedModelTags {
    tags: Vec<KeyValue>,
}

impl Message for SetLoggedModelTags {}

/// Set tags of a logged model
#[utoipa::path(patch, path = "/2.0/mlflow/logged-models/{model_id}/tags", tag = "logged models", request_body = SetLoggedModelTags,
    params(("model_id" = String, Path, description = "`m-` and 32 digits")),
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn set_tags(
    State(service): State<Service>,
    Path(model_id): Path<String>,
    Request(request): Request<SetLoggedModelTags>,
) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    logged_model::set_tags(&mut session, &model_id, &pairs(request.tags)).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

/// Remove a tag of a logged model
#[utoipa::path(delete, path = "/2.0/mlflow/logged-models/{model_id}/tags/{tag_key}", tag = "logged models",
    params(("model_id" = String, Path, description = "`m-` and 32 digits"), ("tag_key" = String, Path, description = "the key")),
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn delete_tag(
    State(service): State<Service>,
    Path((model_id, tag_key)): Path<(String, String)>,
) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    logged_model::delete_tag(&mut session, &model_id, &tag_key).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct LogLoggedModelParams {
    model_id: String,
    params: Vec<KeyValue>,
}

impl Message for LogLoggedModelParams {
    const REQUIRED: &'static [&'static str] = &["model_id"];
}

/// Add params to a logged model
#[utoipa::path(post, path = "/2.0/mlflow/logged-models/{model_id}/params", tag = "logged models", request_body = LogLoggedModelParams,
    params(("model_id" = String, Path, description = "`m-` and 32 digits")),
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn log_params(
    State(service): State<Service>,
    Path(model_id): Path<String>,
    Request(request): Request<LogLoggedModelParams>,
) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    logged_model::log_params(&mut session, &model_id, &pairs(request.params)).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct LogOutputs {
    run_id: String,
    models: Vec<RunOutputModel>,
}

#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct RunOutputModel {
    model_id: String,
    step: Int64,
}

impl Message for LogOutputs {
    const REQUIRED: &'static [&'static str] = &["run_id", "models"];
}

/// Note the models that a run made
#[utoipa::path(post, path = "/2.0/mlflow/runs/outputs", tag = "runs", request_body = LogOutputs,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn log_outputs(State(service): State<Service>, Request(request): Request<LogOutputs>) -> Reply<Empty> {
    let models: Vec<(String, i64)> =
        request.models.into_iter().map(|output| (output.model_id, output.step.0)).collect();
    let mut session = service.db().write().await?;
    logged_model::log_outputs(&mut session, &request.run_id, &models).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct LogModel {
    run_id: String,
    /// The `MLmodel` file as JSON.
    model_json: String,
}

impl Message for LogModel {
    const REQUIRED: &'static [&'static str] = &["run_id", "model_json"];
}

/// Note a model that a run logged, in the manner of MLflow 2
#[utoipa::path(post, path = "/2.0/mlflow/runs/log-model", tag = "runs", request_body = LogModel,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn log_model(State(service): State<Service>, Request(request): Request<LogModel>) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    logged_model::record(&mut session, &request.run_id, &request.model_json).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}
