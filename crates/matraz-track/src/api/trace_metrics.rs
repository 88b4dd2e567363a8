//! `/3.0/mlflow/traces/metrics`: numbers over many traces.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Choice, Double, Reply};
use super::{Answer, Int64, Message, Request};
use crate::error::{Error, Result};
use crate::experiment::parse_ids;
use crate::service::Service;
use crate::trace::metrics::{self, Aggregation, View};

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(query))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct QueryTraceMetrics {
    experiment_ids: Vec<String>,
    /// `TRACES`, `SPANS` or `ASSESSMENTS`.
    view_type: Choice,
    /// As `trace_count`, `latency`, `total_tokens`.
    metric_name: String,
    aggregations: Vec<MetricAggregation>,
    /// As `trace_status`.
    dimensions: Vec<String>,
    /// As `trace.status = 'OK'`, one comparison each.
    filters: Vec<String>,
    time_interval_seconds: Option<Int64>,
    start_time_ms: Option<Int64>,
    end_time_ms: Option<Int64>,
    /// 1000 when absent.
    max_results: Option<Int64>,
}

/// How values become one.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct MetricAggregation {
    /// `COUNT`, `SUM`, `AVG`, `PERCENTILE`, `MIN` or `MAX`.
    aggregation_type: Choice,
    /// 0 to 100, for `PERCENTILE`.
    percentile_value: Option<Double>,
}

impl Message for QueryTraceMetrics {
    const REQUIRED: &'static [&'static str] = &["experiment_ids", "view_type", "metric_name", "aggregations"];
}

impl MetricAggregation {
    fn read(&self) -> Result<Aggregation> {
        let kinds = [
            ("COUNT", Aggregation::Count),
            ("SUM", Aggregation::Sum),
            ("AVG", Aggregation::Avg),
            ("PERCENTILE", Aggregation::Percentile(0.0)),
            ("MIN", Aggregation::Min),
            ("MAX", Aggregation::Max),
        ];
        let how = self.aggregation_type.pick("aggregations.aggregation_type", &kinds)?;
        if how != Aggregation::Percentile(0.0) {
            return Ok(how);
        }
        match self.percentile_value {
            Some(Double(percent)) if (0.0..=100.0).contains(&percent) => Ok(Aggregation::Percentile(percent)),
            Some(Double(percent)) => {
                Err(Error::invalid(format!("Percentile value must be between 0 and 100, got {percent}")))
            }
            None => Err(Error::invalid("Percentile value is required for PERCENTILE aggregation")),
        }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TraceMetricsAnswer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    data_points: Vec<MetricDataPoint>,
}

/// The numbers of one group.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct MetricDataPoint {
    metric_name: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    dimensions: BTreeMap<String, String>,
    /// By aggregation: `COUNT`, `P50.0`.
    values: BTreeMap<String, Double>,
}

/// Counts, latencies, tokens and costs of many traces
#[utoipa::path(post, path = "/3.0/mlflow/traces/metrics", tag = "traces", request_body = QueryTraceMetrics,
    responses((status = 200, body = TraceMetricsAnswer), (status = 400, body = ErrorBody)))]
async fn query(
    State(service): State<Service>,
    Request(request): Request<QueryTraceMetrics>,
) -> Reply<TraceMetricsAnswer> {
    let views = [("TRACES", View::Traces), ("SPANS", View::Spans), ("ASSESSMENTS", View::Assessments)];
    let query = metrics::Query {
        experiment_ids: parse_ids(&request.experiment_ids)?,
        view: request.view_type.pick("view_type", &views)?,
        aggregations: request.aggregations.iter().map(MetricAggregation::read).collect::<Result<_>>()?,
        dimensions: request.dimensions,
        filters: request.filters,
        interval_seconds: request.time_interval_seconds.map(i64::from),
        start_time: request.start_time_ms.map(i64::from),
        end_time: request.end_time_ms.map(i64::from),
        max_results: request.max_results.map(i64::from),
        metric: request.metric_name,
    };
    let mut session = service.db().read().await?;
    let points = metrics::query(&mut session, &query).await?;
    let shown = |point: metrics::Point| MetricDataPoint {
        metric_name: query.metric.clone(),
        dimensions: point.dimensions.into_iter().collect(),
        values: point.values.into_iter().map(|(label, value)| (label, Double(value))).collect(),
    };
    Ok(Answer(TraceMetricsAnswer { data_points: points.into_iter().map(shown).collect() }))
}
