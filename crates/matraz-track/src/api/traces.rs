//! `/3.0/mlflow/traces`.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::assessments::Assessment;
use super::error::ErrorBody;
use super::json::{Compact, Double, Reply};
use super::time::{Duration, Timestamp};
use super::{Answer, Int64, Message, Request};
use crate::error::{Code, Error, Result};
use crate::experiment::parse_ids;
use crate::search::traces as search;
use crate::service::Service;
use crate::trace::{self, span};

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(start))
        .routes(routes!(get_trace))
        .routes(routes!(batch_get))
        .routes(routes!(batch_get_infos))
        .routes(routes!(search_traces))
        .routes(routes!(delete_traces))
        .routes(routes!(correlation))
        .routes(routes!(get_info))
        .routes(routes!(artifact_v2))
        .routes(routes!(artifact_v3))
}

/// Where a trace is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(super) struct TraceLocation {
    /// Always `MLFLOW_EXPERIMENT` here.
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mlflow_experiment: Option<ExperimentLocation>,
}

/// An experiment that holds traces.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct ExperimentLocation {
    experiment_id: String,
}

/// A trace without its spans.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(super) struct TraceInfo {
    /// `tr-` and 32 digits.
    trace_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_request_id: Option<String>,
    trace_location: TraceLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_duration: Option<Duration>,
    /// `OK`, `ERROR`, `IN_PROGRESS` or `STATE_UNSPECIFIED`.
    #[schema(value_type = String)]
    state: Json,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    trace_metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    assessments: Vec<Assessment>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_preview: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_preview: Option<String>,
}

impl From<trace::TraceInfo> for TraceInfo {
    fn from(stored: trace::TraceInfo) -> Self {
        Self {
            trace_metadata: stored.all_metadata(),
            tags: stored.all_tags(),
            trace_id: stored.id,
            client_request_id: stored.client_request_id,
            trace_location: TraceLocation {
                kind: "MLFLOW_EXPERIMENT".to_owned(),
                mlflow_experiment: Some(ExperimentLocation {
                    experiment_id: stored.experiment_id.to_string(),
                }),
            },
            request_time: Some(Timestamp(stored.request_time)),
            execution_duration: stored.duration.map(Duration),
            state: Json::String(stored.state),
            assessments: stored.assessments.into_iter().map(Assessment::from).collect(),
            request_preview: stored.request_preview,
            response_preview: stored.response_preview,
        }
    }
}

/// The states of a trace, by number.
const STATES: [&str; 4] = ["STATE_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS"];

fn state(sent: &Json) -> Result<String> {
    let number = sent.as_u64().or_else(|| sent.as_str()?.parse().ok());
    let by_number = number.and_then(|number| STATES.get(usize::try_from(number).ok()?));
    let by_name = STATES.iter().find(|name| sent.as_str() == Some(name));
    match by_name.or(by_number) {
        Some(name) => Ok((*name).to_owned()),
        None if sent.is_null() => Ok(STATES[0].to_owned()),
        None => Err(Error::invalid(format!(
            "Invalid value {sent} for parameter 'trace.trace_info.state' supplied: it must be one of {}",
            STATES.join(", ")
        ))),
    }
}

impl TraceInfo {
    fn read(self) -> Result<(trace::TraceInfo, String)> {
        let Some(location) = self.trace_location.mlflow_experiment else {
            if self.trace_id.is_empty() {
                return Err(Error::required("trace.trace_info.trace_id"));
            }
            return Err(Error::required("trace.trace_info.trace_location.mlflow_experiment"));
        };
        let mut tags: Vec<(String, String)> = self.tags.into_iter().collect();
        trace::drop_server_tags(&mut tags);
        let info = trace::TraceInfo {
            request_time: self.request_time.unwrap_or_default().0,
            duration: self.execution_duration.map(|duration| duration.0),
            state: state(&self.state)?,
            client_request_id: self.client_request_id,
            request_preview: self.request_preview,
            response_preview: self.response_preview,
            metadata: self.trace_metadata.into_iter().collect(),
            tags,
            assessments: self
                .assessments
                .into_iter()
                .map(|assessment| assessment.read(&self.trace_id))
                .collect::<Result<_>>()?,
            id: self.trace_id,
            ..trace::TraceInfo::default()
        };
        Ok((info, location.experiment_id))
    }
}

