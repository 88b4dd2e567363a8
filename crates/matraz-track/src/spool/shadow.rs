//! The local store of a spool: it answers clients while the server is away.
//!
//! It holds what was logged while the server was away and, as far as it passed by, what the server knows; of anything else
//! that a client names it makes an empty stand-in, so that a training goes on.

use std::path::Path;

use serde_json::Value as Json;

use super::calls::Call;
use crate::db::{self, StoreUri};
use crate::error::Result;
use crate::experiment::ACTIVE;
use crate::logged_model::{self, LoggedModel};
use crate::model_source::ModelUri;
use crate::model_version::{ModelVersion, Stage};
use crate::registered_model;
use crate::run::{RunInfo, Status};
use crate::service::{Service, ServiceOptions, now_ms};

/// The name of the database in the folder of the spool.
pub(super) const DATABASE: &str = "local.db";
/// The folder of the artifacts in the folder of the spool.
pub(super) const ARTIFACTS: &str = "artifacts";

/// The least number with as many digits as those of the spool.
const FIRST: i64 = 100_000_000_000_000_000;

/// Opens the store, or makes it.
pub(super) async fn open(dir: &Path) -> Result<Service> {
    let database = dir.join(DATABASE);
    let is_new = !database.exists();
    let service = Service::open(ServiceOptions::new(StoreUri::Sqlite(database), dir.join(ARTIFACTS))).await?;
    if is_new {
        // Experiments count on from here.
        let first = first_number()?;
        let mut session = service.db().write().await?;
        let name = "the first number of the spool";
        db::experiment::insert(&mut session, Some(first), name, None, now_ms()).await?;
        db::experiment::set_stage(&mut session, first, crate::experiment::DELETED, now_ms()).await?;
        session.commit().await?;
    }
    Ok(service)
}

/// A number of so many digits that nothing counted on from it is one of the server's, nor anything else in a text.
fn first_number() -> Result<i64> {
    let mut bytes = [0_u8; 8];
    getrandom::fill(&mut bytes).map_err(|error| crate::Error::Bug(format!("no random numbers: {error}")))?;
    Ok(FIRST + i64::from_le_bytes(bytes).rem_euclid(8 * FIRST))
}

fn text<'j>(value: &'j Json, key: &str) -> Option<&'j str> {
    value.get(key).and_then(Json::as_str).filter(|text| !text.is_empty())
}

/// Keeps what an answer of the server tells about an experiment, a run, a logged model or the registry.
pub(super) async fn remember(service: &Service, answer: &Json) -> Result<()> {
    if let Some(experiment) = answer.get("experiment")
        && let Some(id) = text(experiment, "experiment_id")
    {
        experiment_is_there(service, id, text(experiment, "name")).await?;
    }
    if let Some(run) = answer.get("run")
        && let Some(id) = run.pointer("/info/run_id").and_then(Json::as_str)
    {
        run_is_there(service, id, Some(run)).await?;
    }
    if let Some(model) = answer.get("model")
        && let Some(id) = model.pointer("/info/model_id").and_then(Json::as_str)
    {
        model_is_there(service, id, model.get("info")).await?;
    }
    if let Some(model) = answer.get("registered_model")
        && let Some(name) = text(model, "name")
    {
        registered_model_is_there(service, name, Some(model)).await?;
    }
    if let Some(version) = answer.get("model_version")
        && let Some(name) = text(version, "name")
        && let Some(number) = text(version, "version")
    {
        version_is_there(service, name, number, Some(version)).await?;
    }
    Ok(())
}

/// Makes stand-ins for what a call that changes the registry names.
pub(super) async fn make_room_in_registry(
    service: &Service,
    call: Call,
    path: &str,
    body: &Json,
) -> Result<()> {
    let in_registry = path.contains("/registered-models/") || path.contains("/model-versions/");
    let Some(name) = text(body, "name").filter(|_| in_registry && call != Call::CreateRegisteredModel) else {
        return Ok(());
    };
    registered_model_is_there(service, name, None).await?;
    if call != Call::CreateVersion {
        return match text(body, "version") {
            Some(number) => version_is_there(service, name, number, None).await,
            None => Ok(()),
        };
    }
    // A version that is copied.
    if let Some(ModelUri::Version(name, number)) = text(body, "source").and_then(ModelUri::parse) {
        version_is_there(service, &name, &number, None).await?;
    }
    let mut session = service.db().write().await?;
    if db::model_version::highest(&mut session, name).await? < FIRST {
        // Versions count on from here.
        let first = ModelVersion {
            name: name.to_owned(),
            version: first_number()?,
            current_stage: db::model_version::DELETED.to_owned(),
            ..ModelVersion::default()
        };
        db::model_version::insert(&mut session, &first).await?;
    }
    session.commit().await
}

/// Makes stand-ins for what a call names.
pub(super) async fn make_room(service: &Service, path: &str, body: &Json) -> Result<()> {
    let mut experiments: Vec<&str> = text(body, "experiment_id").into_iter().collect();
    experiments.extend(
        body.get("experiment_ids").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str),
    );
    for id in experiments {
        experiment_is_there(service, id, None).await?;
    }
    if let Some(id) = text(body, "run_id").or_else(|| text(body, "run_uuid")) {
        run_is_there(service, id, None).await?;
    }
    let model = path.split("/logged-models/").nth(1).and_then(|rest| rest.split('/').next());
    if let Some(id) = model.filter(|id| id.starts_with("m-")) {
        model_is_there(service, id, None).await?;
    }
    Ok(())
}

