//! `/2.0/mlflow/runs`: making, reading, changing and searching runs.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::experiments::{page_size, view};
use super::json::{Choice, Double, Empty, Int64, KeyValue, Reply};
use super::run_inputs::DatasetInput;
use super::{Answer, Message, Request};
use crate::auth::Caller;
use crate::error::Result;
use crate::metric;
use crate::run::{self, NewRun, RunUpdate, Status};
use crate::search::page;
use crate::search::runs::RunSearch;
use crate::service::{Service, now_ms};
use crate::{experiment, metric::Metric as StoredMetric};

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(get))
        .routes(routes!(update))
        .routes(routes!(delete))
        .routes(routes!(restore))
        .routes(routes!(search))
}

/// The largest page of a search.
const MAX_RESULTS: i64 = 50_000;
/// The page of a search that names no size.
const DEFAULT_RESULTS: i64 = 1000;

/// A run.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Run {
    info: RunInfo,
    data: RunData,
    inputs: RunInputs,
    /// Left out of the answer to `create` alone, as MLflow does.
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<RunOutputs>,
}

/// What a run is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RunInfo {
    /// The same as `run_id`, for old clients.
    run_uuid: String,
    experiment_id: String,
    run_name: String,
    user_id: String,
    /// `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or `KILLED`.
    status: &'static str,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<i64>,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    artifact_uri: String,
    /// `active` or `deleted`.
    lifecycle_stage: String,
    run_id: String,
}

/// What was logged.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RunData {
    /// The latest point of every series.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<Metric>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<KeyValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<KeyValue>,
}

/// A point of a series.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Metric {
    key: String,
    value: Double,
    /// Milliseconds since 1970.
    timestamp: i64,
    step: i64,
    /// The run, where points of several runs come together.
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
}

impl Metric {
    pub(super) fn of(stored: StoredMetric, run_id: Option<String>) -> Self {
        let metric::Metric { key, value, timestamp, step, .. } = stored;
        Self { key, value: Double(value), timestamp, step, run_id }
    }
}

/// What a run read.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RunInputs {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dataset_inputs: Vec<DatasetInput>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_inputs: Vec<ModelInput>,
}

/// A logged model that a run read.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct ModelInput {
    pub(super) model_id: String,
}

/// What a run made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RunOutputs {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_outputs: Vec<ModelOutput>,
}

/// A logged model that a run made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ModelOutput {
    model_id: String,
    step: i64,
}

impl From<run::RunInfo> for RunInfo {
    fn from(stored: run::RunInfo) -> Self {
        Self {
            run_uuid: stored.id.clone(),
            experiment_id: stored.experiment_id.to_string(),
            run_name: stored.name,
            user_id: stored.user_id,
            status: stored.status.name(),
            start_time: stored.start_time,
            end_time: stored.end_time,
            artifact_uri: stored.artifact_uri,
            lifecycle_stage: stored.lifecycle_stage,
            run_id: stored.id,
        }
    }
}

impl From<run::Run> for Run {
    fn from(stored: run::Run) -> Self {
        let outputs: Vec<ModelOutput> = stored
            .model_outputs
            .into_iter()
            .map(|output| ModelOutput { model_id: output.model_id, step: output.step })
            .collect();
        Self {
            info: stored.info.into(),
            data: RunData {
                metrics: stored.metrics.into_iter().map(|metric| Metric::of(metric, None)).collect(),
                params: KeyValue::list(stored.params),
                tags: KeyValue::list(stored.tags),
            },
            inputs: RunInputs {
                dataset_inputs: stored.datasets.into_iter().map(Into::into).collect(),
                model_inputs: stored
                    .model_inputs
                    .into_iter()
                    .map(|model_id| ModelInput { model_id })
                    .collect(),
            },
            outputs: Some(RunOutputs { model_outputs: outputs }),
        }
    }
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct CreateRun {
    experiment_id: String,
    user_id: String,
    run_name: String,
    /// Milliseconds since 1970.
    start_time: Int64,
    tags: Vec<KeyValue>,
}

impl Message for CreateRun {
    const REQUIRED: &'static [&'static str] = &["experiment_id"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct RunAnswer {
    run: Run,
}

/// Start a run
#[utoipa::path(post, path = "/2.0/mlflow/runs/create", tag = "runs", request_body = CreateRun,
    responses((status = 200, body = RunAnswer), (status = 400, body = ErrorBody)))]
async fn create(State(service): State<Service>, Request(request): Request<CreateRun>) -> Reply<RunAnswer> {
    let new = NewRun {
        experiment_id: request.experiment_id,
        name: request.run_name,
        user_id: request.user_id,
        start_time: request.start_time.0,
        tags: KeyValue::pairs(request.tags),
    };
    let mut session = service.db().write().await?;
    let run = run::create(&mut session, new, service.options().truncate_long_values).await?;
    session.commit().await?;
    Ok(Answer(RunAnswer { run: Run { outputs: None, ..run.into() } }))
}

