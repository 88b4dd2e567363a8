//! The local store of a spool: it answers clients while the server is away.
//!
//! It holds what was logged while the server was away and, as far as it passed by, what the server knows; of anything else
//! that a client names it makes an empty stand-in, so that a training goes on.

use std::path::Path;

use serde_json::Value as Json;

use crate::db::{self, StoreUri};
use crate::error::Result;
use crate::experiment::ACTIVE;
use crate::logged_model::{self, LoggedModel};
use crate::run::{RunInfo, Status};
use crate::service::{Service, ServiceOptions, now_ms};

/// The name of the database in the folder of the spool.
pub(super) const DATABASE: &str = "local.db";
/// The folder of the artifacts in the folder of the spool.
pub(super) const ARTIFACTS: &str = "artifacts";

/// Opens the store, or makes it.
pub(super) async fn open(dir: &Path) -> Result<Service> {
    let database = dir.join(DATABASE);
    let is_new = !database.exists();
    let service = Service::open(ServiceOptions::new(StoreUri::Sqlite(database), dir.join(ARTIFACTS))).await?;
    if is_new {
        // Experiments count on from here: no id of the spool is one of the server's, nor anything else in a text.
        let mut bytes = [0_u8; 8];
        getrandom::fill(&mut bytes)
            .map_err(|error| crate::Error::Bug(format!("no random numbers: {error}")))?;
        let first = 100_000_000_000_000_000 + i64::from_le_bytes(bytes).rem_euclid(800_000_000_000_000_000);
        let mut session = service.db().write().await?;
        let name = "the first number of the spool";
        db::experiment::insert(&mut session, Some(first), name, None, now_ms()).await?;
        db::experiment::set_stage(&mut session, first, crate::experiment::DELETED, now_ms()).await?;
        session.commit().await?;
    }
    Ok(service)
}

fn text<'j>(value: &'j Json, key: &str) -> Option<&'j str> {
    value.get(key).and_then(Json::as_str).filter(|text| !text.is_empty())
}

/// Keeps what an answer of the server tells about an experiment, a run or a logged model.
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
    Ok(())
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
    let tags = run.and_then(|run| run.pointer("/data/tags")).and_then(Json::as_array).into_iter().flatten();
    let tags: Vec<(String, String)> =
        tags.filter_map(|tag| Some((text(tag, "key")?.to_owned(), text(tag, "value")?.to_owned()))).collect();
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
