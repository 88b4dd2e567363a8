//! `/2.0/mlflow/metrics`: the history of metrics.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Int64, Reply};
use super::runs::{Metric, either};
use super::{Answer, Message, Request};
use crate::error::{Error, Result};
use crate::metric;
use crate::service::Service;

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(get_history))
        .routes(routes!(get_history_bulk))
        .routes(routes!(get_history_bulk_interval))
}

/// How many runs a bulk request may name.
const MAX_RUNS: usize = 100;
/// How many points `get-history-bulk` gives in all.
const MAX_BULK_RESULTS: i64 = 25_000;
/// How many points `get-history-bulk-interval` gives of each run.
const MAX_INTERVAL_RESULTS: i64 = 2500;

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct GetHistory {
    #[param(required = true)]
    run_id: String,
    run_uuid: String,
    #[param(required = true)]
    metric_key: String,
    page_token: String,
    /// The size of a page; everything comes at once when absent.
    #[param(value_type = Option<i64>)]
    max_results: Option<Int64>,
}

impl Message for GetHistory {
    const REQUIRED: &'static [&'static str] = &["run_id", "metric_key"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct History {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<Metric>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// All points of a metric
#[utoipa::path(get, path = "/2.0/mlflow/metrics/get-history", tag = "metrics", params(GetHistory),
    responses((status = 200, body = History), (status = 400, body = ErrorBody)))]
async fn get_history(
    State(service): State<Service>,
    Request(request): Request<GetHistory>,
) -> Reply<History> {
    let id = either(request.run_id, request.run_uuid);
    let mut session = service.db().read().await?;
    let size = request.max_results.map(i64::from);
    let (points, next_page_token) =
        metric::history(&mut session, &id, &request.metric_key, size, Some(&request.page_token)).await?;
    Ok(Answer(History {
        metrics: points.into_iter().map(|point| Metric::of(point, None)).collect(),
        next_page_token,
    }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct GetHistoryBulk {
    /// May be repeated.
    run_id: Vec<String>,
    metric_key: Option<String>,
    #[param(value_type = Option<i64>)]
    max_results: Option<Int64>,
}

impl Message for GetHistoryBulk {}

/// Points of a metric of several runs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct BulkHistory {
    metrics: Vec<Metric>,
}

fn check_run_count(what: &str, field: &str, count: usize) -> Result<()> {
    match count {
        0 => Err(Error::invalid(format!("{what} request must specify at least one {field}."))),
        1..=MAX_RUNS => Ok(()),
        _ => Err(Error::invalid(format!(
            "{what} request cannot specify more than {MAX_RUNS} run_ids. Received {count} run_ids."
        ))),
    }
}

/// All points of a metric of several runs
#[utoipa::path(get, path = "/2.0/mlflow/metrics/get-history-bulk", tag = "metrics", params(GetHistoryBulk),
    responses((status = 200, body = BulkHistory), (status = 400, body = ErrorBody)))]
async fn get_history_bulk(
    State(service): State<Service>,
    Request(request): Request<GetHistoryBulk>,
) -> Reply<BulkHistory> {
    check_run_count("GetMetricHistoryBulk", "run_id", request.run_id.len())?;
    let key = request
        .metric_key
        .ok_or_else(|| Error::invalid("GetMetricHistoryBulk request must specify a metric_key."))?;
    let limit = request.max_results.map_or(MAX_BULK_RESULTS, i64::from).min(MAX_BULK_RESULTS);
    let mut session = service.db().read().await?;
    let points = metric::history_of_runs(&mut session, &request.run_id, &key, limit).await?;
    Ok(Answer(BulkHistory {
        metrics: points.into_iter().map(|(run, point)| Metric::of(point, Some(run))).collect(),
    }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct GetHistoryBulkInterval {
    /// May be repeated, up to 100 times.
    #[param(required = true)]
    run_ids: Vec<String>,
    #[param(required = true)]
    metric_key: String,
    #[param(value_type = Option<i64>)]
    start_step: Option<Int64>,
    #[param(value_type = Option<i64>)]
    end_step: Option<Int64>,
    /// Points of each run, from 1 to 2500.
    #[param(value_type = Option<i64>)]
    max_results: Option<Int64>,
}

impl Message for GetHistoryBulkInterval {
    const REQUIRED: &'static [&'static str] = &["run_ids", "metric_key"];
}

/// Evenly chosen points of a metric of several runs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct SampledHistory {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<Metric>,
}

/// Evenly chosen points of a metric of several runs
#[utoipa::path(get, path = "/2.0/mlflow/metrics/get-history-bulk-interval", tag = "metrics",
    params(GetHistoryBulkInterval),
    responses((status = 200, body = SampledHistory), (status = 400, body = ErrorBody)))]
pub(super) async fn get_history_bulk_interval(
    State(service): State<Service>,
    Request(request): Request<GetHistoryBulkInterval>,
) -> Reply<SampledHistory> {
    check_run_count("GetMetricHistoryBulkInterval", "run_id", request.run_ids.len())?;
    let count = request.max_results.map_or(MAX_INTERVAL_RESULTS, i64::from);
    if !(1..=MAX_INTERVAL_RESULTS).contains(&count) {
        return Err(Error::invalid(format!("max_results must be between 1 and {MAX_INTERVAL_RESULTS}.")));
    }
    let steps = match (request.start_step, request.end_step) {
        (None, None) => None,
        (Some(Int64(start)), Some(Int64(end))) if start <= end => Some((start, end)),
        (Some(Int64(start)), Some(Int64(end))) => {
            return Err(Error::invalid(format!(
                "end_step must be greater than start_step. Found start_step={start} and end_step={end}."
            )));
        }
        _ => {
            return Err(Error::invalid(
                "If either start step or end step are specified, both must be specified.",
            ));
        }
    };
    let mut session = service.db().read().await?;
    let mut metrics = Vec::new();
    for run in request.run_ids {
        let points = metric::sample(&mut session, &run, &request.metric_key, steps, count).await?;
        metrics.extend(points.into_iter().map(|point| Metric::of(point, Some(run.clone()))));
    }
    Ok(Answer(SampledHistory { metrics }))
}
