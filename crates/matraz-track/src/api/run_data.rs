//! `/2.0/mlflow/runs/log-…`: metrics, params and tags of runs, one by one and in batches.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Double, Empty, Int64, KeyValue, Reply};
use super::runs::either;
use super::{Answer, Message, Request};
use crate::batch::{self, Batch};
use crate::metric::{self, Metric};
use crate::service::Service;
use crate::{param, tag};

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(log_metric))
        .routes(routes!(log_param))
        .routes(routes!(set_tag))
        .routes(routes!(delete_tag))
        .routes(routes!(log_batch))
}

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct LogMetric {
    run_id: String,
    run_uuid: String,
    key: String,
    value: Double,
    /// Milliseconds since 1970.
    timestamp: Int64,
    step: Int64,
    /// The logged model that was measured.
    model_id: String,
    dataset_name: String,
    dataset_digest: String,
}

impl Message for LogMetric {
    const REQUIRED: &'static [&'static str] = &["run_id", "key", "value", "timestamp"];
}

/// Log a point of a metric
#[utoipa::path(post, path = "/2.0/mlflow/runs/log-metric", tag = "runs", request_body = LogMetric,
    responses((status = 200, body = Empty), (status = 400, body = ErrorBody)))]
async fn log_metric(State(service): State<Service>, Request(request): Request<LogMetric>) -> Reply<Empty> {
    let metric = Metric {
        key: request.key,
        value: request.value.0,
        timestamp: request.timestamp.0,
        step: request.step.0,
        model_id: given(request.model_id),
        dataset_name: given(request.dataset_name),
        dataset_digest: given(request.dataset_digest),
    };
    let mut session = service.db().write().await?;
    metric::log(&mut session, &either(request.run_id, request.run_uuid), metric).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

/// A param or a tag of a run.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct RunKeyValue {
    run_id: String,
    run_uuid: String,
    key: String,
    value: String,
}

impl Message for RunKeyValue {
    const REQUIRED: &'static [&'static str] = &["run_id", "key"];
}

/// Log a param
#[utoipa::path(post, path = "/2.0/mlflow/runs/log-parameter", tag = "runs", request_body = RunKeyValue,
    responses((status = 200, body = Empty), (status = 400, body = ErrorBody)))]
async fn log_param(State(service): State<Service>, Request(request): Request<RunKeyValue>) -> Reply<Empty> {
    let truncate = service.options().truncate_long_values;
    let id = either(request.run_id, request.run_uuid);
    let mut session = service.db().write().await?;
    param::log(&mut session, &id, &request.key, request.value, truncate).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

/// Set a tag
#[utoipa::path(post, path = "/2.0/mlflow/runs/set-tag", tag = "runs", request_body = RunKeyValue,
    responses((status = 200, body = Empty), (status = 400, body = ErrorBody)))]
async fn set_tag(State(service): State<Service>, Request(request): Request<RunKeyValue>) -> Reply<Empty> {
    let truncate = service.options().truncate_long_values;
    let id = either(request.run_id, request.run_uuid);
    let mut session = service.db().write().await?;
    tag::set(&mut session, &id, &request.key, request.value, truncate).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct DeleteTag {
    run_id: String,
    key: String,
}

impl Message for DeleteTag {
    const REQUIRED: &'static [&'static str] = &["run_id", "key"];
}

/// Delete a tag
#[utoipa::path(post, path = "/2.0/mlflow/runs/delete-tag", tag = "runs", request_body = DeleteTag,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn delete_tag(State(service): State<Service>, Request(request): Request<DeleteTag>) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    tag::delete(&mut session, &request.run_id, &request.key).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct LogBatch {
    run_id: String,
    /// At most 1000.
    metrics: Vec<BatchMetric>,
    /// At most 100.
    params: Vec<KeyValue>,
    /// At most 100.
    tags: Vec<KeyValue>,
}

#[derive(Debug, Default, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(default)]
struct BatchMetric {
    key: String,
    value: Double,
    /// Milliseconds since 1970.
    timestamp: Int64,
    step: Int64,
    model_id: String,
    dataset_name: String,
    dataset_digest: String,
}

