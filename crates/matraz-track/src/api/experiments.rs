//! `/2.0/mlflow/experiments`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Choice, Empty, Int64, KeyValue, Reply};
use super::{Answer, Message, Request};
use crate::auth::{self, Caller};
use crate::error::{Error, Result};
use crate::experiment::{self, View};
use crate::search::experiments::ExperimentSearch;
use crate::search::page;
use crate::service::Service;

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(get))
        .routes(routes!(get_by_name))
        .routes(routes!(search))
        .routes(routes!(search_by_query))
        .routes(routes!(update))
        .routes(routes!(delete))
        .routes(routes!(restore))
        .routes(routes!(set_tag))
        .routes(routes!(delete_tag))
}

/// The largest page of a search.
const MAX_RESULTS: i64 = 50_000;

/// An experiment.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Experiment {
    experiment_id: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_location: Option<String>,
    /// `active` or `deleted`.
    lifecycle_stage: String,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update_time: Option<i64>,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_time: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<KeyValue>,
    /// Always `default`.
    workspace: &'static str,
}

impl From<experiment::Experiment> for Experiment {
    fn from(stored: experiment::Experiment) -> Self {
        Self {
            experiment_id: stored.id.to_string(),
            name: stored.name,
            artifact_location: stored.artifact_location,
            lifecycle_stage: stored.lifecycle_stage,
            last_update_time: stored.last_update_time,
            creation_time: stored.creation_time,
            tags: KeyValue::list(stored.tags),
            workspace: "default",
        }
    }
}

/// Reads a view of lifecycle stages.
pub(super) fn view(choice: Option<&Choice>, field: &str) -> Result<View> {
    const VIEWS: &[(&str, View)] =
        &[("ACTIVE_ONLY", View::ActiveOnly), ("DELETED_ONLY", View::DeletedOnly), ("ALL", View::All)];
    choice.map_or(Ok(View::default()), |choice| choice.pick(field, VIEWS))
}

/// Checks the size of a page.
pub(super) fn page_size(size: i64, most: i64) -> Result<i64> {
    if size < 1 {
        return Err(Error::invalid(format!(
            "Invalid value {size} for parameter 'max_results' supplied. It must be a positive integer"
        )));
    }
    if size > most {
        return Err(Error::invalid(format!(
            "Invalid value {size} for parameter 'max_results' supplied. It must be at most {most}"
        )));
    }
    Ok(size)
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct CreateExperiment {
    /// Unique, also among deleted ones.
    name: String,
    /// Where artifacts go; below the server's artifact root when absent.
    artifact_location: String,
    tags: Vec<KeyValue>,
}

impl Message for CreateExperiment {
    const REQUIRED: &'static [&'static str] = &["name"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ExperimentId {
    experiment_id: String,
}

/// Make an experiment
#[utoipa::path(post, path = "/2.0/mlflow/experiments/create", tag = "experiments", request_body = CreateExperiment,
    responses((status = 200, body = ExperimentId), (status = 400, body = ErrorBody)))]
