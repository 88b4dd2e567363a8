//! `/3.0/mlflow/scorers`: what judges the traces of an experiment, as JSON texts.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Double, Empty, Int64, Reply};
use super::{Answer, Message, Request};
use crate::auth::{self, Caller};
use crate::error::Error;
use crate::scorer::{self, ScorerVersion};
use crate::service::{Service, now_ms};

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(list))
        .routes(routes!(versions))
        .routes(routes!(get))
        .routes(routes!(delete))
        .routes(routes!(set_online_config))
        .routes(routes!(online_configs))
}

/// A version of a scorer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Scorer {
    experiment_id: i64,
    scorer_name: String,
    scorer_version: i64,
    /// JSON text.
    serialized_scorer: String,
    /// Milliseconds since 1970.
    creation_time: i64,
    scorer_id: String,
}

impl From<ScorerVersion> for Scorer {
    fn from(stored: ScorerVersion) -> Self {
        Self {
            experiment_id: stored.experiment_id,
            scorer_name: stored.name,
            scorer_version: stored.version,
            serialized_scorer: stored.serialized,
            creation_time: stored.created,
            scorer_id: stored.scorer_id,
        }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ScorersAnswer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scorers: Vec<Scorer>,
}

impl ScorersAnswer {
    fn of(found: Vec<ScorerVersion>) -> Answer<Self> {
        Answer(Self { scorers: found.into_iter().map(Scorer::from).collect() })
    }
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct RegisterScorer {
    experiment_id: String,
    name: String,
    /// JSON text.
    serialized_scorer: String,
}

impl Message for RegisterScorer {
    const REQUIRED: &'static [&'static str] = &["experiment_id", "name", "serialized_scorer"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RegisterScorerAnswer {
    version: i64,
    scorer_id: String,
    experiment_id: String,
    name: String,
    serialized_scorer: String,
    creation_time: i64,
}

/// Register a scorer, or a new version of it
#[utoipa::path(post, path = "/3.0/mlflow/scorers/register", tag = "scorers", request_body = RegisterScorer,
    responses((status = 200, body = RegisterScorerAnswer), (status = 400, body = ErrorBody)))]
async fn register(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<RegisterScorer>,
) -> Reply<RegisterScorerAnswer> {
    let RegisterScorer { experiment_id, name, serialized_scorer } = request;
    let mut session = service.write_as(&caller).await?;
    let made = scorer::register(&mut session, &experiment_id, &name, &serialized_scorer, now_ms()).await?;
    if made.version == 1 {
        let known_as = scorer::grant_name(&made.experiment_id.to_string(), &made.name);
        auth::creator_manages(&mut session, &caller, "scorer", &known_as).await?;
    }
    session.commit().await?;
    Ok(Answer(RegisterScorerAnswer {
        version: made.version,
        scorer_id: made.scorer_id,
        experiment_id: made.experiment_id.to_string(),
        name: made.name,
        serialized_scorer: made.serialized,
        creation_time: made.created,
    }))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ListScorers {
    experiment_id: String,
    /// Instead of `experiment_id`; without either those of all experiments are listed.
    experiment_ids: Option<Vec<String>>,
}

impl Message for ListScorers {}

/// List the newest versions of scorers
#[utoipa::path(get, path = "/3.0/mlflow/scorers/list", tag = "scorers", params(ListScorers),
    responses((status = 200, body = ScorersAnswer), (status = 400, body = ErrorBody)))]
async fn list(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<ListScorers>,
) -> Reply<ScorersAnswer> {
    if !request.experiment_id.is_empty() && request.experiment_ids.is_some() {
        return Err(Error::invalid(
            "Cannot specify both 'experiment_id' and 'experiment_ids'. Use 'experiment_ids' to scope the query to multiple \
             experiments, or 'experiment_id' to scope it to a single experiment.",
        ));
    }
    let mut session = service.db().read().await?;
    let mut found = if request.experiment_id.is_empty() {
        scorer::list_of(&mut session, request.experiment_ids.as_deref()).await?
    } else {
        scorer::list(&mut session, &request.experiment_id).await?
    };
    let (experiments, scorers) = (caller.readable("experiment"), caller.readable("scorer"));
    found.retain(|scorer| {
        let experiment = scorer.experiment_id.to_string();
        experiments.contains(&experiment)
            && scorers.contains(&scorer::grant_name(&experiment, &scorer.name))
            && caller.sees_in_experiment("scorer_version", &experiment)
    });
    Ok(ScorersAnswer::of(found))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams, utoipa::ToSchema)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct NamedScorer {
    experiment_id: String,
    name: String,
    /// The newest to get, all to delete.
    version: Option<Int64>,
}

impl Message for NamedScorer {
    const REQUIRED: &'static [&'static str] = &["experiment_id", "name"];
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ScorerVersions {
    experiment_id: String,
    name: String,
}

