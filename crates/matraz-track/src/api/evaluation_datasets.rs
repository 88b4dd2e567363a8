//! `/3.0/mlflow/datasets`: evaluation datasets. Tags and records are JSON texts in these messages.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Empty, Reply};
use super::{Answer, Int64, Message, Request};
use crate::error::{Error, Result};
use crate::evaluation_dataset;
use crate::python;
use crate::search::evaluation_datasets as search;
use crate::service::{Service, now_ms};

/// Records on a page when the client does not say.
const DEFAULT_RECORDS: i64 = 1000;

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(search_datasets, search_datasets_by_query))
        .routes(routes!(get, delete))
        .routes(routes!(upsert_records, get_records, delete_records))
        .routes(routes!(set_tags))
        .routes(routes!(delete_tag))
        .routes(routes!(experiment_ids))
        .routes(routes!(add_experiments))
        .routes(routes!(remove_experiments))
}

/// A dataset without its records.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct EvaluationDataset {
    dataset_id: String,
    name: String,
    /// JSON text of an object.
    tags: String,
    /// JSON text: names and types of fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    /// JSON text: counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    created_time: i64,
    last_update_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated_by: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    experiment_ids: Vec<String>,
}

impl From<evaluation_dataset::EvaluationDataset> for EvaluationDataset {
    fn from(stored: evaluation_dataset::EvaluationDataset) -> Self {
        Self {
            dataset_id: stored.id,
            name: stored.name,
            tags: python::json(&Json::Object(stored.tags)),
            schema: stored.schema,
            profile: stored.profile.filter(|profile| profile != "null"),
            digest: stored.digest,
            created_time: stored.created,
            last_update_time: stored.updated,
            created_by: stored.created_by,
            last_updated_by: stored.updated_by,
            experiment_ids: Vec::new(),
        }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct EvaluationDatasetAnswer {
    dataset: EvaluationDataset,
}

/// The object in a JSON text.
fn object(field: &str, text: &str) -> Result<Map<String, Json>> {
    match serde_json::from_str(text) {
        Ok(Json::Object(fields)) => Ok(fields),
        _ => Err(Error::invalid(format!("The parameter '{field}' must be a JSON object as text"))),
    }
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct CreateEvaluationDataset {
    name: String,
    experiment_ids: Vec<String>,
    /// JSON text of an object.
    tags: String,
}

impl Message for CreateEvaluationDataset {
    const REQUIRED: &'static [&'static str] = &["name"];
}

/// Create an evaluation dataset
#[utoipa::path(post, path = "/3.0/mlflow/datasets/create", tag = "evaluation datasets", request_body = CreateEvaluationDataset,
    responses((status = 200, body = EvaluationDatasetAnswer), (status = 400, body = ErrorBody)))]
async fn create(
    State(service): State<Service>,
    Request(request): Request<CreateEvaluationDataset>,
) -> Reply<EvaluationDatasetAnswer> {
    let tags = if request.tags.is_empty() { Map::new() } else { object("tags", &request.tags)? };
    let mut session = service.db().write().await?;
    let experiments = &request.experiment_ids;
    let made = evaluation_dataset::create(&mut session, &request.name, tags, experiments, now_ms()).await?;
    session.commit().await?;
    let mut dataset = EvaluationDataset::from(made);
    dataset.experiment_ids = request.experiment_ids;
    Ok(Answer(EvaluationDatasetAnswer { dataset }))
}

/// Get an evaluation dataset
#[utoipa::path(get, path = "/3.0/mlflow/datasets/{dataset_id}", tag = "evaluation datasets",
    params(("dataset_id" = String, Path, description = "`d-` and 32 digits")),
    responses((status = 200, body = EvaluationDatasetAnswer), (status = 404, body = ErrorBody)))]
async fn get(
    State(service): State<Service>,
    Path(dataset_id): Path<String>,
) -> Reply<EvaluationDatasetAnswer> {
    let mut session = service.db().read().await?;
    let dataset = evaluation_dataset::get(&mut session, &dataset_id).await?.into();
    Ok(Answer(EvaluationDatasetAnswer { dataset }))
}

/// Delete an evaluation dataset with its records
#[utoipa::path(delete, path = "/3.0/mlflow/datasets/{dataset_id}", tag = "evaluation datasets",
    params(("dataset_id" = String, Path, description = "`d-` and 32 digits")),
    responses((status = 200, body = Empty)))]
async fn delete(State(service): State<Service>, Path(dataset_id): Path<String>) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    evaluation_dataset::delete(&mut session, &dataset_id).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams, utoipa::ToSchema)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct SearchEvaluationDatasets {
    experiment_ids: Vec<String>,
    filter_string: String,
    /// 1000 when absent.
    max_results: Option<Int64>,
    order_by: Vec<String>,
    page_token: String,
}

