//! `/2.0/mlflow/traces`: traces as clients of MLflow 2 send and read them.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Choice, Empty, KeyValue, Reply};
use super::trace_links::{DeleteTraceTag, SetTraceTag, delete_tag, set_tag};
use super::traces::{DeleteTraces, DeleteTracesAnswer, delete_traces};
use super::{Answer, Int64, Message, Request};
use crate::error::Error;
use crate::experiment::parse_ids;
use crate::search::traces as search;
use crate::service::{Service, new_id};
use crate::trace;

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(start, search_traces))
        .routes(routes!(end))
        .routes(routes!(info))
        .routes(routes!(set_tag_v2, delete_tag_v2))
        .routes(routes!(delete_traces_v2))
        .routes(routes!(unified))
        .routes(routes!(online_details))
}

/// A trace without its spans, in the form of MLflow 2.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TraceInfoV2 {
    request_id: String,
    experiment_id: String,
    timestamp_ms: i64,
    execution_time_ms: i64,
    /// `OK`, `ERROR`, `IN_PROGRESS` or `TRACE_STATUS_UNSPECIFIED`.
    status: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    request_metadata: Vec<KeyValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<KeyValue>,
}

impl From<trace::TraceInfo> for TraceInfoV2 {
    fn from(stored: trace::TraceInfo) -> Self {
        Self {
            request_metadata: KeyValue::list(stored.all_metadata().into_iter().collect()),
            tags: KeyValue::list(stored.all_tags().into_iter().collect()),
            request_id: stored.id,
            experiment_id: stored.experiment_id.to_string(),
            timestamp_ms: stored.request_time,
            execution_time_ms: stored.duration.unwrap_or(0),
            status: match stored.state.as_str() {
                "STATE_UNSPECIFIED" => "TRACE_STATUS_UNSPECIFIED".to_owned(),
                _ => stored.state,
            },
        }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TraceInfoV2Answer {
    trace_info: TraceInfoV2,
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct StartTraceV2 {
    experiment_id: String,
    /// Milliseconds since 1970.
    timestamp_ms: Int64,
    request_metadata: Vec<KeyValue>,
    tags: Vec<KeyValue>,
}

impl Message for StartTraceV2 {}

/// Start a trace, in the manner of MLflow 2
#[utoipa::path(post, path = "/2.0/mlflow/traces", tag = "traces", request_body = StartTraceV2,
    responses((status = 200, body = TraceInfoV2Answer), (status = 404, body = ErrorBody)))]
async fn start(
    State(service): State<Service>,
    Request(request): Request<StartTraceV2>,
) -> Reply<TraceInfoV2Answer> {
    let mut tags = KeyValue::pairs(request.tags);
    trace::drop_server_tags(&mut tags);
    let new = trace::TraceInfo {
        id: new_id()?,
        request_time: request.timestamp_ms.0,
        metadata: KeyValue::pairs(request.request_metadata),
        tags,
        ..trace::TraceInfo::default()
    };
    let mut session = service.db().write().await?;
    let started = trace::start_v2(&mut session, new, &request.experiment_id).await?;
    session.commit().await?;
    Ok(Answer(TraceInfoV2Answer { trace_info: started.into() }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct EndTraceV2 {
    /// Milliseconds since 1970.
    timestamp_ms: Int64,
    /// `OK`, `ERROR` or `IN_PROGRESS`.
    #[schema(value_type = String)]
    status: Json,
    request_metadata: Vec<KeyValue>,
    tags: Vec<KeyValue>,
}

impl Message for EndTraceV2 {}

/// End a trace, in the manner of MLflow 2
#[utoipa::path(patch, path = "/2.0/mlflow/traces/{request_id}", tag = "traces", request_body = EndTraceV2,
    params(("request_id" = String, Path, description = "the id that the start gave")),
    responses((status = 200, body = TraceInfoV2Answer), (status = 404, body = ErrorBody)))]
async fn end(
    State(service): State<Service>,
    Path(request_id): Path<String>,
    Request(request): Request<EndTraceV2>,
) -> Reply<TraceInfoV2Answer> {
    let names = [("OK", "OK"), ("ERROR", "ERROR"), ("IN_PROGRESS", "IN_PROGRESS")];
    let status: Choice = serde_json::from_value(request.status).unwrap_or_default();
    let status = status.pick("status", &names)?;
    let mut tags = KeyValue::pairs(request.tags);
    trace::drop_server_tags(&mut tags);
    let metadata = KeyValue::pairs(request.request_metadata);
    let mut session = service.db().write().await?;
    let ended =
        trace::end_v2(&mut session, &request_id, request.timestamp_ms.0, status, metadata, tags).await?;
    session.commit().await?;
    Ok(Answer(TraceInfoV2Answer { trace_info: ended.into() }))
}

/// Get a trace, in the form of MLflow 2
#[utoipa::path(get, path = "/2.0/mlflow/traces/{request_id}/info", tag = "traces",
    params(("request_id" = String, Path, description = "the id of the trace")),
    responses((status = 200, body = TraceInfoV2Answer), (status = 404, body = ErrorBody)))]