/// A trace, without its spans in most messages.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct Trace {
    trace_info: TraceInfo,
    /// In OpenTelemetry's JSON form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    spans: Vec<Json>,
}

impl From<trace::Trace> for Trace {
    fn from(found: trace::Trace) -> Self {
        let spans = found.spans.iter().map(|content| span::shown(content)).collect();
        Self { trace_info: found.info.into(), spans }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TraceAnswer {
    trace: Trace,
}

fn info_answer(info: trace::TraceInfo) -> Compact<TraceAnswer> {
    Compact(TraceAnswer { trace: Trace { trace_info: info.into(), spans: Vec::new() } })
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct StartTrace {
    trace: Trace,
}

impl Message for StartTrace {
    const REQUIRED: &'static [&'static str] = &["trace"];
    const VERBATIM: &'static [&'static str] = &["tags", "trace_metadata", "value", "metadata"];
}

/// Store what is known about a trace
///
/// Its spans come through `POST /v1/traces`, before or after this.
#[utoipa::path(post, path = "/3.0/mlflow/traces", tag = "traces", request_body = StartTrace,
    responses((status = 200, body = TraceAnswer), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
async fn start(
    State(service): State<Service>,
    Request(request): Request<StartTrace>,
) -> Result<Compact<TraceAnswer>> {
    let (info, experiment_id) = request.trace.trace_info.read()?;
    let mut session = service.db().write().await?;
    let started = trace::start(&mut session, info, &experiment_id).await?;
    session.commit().await?;
    Ok(info_answer(started))
}

/// Get a trace without its spans
#[utoipa::path(get, path = "/3.0/mlflow/traces/{trace_id}", tag = "traces",
    params(("trace_id" = String, Path, description = "`tr-` and 32 digits")),
    responses((status = 200, body = TraceAnswer), (status = 404, body = ErrorBody)))]
async fn get_info(
    State(service): State<Service>,
    Path(trace_id): Path<String>,
) -> Result<Compact<TraceAnswer>> {
    let mut session = service.db().read().await?;
    Ok(info_answer(trace::find(&mut session, &trace_id).await?))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct GetTrace {
    trace_id: String,
    /// Give the trace also when spans are still under way.
    allow_partial: bool,
}

impl Message for GetTrace {
    const REQUIRED: &'static [&'static str] = &["trace_id"];
}

/// Get a trace with its spans
#[utoipa::path(get, path = "/3.0/mlflow/traces/get", tag = "traces", params(GetTrace),
    responses((status = 200, body = TraceAnswer), (status = 404, body = ErrorBody)))]
async fn get_trace(
    State(service): State<Service>,
    Request(request): Request<GetTrace>,
) -> Result<Compact<TraceAnswer>> {
    let mut session = service.db().read().await?;
    let found = trace::get(&mut session, &request.trace_id, request.allow_partial).await?;
    Ok(Compact(TraceAnswer { trace: found.into() }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct BatchGetTraces {
    trace_ids: Vec<String>,
    /// Only traces of these; empty for any.
    experiment_ids: Vec<String>,
}

impl Message for BatchGetTraces {
    const REQUIRED: &'static [&'static str] = &["trace_ids"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TracesAnswer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    traces: Vec<Trace>,
}

async fn batch(session: &mut crate::db::Session, request: &BatchGetTraces) -> Result<Vec<trace::TraceInfo>> {
    let mut seen = std::collections::HashSet::new();
    let ids: Vec<String> = request.trace_ids.iter().filter(|id| seen.insert(*id)).cloned().collect();
    let mut infos = trace::infos(session, &ids).await?;
    let wanted = parse_ids(&request.experiment_ids)?;
    infos.retain(|info| wanted.is_empty() || wanted.contains(&info.experiment_id));
    Ok(infos)
}

/// Get many traces with their spans
#[utoipa::path(get, path = "/3.0/mlflow/traces/batchGet", tag = "traces", params(BatchGetTraces),
    responses((status = 200, body = TracesAnswer)))]
async fn batch_get(
    State(service): State<Service>,
    Request(request): Request<BatchGetTraces>,
) -> Result<Compact<TracesAnswer>> {
    let mut session = service.db().read().await?;
    let infos = batch(&mut session, &request).await?;
    let traces = trace::with_spans(&mut session, infos, false).await?;
    Ok(Compact(TracesAnswer { traces: traces.into_iter().map(Trace::from).collect() }))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TraceInfosAnswer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trace_infos: Vec<TraceInfo>,
}

/// Get many traces without their spans
#[utoipa::path(post, path = "/3.0/mlflow/traces/batchGetInfos", tag = "traces", request_body = BatchGetTraces,
    responses((status = 200, body = TraceInfosAnswer)))]