impl Message for ScorerVersions {
    const REQUIRED: &'static [&'static str] = &["experiment_id", "name"];
}

/// List the versions of a scorer
#[utoipa::path(get, path = "/3.0/mlflow/scorers/versions", tag = "scorers", params(ScorerVersions),
    responses((status = 200, body = ScorersAnswer), (status = 404, body = ErrorBody)))]
async fn versions(
    State(service): State<Service>,
    Request(request): Request<ScorerVersions>,
) -> Reply<ScorersAnswer> {
    let mut session = service.db().read().await?;
    Ok(ScorersAnswer::of(scorer::versions(&mut session, &request.experiment_id, &request.name).await?))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ScorerAnswer {
    scorer: Scorer,
}

/// Get a version of a scorer
#[utoipa::path(get, path = "/3.0/mlflow/scorers/get", tag = "scorers", params(NamedScorer),
    responses((status = 200, body = ScorerAnswer), (status = 404, body = ErrorBody)))]
async fn get(State(service): State<Service>, Request(request): Request<NamedScorer>) -> Reply<ScorerAnswer> {
    let version = request.version.map(i64::from);
    let mut session = service.db().read().await?;
    let found = scorer::get(&mut session, &request.experiment_id, &request.name, version).await?;
    Ok(Answer(ScorerAnswer { scorer: found.into() }))
}

/// Delete a version of a scorer, or the scorer
#[utoipa::path(delete, path = "/3.0/mlflow/scorers/delete", tag = "scorers", request_body = NamedScorer,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn delete(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<NamedScorer>,
) -> Reply<Empty> {
    let version = request.version.map(i64::from);
    let mut session = service.write_as(&caller).await?;
    scorer::delete(&mut session, &request.experiment_id, &request.name, version).await?;
    if version.is_none() {
        let known_as = scorer::grant_name(&request.experiment_id, &request.name);
        auth::forget_thing(&mut session, &caller, &["scorer"], &known_as).await?;
    }
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct SetOnlineConfig {
    experiment_id: String,
    name: String,
    /// From 0 to 1.
    sample_rate: Double,
    /// A filter over traces.
    filter_string: Option<String>,
}

impl Message for SetOnlineConfig {
    const REQUIRED: &'static [&'static str] = &["experiment_id", "name", "sample_rate"];
}

/// How new traces are judged by a scorer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct OnlineConfig {
    online_scoring_config_id: String,
    scorer_id: String,
    sample_rate: f64,
    experiment_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_string: Option<String>,
}

impl From<scorer::OnlineConfig> for OnlineConfig {
    fn from(stored: scorer::OnlineConfig) -> Self {
        Self {
            online_scoring_config_id: stored.id,
            scorer_id: stored.scorer_id,
            sample_rate: stored.sample_rate,
            experiment_id: stored.experiment_id.to_string(),
            filter_string: stored.filter,
        }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct OnlineConfigAnswer {
    config: OnlineConfig,
}

/// Say which new traces a scorer is to judge
#[utoipa::path(put, path = "/3.0/mlflow/scorers/online-config", tag = "scorers", request_body = SetOnlineConfig,
    responses((status = 200, body = OnlineConfigAnswer), (status = 400, body = ErrorBody)))]
async fn set_online_config(
    State(service): State<Service>,
    Request(request): Request<SetOnlineConfig>,
) -> Reply<OnlineConfigAnswer> {
    let SetOnlineConfig { experiment_id, name, sample_rate, filter_string } = request;
    let mut session = service.db().write().await?;
    let filter = filter_string.as_deref();
    let config =
        scorer::set_online_config(&mut session, &experiment_id, &name, sample_rate.0, filter).await?;
    session.commit().await?;
    Ok(Answer(OnlineConfigAnswer { config: config.into() }))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct GetOnlineConfigs {
    scorer_ids: Vec<String>,
}

impl Message for GetOnlineConfigs {
    const REQUIRED: &'static [&'static str] = &["scorer_ids"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct OnlineConfigsAnswer {
    configs: Vec<OnlineConfig>,
}

/// Which new traces scorers judge
#[utoipa::path(get, path = "/3.0/mlflow/scorers/online-configs", tag = "scorers", params(GetOnlineConfigs),
    responses((status = 200, body = OnlineConfigsAnswer), (status = 400, body = ErrorBody)))]
async fn online_configs(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<GetOnlineConfigs>,
) -> Reply<OnlineConfigsAnswer> {
    let mut session = service.db().read().await?;
    let found = scorer::online_configs(&mut session, &request.scorer_ids).await?;
    let seen = found
        .into_iter()
        .filter(|config| caller.sees_in_experiment("scorer_version", &config.experiment_id.to_string()));
    Ok(Answer(OnlineConfigsAnswer { configs: seen.map(OnlineConfig::from).collect() }))
}