/// A request about one run. `run_uuid` is the name of old clients.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct RunId {
    #[param(required = true)]
    run_id: String,
    run_uuid: String,
}

impl Message for RunId {
    const REQUIRED: &'static [&'static str] = &["run_id"];
}

/// The id that was sent under either name.
pub(super) fn either(run_id: String, run_uuid: String) -> String {
    if run_id.is_empty() { run_uuid } else { run_id }
}

/// Get a run
#[utoipa::path(get, path = "/2.0/mlflow/runs/get", tag = "runs", params(RunId),
    responses((status = 200, body = RunAnswer), (status = 404, body = ErrorBody)))]
pub(super) async fn get(
    State(service): State<Service>,
    Request(request): Request<RunId>,
) -> Reply<RunAnswer> {
    let id = either(request.run_id, request.run_uuid);
    let run = run::get(&mut service.db().read().await?, &id).await?;
    Ok(Answer(RunAnswer { run: run.into() }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct UpdateRun {
    run_id: String,
    run_uuid: String,
    /// `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or `KILLED`.
    status: Option<Choice>,
    /// Milliseconds since 1970.
    end_time: Option<Int64>,
    run_name: Option<String>,
}

impl Message for UpdateRun {
    const REQUIRED: &'static [&'static str] = &["run_id"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RunInfoAnswer {
    run_info: RunInfo,
}

fn status(choice: &Choice) -> Result<Status> {
    let choices = Status::ALL.map(|status| (status.name(), status));
    choice.pick("status", &choices)
}

/// Change the status, the end or the name of a run
#[utoipa::path(post, path = "/2.0/mlflow/runs/update", tag = "runs", request_body = UpdateRun,
    responses((status = 200, body = RunInfoAnswer), (status = 404, body = ErrorBody)))]
async fn update(
    State(service): State<Service>,
    Request(request): Request<UpdateRun>,
) -> Reply<RunInfoAnswer> {
    let update = RunUpdate {
        status: request.status.as_ref().map(status).transpose()?,
        end_time: request.end_time.map(i64::from),
        name: request.run_name,
    };
    let id = either(request.run_id, request.run_uuid);
    let mut session = service.db().write().await?;
    let info = run::update(&mut session, &id, &update).await?;
    session.commit().await?;
    Ok(Answer(RunInfoAnswer { run_info: info.into() }))
}

/// Mark a run as deleted
#[utoipa::path(post, path = "/2.0/mlflow/runs/delete", tag = "runs", request_body = RunId,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn delete(State(service): State<Service>, Request(request): Request<RunId>) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    run::delete(&mut session, &either(request.run_id, request.run_uuid), now_ms()).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

/// Bring a deleted run back
#[utoipa::path(post, path = "/2.0/mlflow/runs/restore", tag = "runs", request_body = RunId,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn restore(State(service): State<Service>, Request(request): Request<RunId>) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    run::restore(&mut session, &either(request.run_id, request.run_uuid)).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(super) struct SearchRuns {
    /// None finds nothing.
    experiment_ids: Vec<String>,
    /// As ``metrics.accuracy > 0.8 AND params.`model` = 'tree'``.
    filter: String,
    /// `ACTIVE_ONLY` (when absent), `DELETED_ONLY` or `ALL`.
    run_view_type: Option<Choice>,
    /// From 1 to 50000; 1000 when absent.
    max_results: Option<Int64>,
    /// As `metrics.accuracy DESC`.
    order_by: Vec<String>,
    page_token: String,
}

impl Message for SearchRuns {}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct FoundRuns {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<Run>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// Search runs
#[utoipa::path(post, path = "/2.0/mlflow/runs/search", tag = "runs", request_body = SearchRuns,
    responses((status = 200, body = FoundRuns), (status = 400, body = ErrorBody)))]
pub(super) async fn search(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<SearchRuns>,
) -> Reply<FoundRuns> {
    let mut experiments = experiment::parse_ids(&request.experiment_ids)?;
    experiments.retain(|id| caller.sees_in_experiment("run", &id.to_string()));
    let search = RunSearch {
        limit: page_size(request.max_results.map_or(DEFAULT_RESULTS, i64::from), MAX_RESULTS)?,
        offset: page::offset(Some(&request.page_token))?,
        stages: view(request.run_view_type.as_ref(), "run_view_type")?.stages(),
        experiments,
        filter: request.filter,
        order_by: request.order_by,
    };
    let (runs, next_page_token) = run::search(&mut service.db().read().await?, &search).await?;
    Ok(Answer(FoundRuns { runs: runs.into_iter().map(Into::into).collect(), next_page_token }))
}
