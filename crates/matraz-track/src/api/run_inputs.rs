//! `/2.0/mlflow/runs/log-inputs` and `/2.0/mlflow/experiments/search-datasets`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Empty, KeyValue, Reply};
use super::runs::ModelInput;
use super::{Answer, Message, Request};
use crate::service::Service;
use crate::{dataset, experiment};

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(log_inputs)).routes(routes!(search_datasets))
}

/// A data set that a run read.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct DatasetInput {
    /// `mlflow.data.context` says what it was used for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<KeyValue>,
    dataset: Dataset,
}

/// A data set.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Dataset {
    /// At most 500 characters.
    name: String,
    /// At most 36 characters.
    digest: String,
    source_type: String,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
}

impl From<dataset::DatasetInput> for DatasetInput {
    fn from(stored: dataset::DatasetInput) -> Self {
        let dataset::Dataset { name, digest, source_type, source, schema, profile } = stored.dataset;
        Self {
            tags: KeyValue::list(stored.tags),
            dataset: Dataset { name, digest, source_type, source, schema, profile },
        }
    }
}

impl From<DatasetInput> for dataset::DatasetInput {
    fn from(sent: DatasetInput) -> Self {
        let Dataset { name, digest, source_type, source, schema, profile } = sent.dataset;
        Self {
            tags: KeyValue::pairs(sent.tags),
            dataset: dataset::Dataset { name, digest, source_type, source, schema, profile },
        }
    }
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct LogInputs {
    run_id: String,
    datasets: Vec<DatasetInput>,
    models: Vec<ModelInput>,
}

impl Message for LogInputs {
    const REQUIRED: &'static [&'static str] = &[
        "run_id",
        "datasets[].dataset.name",
        "datasets[].dataset.digest",
        "datasets[].dataset.source_type",
        "datasets[].dataset.source",
        "models[].model_id",
    ];
}

/// Log what a run read
#[utoipa::path(post, path = "/2.0/mlflow/runs/log-inputs", tag = "runs", request_body = LogInputs,
    responses((status = 200, body = Empty), (status = 400, body = ErrorBody)))]
async fn log_inputs(State(service): State<Service>, Request(request): Request<LogInputs>) -> Reply<Empty> {
    let inputs: Vec<dataset::DatasetInput> = request.datasets.into_iter().map(Into::into).collect();
    let models: Vec<String> = request.models.into_iter().map(|model| model.model_id).collect();
    let mut session = service.db().write().await?;
    dataset::log_inputs(&mut session, &request.run_id, &inputs, &models).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(super) struct SearchDatasets {
    /// From 1 to 20.
    experiment_ids: Vec<String>,
}

impl Message for SearchDatasets {}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct FoundDatasets {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dataset_summaries: Vec<DatasetSummary>,
}

/// A data set of an experiment with one context in which it was used.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct DatasetSummary {
    experiment_id: String,
    name: String,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<String>,
}

/// List the data sets of experiments
#[utoipa::path(post, path = "/2.0/mlflow/experiments/search-datasets", tag = "experiments", request_body = SearchDatasets,
    responses((status = 200, body = FoundDatasets), (status = 400, body = ErrorBody)))]
pub(super) async fn search_datasets(
    State(service): State<Service>,
    Request(request): Request<SearchDatasets>,
) -> Reply<FoundDatasets> {
    let experiments = experiment::parse_ids(&request.experiment_ids)?;
    let summaries = dataset::summaries(&mut service.db().read().await?, &experiments).await?;
    let summary = |stored: dataset::DatasetSummary| DatasetSummary {
        experiment_id: stored.experiment_id.to_string(),
        name: stored.name,
        digest: stored.digest,
        context: stored.context,
    };
    Ok(Answer(FoundDatasets { dataset_summaries: summaries.into_iter().map(summary).collect() }))
}