async fn create(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<CreateExperiment>,
) -> Reply<ExperimentId> {
    let location = Some(request.artifact_location.as_str()).filter(|location| !location.is_empty());
    let tags = KeyValue::pairs(request.tags);
    let mut session = service.write_as(&caller).await?;
    let root = &service.options().artifact_root;
    let id = experiment::create(&mut session, &request.name, location, &tags, root).await?;
    auth::creator_manages(&mut session, &caller, "experiment", &id.to_string()).await?;
    session.commit().await?;
    Ok(Answer(ExperimentId { experiment_id: id.to_string() }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct GetExperiment {
    #[param(required = true)]
    experiment_id: String,
}

impl Message for GetExperiment {
    const REQUIRED: &'static [&'static str] = &["experiment_id"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ExperimentAnswer {
    experiment: Experiment,
}

/// Get an experiment, deleted or not
#[utoipa::path(get, path = "/2.0/mlflow/experiments/get", tag = "experiments", params(GetExperiment),
    responses((status = 200, body = ExperimentAnswer), (status = 404, body = ErrorBody)))]
pub(super) async fn get(
    State(service): State<Service>,
    Request(request): Request<GetExperiment>,
) -> Reply<ExperimentAnswer> {
    let mut session = service.db().read().await?;
    let found = experiment::find(&mut session, &request.experiment_id).await?;
    Ok(Answer(ExperimentAnswer { experiment: found.into() }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct GetExperimentByName {
    #[param(required = true)]
    experiment_name: String,
}

impl Message for GetExperimentByName {
    const REQUIRED: &'static [&'static str] = &["experiment_name"];
}

/// Get an experiment by its name, deleted or not
#[utoipa::path(get, path = "/2.0/mlflow/experiments/get-by-name", tag = "experiments", params(GetExperimentByName),
    responses((status = 200, body = ExperimentAnswer), (status = 404, body = ErrorBody)))]
async fn get_by_name(
    State(service): State<Service>,
    Request(request): Request<GetExperimentByName>,
) -> Reply<ExperimentAnswer> {
    let mut session = service.db().read().await?;
    let found = experiment::find_by_name(&mut session, &request.experiment_name).await?;
    Ok(Answer(ExperimentAnswer { experiment: found.into() }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct SearchExperiments {
    /// From 1 to 50000; must be there.
    #[param(value_type = Option<i64>)]
    max_results: Option<Int64>,
    page_token: String,
    /// As `name LIKE 'a%' AND tags.team = 'x'`.
    filter: String,
    /// As `name ASC`.
    order_by: Vec<String>,
    /// `ACTIVE_ONLY` (when absent), `DELETED_ONLY` or `ALL`.
    #[param(value_type = Option<String>)]
    view_type: Option<Choice>,
}

impl Message for SearchExperiments {}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct FoundExperiments {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    experiments: Vec<Experiment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

async fn found(service: &Service, caller: &Caller, request: SearchExperiments) -> Reply<FoundExperiments> {
    let search = ExperimentSearch {
        limit: page_size(request.max_results.map_or(0, i64::from), MAX_RESULTS)?,
        offset: page::offset(Some(&request.page_token))?,
        stages: view(request.view_type.as_ref(), "view_type")?.stages(),
        filter: request.filter,
        order_by: request.order_by,
        scope: caller.readable("experiment"),
    };
    let (experiments, next_page_token) = experiment::search(&mut service.db().read().await?, &search).await?;
    Ok(Answer(FoundExperiments {
        experiments: experiments.into_iter().map(Into::into).collect(),
        next_page_token,
    }))
}

/// Search experiments
#[utoipa::path(post, path = "/2.0/mlflow/experiments/search", tag = "experiments", request_body = SearchExperiments,
    responses((status = 200, body = FoundExperiments), (status = 400, body = ErrorBody)))]
async fn search(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<SearchExperiments>,
) -> Reply<FoundExperiments> {
    found(&service, &caller, request).await
}

/// Search experiments by a query string
#[utoipa::path(get, path = "/2.0/mlflow/experiments/search", tag = "experiments", params(SearchExperiments),
    responses((status = 200, body = FoundExperiments), (status = 400, body = ErrorBody)))]
async fn search_by_query(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<SearchExperiments>,
) -> Reply<FoundExperiments> {
    found(&service, &caller, request).await
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct UpdateExperiment {
    experiment_id: String,
    new_name: String,
}

impl Message for UpdateExperiment {
    const REQUIRED: &'static [&'static str] = &["experiment_id", "new_name"];
}

/// Rename an experiment
#[utoipa::path(post, path = "/2.0/mlflow/experiments/update", tag = "experiments", request_body = UpdateExperiment,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn update(State(service): State<Service>, Request(request): Request<UpdateExperiment>) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    experiment::rename(&mut session, &request.experiment_id, &request.new_name).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

/// Delete an experiment and its runs
#[utoipa::path(post, path = "/2.0/mlflow/experiments/delete", tag = "experiments", request_body = GetExperiment,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn delete(State(service): State<Service>, Request(request): Request<GetExperiment>) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    experiment::delete(&mut session, &request.experiment_id).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

/// Restore a deleted experiment and its runs
#[utoipa::path(post, path = "/2.0/mlflow/experiments/restore", tag = "experiments", request_body = GetExperiment,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn restore(State(service): State<Service>, Request(request): Request<GetExperiment>) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    experiment::restore(&mut session, &request.experiment_id).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct SetExperimentTag {
    experiment_id: String,
    /// At most 250 characters.
    key: String,
    /// At most 20000 characters.
    value: String,
}

impl Message for SetExperimentTag {
    const REQUIRED: &'static [&'static str] = &["experiment_id", "key"];
}

/// Set a tag of an experiment
#[utoipa::path(post, path = "/2.0/mlflow/experiments/set-experiment-tag", tag = "experiments",
    request_body = SetExperimentTag,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn set_tag(
    State(service): State<Service>,
    Request(request): Request<SetExperimentTag>,
) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    experiment::set_tag(&mut session, &request.experiment_id, &request.key, &request.value).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct DeleteExperimentTag {
    experiment_id: String,
    key: String,
}

impl Message for DeleteExperimentTag {
    const REQUIRED: &'static [&'static str] = &["experiment_id", "key"];
}

/// Delete a tag of an experiment
#[utoipa::path(post, path = "/2.0/mlflow/experiments/delete-experiment-tag", tag = "experiments",
    request_body = DeleteExperimentTag,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn delete_tag(
    State(service): State<Service>,
    Request(request): Request<DeleteExperimentTag>,
) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    experiment::delete_tag(&mut session, &request.experiment_id, &request.key).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}
