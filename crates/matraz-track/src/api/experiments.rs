//! `/2.0/mlflow/experiments`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::json::{KeyValue, Reply};
use super::{Answer, Message, Request};
use crate::experiment;
use crate::service::Service;

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(get))
}

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
            tags: stored.tags.into_iter().map(|(key, value)| KeyValue { key, value }).collect(),
            workspace: "default",
        }
    }
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
struct GetExperiment {
    experiment_id: String,
}

impl Message for GetExperiment {
    const REQUIRED: &'static [&'static str] = &["experiment_id"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ExperimentAnswer {
    experiment: Experiment,
}

/// Get an experiment
#[utoipa::path(get, path = "/2.0/mlflow/experiments/get", tag = "experiments", params(GetExperiment),
    responses((status = 200, body = ExperimentAnswer), (status = 404, body = super::error::ErrorBody)))]
async fn get(
    State(service): State<Service>,
    Request(request): Request<GetExperiment>,
) -> Reply<ExperimentAnswer> {
    let mut session = service.db().read().await?;
    let found = experiment::find(&mut session, &request.experiment_id).await?;
    Ok(Answer(ExperimentAnswer { experiment: found.into() }))
}