impl Message for SearchEvaluationDatasets {}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct EvaluationDatasetsAnswer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    datasets: Vec<EvaluationDataset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// Search evaluation datasets
#[utoipa::path(post, path = "/3.0/mlflow/datasets/search", tag = "evaluation datasets", request_body = SearchEvaluationDatasets,
    responses((status = 200, body = EvaluationDatasetsAnswer), (status = 400, body = ErrorBody)))]
async fn search_datasets(
    State(service): State<Service>,
    Request(request): Request<SearchEvaluationDatasets>,
) -> Reply<EvaluationDatasetsAnswer> {
    let query = search::Query {
        experiment_ids: request.experiment_ids,
        filter: request.filter_string,
        order_by: request.order_by,
        max_results: request.max_results.map(i64::from),
        page_token: request.page_token,
    };
    let mut session = service.db().read().await?;
    let page = search::evaluation_datasets(&mut session, &query).await?;
    Ok(Answer(EvaluationDatasetsAnswer {
        datasets: page.items.into_iter().map(EvaluationDataset::from).collect(),
        next_page_token: page.next_page_token,
    }))
}

/// Search evaluation datasets by a query string
#[utoipa::path(get, path = "/3.0/mlflow/datasets/search", tag = "evaluation datasets", params(SearchEvaluationDatasets),
    responses((status = 200, body = EvaluationDatasetsAnswer), (status = 400, body = ErrorBody)))]
async fn search_datasets_by_query(
    service: State<Service>,
    request: Request<SearchEvaluationDatasets>,
) -> Reply<EvaluationDatasetsAnswer> {
    search_datasets(service, request).await
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct UpsertRecords {
    /// JSON text of a list of objects with `inputs`.
    records: String,
}

impl Message for UpsertRecords {
    const REQUIRED: &'static [&'static str] = &["records"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct UpsertRecordsAnswer {
    inserted_count: i64,
    updated_count: i64,
}

/// Add records, or merge them into those with the same inputs
#[utoipa::path(post, path = "/3.0/mlflow/datasets/{dataset_id}/records", tag = "evaluation datasets", request_body = UpsertRecords,
    params(("dataset_id" = String, Path, description = "`d-` and 32 digits")),
    responses((status = 200, body = UpsertRecordsAnswer), (status = 404, body = ErrorBody)))]
async fn upsert_records(
    State(service): State<Service>,
    Path(dataset_id): Path<String>,
    Request(request): Request<UpsertRecords>,
) -> Reply<UpsertRecordsAnswer> {
    let records: Vec<Json> = serde_json::from_str(&request.records)
        .map_err(|_| Error::invalid("The parameter 'records' must be a JSON list as text"))?;
    let mut session = service.db().write().await?;
    let (inserted_count, updated_count) =
        evaluation_dataset::upsert_records(&mut session, &dataset_id, &records, now_ms()).await?;
    session.commit().await?;
    Ok(Answer(UpsertRecordsAnswer { inserted_count, updated_count }))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct GetRecords {
    /// 1000 when absent.
    max_results: Option<Int64>,
    page_token: String,
}

impl Message for GetRecords {}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RecordsAnswer {
    /// JSON text of a list.
    records: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// Get records
#[utoipa::path(get, path = "/3.0/mlflow/datasets/{dataset_id}/records", tag = "evaluation datasets",
    params(("dataset_id" = String, Path, description = "`d-` and 32 digits"), GetRecords),
    responses((status = 200, body = RecordsAnswer)))]