async fn info(State(service): State<Service>, Path(request_id): Path<String>) -> Reply<TraceInfoV2Answer> {
    let mut session = service.db().read().await?;
    Ok(Answer(TraceInfoV2Answer { trace_info: trace::find(&mut session, &request_id).await?.into() }))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct SearchTracesV2 {
    experiment_ids: Vec<String>,
    filter: String,
    /// 100 when absent, 500 at most.
    max_results: Option<Int64>,
    order_by: Vec<String>,
    page_token: String,
}

impl Message for SearchTracesV2 {
    const REQUIRED: &'static [&'static str] = &["experiment_ids"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SearchTracesV2Answer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    traces: Vec<TraceInfoV2>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// Search traces, in the form of MLflow 2
#[utoipa::path(get, path = "/2.0/mlflow/traces", tag = "traces", params(SearchTracesV2),
    responses((status = 200, body = SearchTracesV2Answer), (status = 400, body = ErrorBody)))]
async fn search_traces(
    State(service): State<Service>,
    Request(request): Request<SearchTracesV2>,
) -> Reply<SearchTracesV2Answer> {
    let query = search::Query {
        experiment_ids: parse_ids(&request.experiment_ids)?,
        filter: request.filter,
        order_by: request.order_by,
        max_results: request.max_results.map(i64::from),
        page_token: request.page_token,
    };
    let mut session = service.db().read().await?;
    let page = search::traces(&mut session, &query).await?;
    Ok(Answer(SearchTracesV2Answer {
        traces: page.items.into_iter().map(TraceInfoV2::from).collect(),
        next_page_token: page.next_page_token,
    }))
}

/// Set a tag of a trace
#[utoipa::path(patch, path = "/2.0/mlflow/traces/{request_id}/tags", tag = "traces", request_body = SetTraceTag,
    params(("request_id" = String, Path, description = "the id of the trace")),
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn set_tag_v2(
    service: State<Service>,
    request_id: Path<String>,
    request: Request<SetTraceTag>,
) -> Reply<Empty> {
    set_tag(service, request_id, request).await
}

/// Remove a tag of a trace
#[utoipa::path(delete, path = "/2.0/mlflow/traces/{request_id}/tags", tag = "traces", request_body = DeleteTraceTag,
    params(("request_id" = String, Path, description = "the id of the trace")),
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn delete_tag_v2(
    service: State<Service>,
    request_id: Path<String>,
    request: Request<DeleteTraceTag>,
) -> Reply<Empty> {
    delete_tag(service, request_id, request).await
}

/// Delete traces by ids or by age
#[utoipa::path(post, path = "/2.0/mlflow/traces/delete-traces", tag = "traces", request_body = DeleteTraces,
    responses((status = 200, body = DeleteTracesAnswer), (status = 400, body = ErrorBody)))]
async fn delete_traces_v2(
    service: State<Service>,
    request: Request<DeleteTraces>,
) -> Reply<DeleteTracesAnswer> {
    delete_traces(service, request).await
}

/// A route that only Databricks offers.
fn databricks_only(route: &str) -> Error {
    Error::request(crate::Code::NotImplemented, format!("'{route}' is not implemented by this server"))
}

/// Not offered: traces of inference tables
#[utoipa::path(get, path = "/2.0/mlflow/unified-traces", tag = "not implemented", responses((status = 501, body = ErrorBody)))]
async fn unified() -> Error {
    databricks_only("/mlflow/unified-traces")
}

/// Not offered: traces of inference tables
#[utoipa::path(get, path = "/2.0/mlflow/get-online-trace-details", tag = "not implemented", responses((status = 501, body = ErrorBody)))]
async fn online_details() -> Error {
    databricks_only("/mlflow/get-online-trace-details")
}