async fn batch_get_infos(
    State(service): State<Service>,
    Request(request): Request<BatchGetTraces>,
) -> Result<Compact<TraceInfosAnswer>> {
    let mut session = service.db().read().await?;
    let infos = batch(&mut session, &request).await?;
    Ok(Compact(TraceInfosAnswer { trace_infos: infos.into_iter().map(TraceInfo::from).collect() }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct SearchTraces {
    locations: Vec<TraceLocation>,
    filter: String,
    /// 100 when absent, 500 at most.
    max_results: Option<Int64>,
    order_by: Vec<String>,
    page_token: String,
}

impl Message for SearchTraces {
    const REQUIRED: &'static [&'static str] = &["locations"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SearchTracesAnswer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    traces: Vec<TraceInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// Search traces
#[utoipa::path(post, path = "/3.0/mlflow/traces/search", tag = "traces", request_body = SearchTraces,
    responses((status = 200, body = SearchTracesAnswer), (status = 400, body = ErrorBody)))]
async fn search_traces(
    State(service): State<Service>,
    Request(request): Request<SearchTraces>,
) -> Result<Compact<SearchTracesAnswer>> {
    let experiments: Vec<String> = request
        .locations
        .into_iter()
        .filter_map(|location| location.mlflow_experiment)
        .map(|location| location.experiment_id)
        .collect();
    let query = search::Query {
        experiment_ids: parse_ids(&experiments)?,
        filter: request.filter,
        order_by: request.order_by,
        max_results: request.max_results.map(i64::from),
        page_token: request.page_token,
    };
    let mut session = service.db().read().await?;
    let page = search::traces(&mut session, &query).await?;
    Ok(Compact(SearchTracesAnswer {
        traces: page.items.into_iter().map(TraceInfo::from).collect(),
        next_page_token: page.next_page_token,
    }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(super) struct DeleteTraces {
    experiment_id: String,
    /// Milliseconds since 1970.
    max_timestamp_millis: Option<Int64>,
    max_traces: Option<Int64>,
    request_ids: Vec<String>,
}

impl Message for DeleteTraces {
    const REQUIRED: &'static [&'static str] = &["experiment_id"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct DeleteTracesAnswer {
    traces_deleted: u64,
}

/// Delete traces by ids or by age
#[utoipa::path(post, path = "/3.0/mlflow/traces/delete-traces", tag = "traces", request_body = DeleteTraces,
    responses((status = 200, body = DeleteTracesAnswer), (status = 400, body = ErrorBody)))]
pub(super) async fn delete_traces(
    State(service): State<Service>,
    Request(request): Request<DeleteTraces>,
) -> Reply<DeleteTracesAnswer> {
    let which = trace::Deletion {
        max_timestamp: request.max_timestamp_millis.map(i64::from),
        max_traces: request.max_traces.map(i64::from),
        ids: request.request_ids,
    };
    let mut session = service.db().write().await?;
    let traces_deleted = trace::delete(&mut session, &request.experiment_id, &which).await?;
    session.commit().await?;
    Ok(Answer(DeleteTracesAnswer { traces_deleted }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct FilterCorrelation {
    experiment_ids: Vec<String>,
    filter_string1: String,
    filter_string2: String,
    /// Both filters are looked at on top of this one.
    base_filter: Option<String>,
}

impl Message for FilterCorrelation {
    const REQUIRED: &'static [&'static str] = &["experiment_ids", "filter_string1", "filter_string2"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct FilterCorrelationAnswer {
    /// Absent when a filter matches nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    npmi: Option<Double>,
    #[serde(skip_serializing_if = "Option::is_none")]
    npmi_smoothed: Option<Double>,
    filter1_count: i64,
    filter2_count: i64,
    joint_count: i64,
    total_count: i64,
}

/// How much two filters go together
#[utoipa::path(post, path = "/3.0/mlflow/traces/calculate-filter-correlation", tag = "traces", request_body = FilterCorrelation,
    responses((status = 200, body = FilterCorrelationAnswer), (status = 400, body = ErrorBody)))]
async fn correlation(
    State(service): State<Service>,
    Request(request): Request<FilterCorrelation>,
) -> Reply<FilterCorrelationAnswer> {
    let experiments = parse_ids(&request.experiment_ids)?;
    let (first, second) = (&request.filter_string1, &request.filter_string2);
    let mut session = service.db().read().await?;
    let counts =
        search::count(&mut session, &experiments, first, second, request.base_filter.as_deref()).await?;
    let known = |value: f64| Some(Double(value)).filter(|value| !value.0.is_nan());
    Ok(Answer(FilterCorrelationAnswer {
        npmi: known(counts.npmi(0.0)),
        npmi_smoothed: known(counts.npmi(0.5)),
        filter1_count: counts.first,
        filter2_count: counts.second,
        joint_count: counts.joint,
        total_count: counts.total,
    }))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct TraceArtifact {
    request_id: String,
    /// An attachment; without it all spans come as one file.
    path: String,
}

/// Get the spans of a trace as a file
#[utoipa::path(get, path = "/2.0/mlflow/get-trace-artifact", tag = "traces", params(TraceArtifact),
    responses((status = 200, body = Vec<u8>, content_type = "text/plain"), (status = 404, body = ErrorBody)))]
async fn artifact_v2(State(service): State<Service>, query: Query<TraceArtifact>) -> Result<Response> {
    artifact(&service, query.0).await
}

/// Get the spans of a trace as a file
#[utoipa::path(get, path = "/3.0/mlflow/get-trace-artifact", tag = "traces", params(TraceArtifact),
    responses((status = 200, body = Vec<u8>, content_type = "text/plain"), (status = 404, body = ErrorBody)))]
async fn artifact_v3(State(service): State<Service>, query: Query<TraceArtifact>) -> Result<Response> {
    artifact(&service, query.0).await
}

async fn artifact(service: &Service, query: TraceArtifact) -> Result<Response> {
    if query.request_id.is_empty() {
        let message = "Request must include the \"request_id\" query parameter.";
        return Err(Error::request(Code::BadRequest, message));
    }
    let info = {
        let mut session = service.db().read().await?;
        if query.path.is_empty() {
            match trace::get(&mut session, &query.request_id, true).await {
                Ok(found) => return Ok(spans_file(&found.spans)),
                Err(Error::Request { code: Code::ResourceDoesNotExist, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        trace::find(&mut session, &query.request_id).await?
    };
    let location = info.artifact_location().unwrap_or_default();
    let missing = |error| match error {
        Error::Request { code: Code::ResourceDoesNotExist, .. } if query.path.is_empty() => {
            Error::request(Code::NotFound, "Trace data not found for path=traces.json")
        }
        other => other,
    };
    super::artifacts::trace_file(service, location, &query.path).await.map_err(missing)
}

/// All spans as one JSON file.
fn spans_file(spans: &[String]) -> Response {
    let text = format!("{{\"spans\":[{}]}}", spans.join(","));
    let headers = [(CONTENT_TYPE, "text/plain"), (CONTENT_DISPOSITION, "attachment; filename=traces.json")];
    (headers, text).into_response()
}