async fn get_records(
    State(service): State<Service>,
    Path(dataset_id): Path<String>,
    Request(request): Request<GetRecords>,
) -> Reply<RecordsAnswer> {
    let size = request.max_results.map(i64::from).filter(|size| *size > 0).unwrap_or(DEFAULT_RECORDS);
    let mut session = service.db().read().await?;
    let (records, next_page_token) =
        evaluation_dataset::records(&mut session, &dataset_id, size, &request.page_token).await?;
    let records: Json = records.iter().map(evaluation_dataset::Record::shown).collect();
    Ok(Answer(RecordsAnswer { records: python::json(&records), next_page_token }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct DeleteRecords {
    dataset_record_ids: Vec<String>,
}

impl Message for DeleteRecords {}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct DeleteRecordsAnswer {
    deleted_count: u64,
}

/// Delete records
#[utoipa::path(delete, path = "/3.0/mlflow/datasets/{dataset_id}/records", tag = "evaluation datasets", request_body = DeleteRecords,
    params(("dataset_id" = String, Path, description = "`d-` and 32 digits")),
    responses((status = 200, body = DeleteRecordsAnswer)))]
async fn delete_records(
    State(service): State<Service>,
    Path(dataset_id): Path<String>,
    Request(request): Request<DeleteRecords>,
) -> Reply<DeleteRecordsAnswer> {
    let mut session = service.db().write().await?;
    let deleted_count =
        evaluation_dataset::delete_records(&mut session, &dataset_id, &request.dataset_record_ids).await?;
    session.commit().await?;
    Ok(Answer(DeleteRecordsAnswer { deleted_count }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct SetDatasetTags {
    /// JSON text of an object.
    tags: String,
}

impl Message for SetDatasetTags {
    const REQUIRED: &'static [&'static str] = &["tags"];
}

/// Set tags of an evaluation dataset
#[utoipa::path(patch, path = "/3.0/mlflow/datasets/{dataset_id}/tags", tag = "evaluation datasets", request_body = SetDatasetTags,
    params(("dataset_id" = String, Path, description = "`d-` and 32 digits")),
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn set_tags(
    State(service): State<Service>,
    Path(dataset_id): Path<String>,
    Request(request): Request<SetDatasetTags>,
) -> Reply<Empty> {
    let tags = object("tags", &request.tags)?;
    let mut session = service.db().write().await?;
    evaluation_dataset::set_tags(&mut session, &dataset_id, tags).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

/// Remove a tag of an evaluation dataset
#[utoipa::path(delete, path = "/3.0/mlflow/datasets/{dataset_id}/tags/{key}", tag = "evaluation datasets",
    params(("dataset_id" = String, Path, description = "`d-` and 32 digits"), ("key" = String, Path, description = "the key")),
    responses((status = 200, body = Empty)))]
async fn delete_tag(
    State(service): State<Service>,
    Path((dataset_id, key)): Path<(String, String)>,
) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    evaluation_dataset::delete_tag(&mut session, &dataset_id, &key).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ExperimentIdsAnswer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    experiment_ids: Vec<String>,
}

/// The experiments that an evaluation dataset is linked to
#[utoipa::path(get, path = "/3.0/mlflow/datasets/{dataset_id}/experiment-ids", tag = "evaluation datasets",
    params(("dataset_id" = String, Path, description = "`d-` and 32 digits")),
    responses((status = 200, body = ExperimentIdsAnswer)))]
async fn experiment_ids(
    State(service): State<Service>,
    Path(dataset_id): Path<String>,
) -> Reply<ExperimentIdsAnswer> {
    let mut session = service.db().read().await?;
    let experiment_ids = evaluation_dataset::experiments(&mut session, &dataset_id).await?;
    Ok(Answer(ExperimentIdsAnswer { experiment_ids }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct DatasetExperiments {
    experiment_ids: Vec<String>,
}

impl Message for DatasetExperiments {}

async fn set_experiments(
    service: &Service,
    dataset_id: &str,
    request: &DatasetExperiments,
    linked: bool,
) -> Reply<EvaluationDatasetAnswer> {
    let ids = &request.experiment_ids;
    let mut session = service.db().write().await?;
    let dataset =
        evaluation_dataset::set_experiments(&mut session, dataset_id, ids, linked, now_ms()).await?;
    session.commit().await?;
    Ok(Answer(EvaluationDatasetAnswer { dataset: dataset.into() }))
}

/// Link an evaluation dataset to experiments
#[utoipa::path(post, path = "/3.0/mlflow/datasets/{dataset_id}/add-experiments", tag = "evaluation datasets", request_body = DatasetExperiments,
    params(("dataset_id" = String, Path, description = "`d-` and 32 digits")),
    responses((status = 200, body = EvaluationDatasetAnswer), (status = 404, body = ErrorBody)))]
async fn add_experiments(
    State(service): State<Service>,
    Path(dataset_id): Path<String>,
    Request(request): Request<DatasetExperiments>,
) -> Reply<EvaluationDatasetAnswer> {
    set_experiments(&service, &dataset_id, &request, true).await
}

/// Take links of an evaluation dataset to experiments away
#[utoipa::path(post, path = "/3.0/mlflow/datasets/{dataset_id}/remove-experiments", tag = "evaluation datasets", request_body = DatasetExperiments,
    params(("dataset_id" = String, Path, description = "`d-` and 32 digits")),
    responses((status = 200, body = EvaluationDatasetAnswer), (status = 404, body = ErrorBody)))]
async fn remove_experiments(
    State(service): State<Service>,
    Path(dataset_id): Path<String>,
    Request(request): Request<DatasetExperiments>,
) -> Reply<EvaluationDatasetAnswer> {
    set_experiments(&service, &dataset_id, &request, false).await
}