async fn experiment_is_there(service: &Service, id: &str, name: Option<&str>) -> Result<()> {
    let Ok(number) = id.trim().parse::<i64>() else { return Ok(()) };
    if db::experiment::by_id(&mut service.db().read().await?, number).await?.is_some() {
        return Ok(());
    }
    let mut session = service.db().write().await?;
    let location = format!("mlflow-artifacts:/{number}");
    let stand_in = format!("experiment {number} of the server");
    for name in [name.unwrap_or(&stand_in), &stand_in] {
        let made =
            db::experiment::insert(&mut session, Some(number), name, Some(&location), now_ms()).await?;
        if made.is_some() {
            break;
        }
    }
    session.commit().await
}

async fn run_is_there(service: &Service, id: &str, run: Option<&Json>) -> Result<()> {
    let fits =
        (1..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !fits || db::run::by_id(&mut service.db().read().await?, id).await?.is_some() {
        return Ok(());
    }
    let info = run.and_then(|run| run.get("info")).cloned().unwrap_or_default();
    let experiment = text(&info, "experiment_id").unwrap_or("0");
    experiment_is_there(service, experiment, None).await?;
    let number = experiment.parse().unwrap_or(0);
    let row = RunInfo {
        id: id.to_owned(),
        experiment_id: number,
        name: text(&info, "run_name").unwrap_or(id).to_owned(),
        user_id: text(&info, "user_id").unwrap_or_default().to_owned(),
        status: text(&info, "status").and_then(Status::by_name).unwrap_or(Status::Running),
        start_time: info.get("start_time").and_then(Json::as_i64),
        end_time: info.get("end_time").and_then(Json::as_i64),
        artifact_uri: text(&info, "artifact_uri")
            .map_or_else(|| format!("mlflow-artifacts:/{number}/{id}/artifacts"), str::to_owned),
        lifecycle_stage: ACTIVE.to_owned(),
    };
    let tags: Vec<(String, String)> = tags(run.and_then(|run| run.get("data")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let mut session = service.db().write().await?;
    if db::run::by_id(&mut session, id).await?.is_none() {
        db::run::insert(&mut session, &row).await?;
        db::tag::set_all(&mut session, id, &tags).await?;
    }
    session.commit().await
}

async fn model_is_there(service: &Service, id: &str, info: Option<&Json>) -> Result<()> {
    if db::logged_model::by_id(&mut service.db().read().await?, id).await?.is_some() {
        return Ok(());
    }
    let nothing = Json::Null;
    let info = info.unwrap_or(&nothing);
    let experiment = text(info, "experiment_id").unwrap_or("0");
    experiment_is_there(service, experiment, None).await?;
    let number = experiment.parse().unwrap_or(0);
    let model = LoggedModel {
        model_id: id.to_owned(),
        experiment_id: number,
        name: text(info, "name").unwrap_or(id).to_owned(),
        artifact_location: text(info, "artifact_uri")
            .map_or_else(|| format!("mlflow-artifacts:/{number}/models/{id}/artifacts"), str::to_owned),
        creation_time: now_ms(),
        last_updated_time: now_ms(),
        status: logged_model::Status::Pending,
        lifecycle_stage: ACTIVE.to_owned(),
        model_type: text(info, "model_type").map(str::to_owned),
        source_run_id: text(info, "source_run_id").map(str::to_owned),
        status_message: None,
        tags: Vec::new(),
        params: Vec::new(),
        metrics: Vec::new(),
    };
    let mut session = service.db().write().await?;
    if db::logged_model::by_id(&mut session, id).await?.is_none() {
        db::logged_model::insert(&mut session, &model).await?;
    }
    session.commit().await
}

async fn registered_model_is_there(service: &Service, name: &str, model: Option<&Json>) -> Result<()> {
    if registered_model::check_name(name).is_err() {
        return Ok(());
    }
    let mut session = service.db().write().await?;
    let description = model.and_then(|model| text(model, "description")).unwrap_or_default();
    if db::registered_model::insert(&mut session, name, description, now_ms()).await? {
        for (key, value) in tags(model) {
            db::registered_model::set_tag(&mut session, name, key, value).await?;
        }
    }
    session.commit().await
}

async fn version_is_there(service: &Service, name: &str, number: &str, version: Option<&Json>) -> Result<()> {
    let Ok(parsed) = number.trim().parse::<i64>() else { return Ok(()) };
    registered_model_is_there(service, name, None).await?;
    let mut session = service.db().write().await?;
    if db::model_version::by_number(&mut session, name, parsed).await?.is_some() {
        return Ok(());
    }
    let nothing = Json::Null;
    let told = version.unwrap_or(&nothing);
    let owned = |key: &str| text(told, key).map(str::to_owned);
    let row = ModelVersion {
        name: name.to_owned(),
        version: parsed,
        creation_time: Some(now_ms()),
        last_updated_time: Some(now_ms()),
        description: owned("description"),
        current_stage: owned("current_stage").unwrap_or_else(|| Stage::None.name().to_owned()),
        source: owned("source"),
        run_id: owned("run_id"),
        run_link: owned("run_link"),
        status: Some(owned("status").unwrap_or_else(|| "READY".to_owned())),
        ..ModelVersion::default()
    };
    db::model_version::insert(&mut session, &row).await?;
    for (key, value) in tags(version) {
        db::model_version::set_tag(&mut session, name, parsed, key, value).await?;
    }
    session.commit().await
}

/// The tags that an answer tells of.
fn tags(told: Option<&Json>) -> impl Iterator<Item = (&str, &str)> {
    let tags = told.and_then(|told| told.get("tags")).and_then(Json::as_array).into_iter().flatten();
    tags.filter_map(|tag| {
        Some((text(tag, "key")?, tag.get("value").and_then(Json::as_str).unwrap_or_default()))
    })
}