impl Message for LogBatch {
    const REQUIRED: &'static [&'static str] =
        &["run_id", "metrics[].key", "metrics[].value", "metrics[].timestamp", "params[].key", "tags[].key"];

    fn straight(body: &[u8]) -> Option<Self> {
        let plain: PlainBatch = serde_json::from_slice(body).ok()?;
        let metrics: Vec<BatchMetric> = plain.metrics.into_iter().map(PlainMetric::into_batch).collect();
        let mut keys = metrics.iter().map(|metric| &metric.key);
        let mut pairs = plain.params.iter().chain(&plain.tags).map(|pair| &pair.key);
        let complete =
            !plain.run_id.is_empty() && keys.all(|key| !key.is_empty()) && pairs.all(|key| !key.is_empty());
        complete.then_some(Self { run_id: plain.run_id, metrics, params: plain.params, tags: plain.tags })
    }
}

/// A batch as clients usually write it: every field by its own name, nothing left out that must be there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainBatch {
    run_id: String,
    #[serde(default)]
    metrics: Vec<PlainMetric>,
    #[serde(default)]
    params: Vec<KeyValue>,
    #[serde(default)]
    tags: Vec<KeyValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainMetric {
    key: String,
    value: Double,
    timestamp: Int64,
    #[serde(default)]
    step: Int64,
    #[serde(default)]
    model_id: String,
    #[serde(default)]
    dataset_name: String,
    #[serde(default)]
    dataset_digest: String,
}

impl PlainMetric {
    fn into_batch(self) -> BatchMetric {
        let Self { key, value, timestamp, step, model_id, dataset_name, dataset_digest } = self;
        BatchMetric { key, value, timestamp, step, model_id, dataset_name, dataset_digest }
    }
}

/// Log metrics, params and tags at once
#[utoipa::path(post, path = "/2.0/mlflow/runs/log-batch", tag = "runs", request_body = LogBatch,
    responses((status = 200, body = Empty), (status = 400, body = ErrorBody)))]
async fn log_batch(State(service): State<Service>, Request(request): Request<LogBatch>) -> Reply<Empty> {
    let metric = |sent: BatchMetric| Metric {
        key: sent.key,
        value: sent.value.0,
        timestamp: sent.timestamp.0,
        step: sent.step.0,
        model_id: given(sent.model_id),
        dataset_name: given(sent.dataset_name),
        dataset_digest: given(sent.dataset_digest),
    };
    let batch = Batch {
        metrics: request.metrics.into_iter().map(metric).collect(),
        params: KeyValue::pairs(request.params),
        tags: KeyValue::pairs(request.tags),
    };
    let mut session = service.db().write().await?;
    batch::log(&mut session, &request.run_id, batch, service.options().truncate_long_values).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::json::{fields_of_body, read_message};

    #[test]
    fn the_straight_way_gives_what_the_general_one_gives() {
        let metric = r#"{"key": "m", "value": "NaN", "timestamp": "5", "step": 2}"#;
        for (body, straight) in [
            (
                format!(
                    r#"{{"run_id": "r", "metrics": [{metric}], "params": [{{"key": "p", "value": "1"}}]}}"#
                ),
                true,
            ),
            (r#"{"run_id": "r", "tags": [{"key": "t", "value": ""}]}"#.to_owned(), true),
            (format!(r#"{{"runId": "r", "metrics": [{metric}]}}"#), false),
            (r#"{"run_id": "r", "metrics": null, "news": 1}"#.to_owned(), false),
            (r#"{"run_id": "r", "metrics": [{"key": "m", "value": 1}]}"#.to_owned(), false),
            (r#"{"run_id": "", "tags": []}"#.to_owned(), false),
            (r#"{"run_id": "r", "tags": [{"key": "", "value": "v"}]}"#.to_owned(), false),
        ] {
            let shown = |batch: LogBatch| format!("{batch:?}");
            let general = fields_of_body(body.as_bytes(), &[]).and_then(read_message::<LogBatch>);
            match LogBatch::straight(body.as_bytes()) {
                Some(batch) => assert_eq!(shown(batch), shown(general.unwrap()), "{body}"),
                None => assert!(!straight, "{body}"),
            }
        }
    }
}
