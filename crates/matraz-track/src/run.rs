//! Runs: one execution each, with params, metrics, tags and inputs.

use std::collections::HashMap;

use crate::dataset::DatasetInput;
use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::experiment::{self, ACTIVE, Experiment};
use crate::metric::Metric;
use crate::search::page;
use crate::search::runs::{Lookup, RunSearch};
use crate::service::new_id;
use crate::{run_name, tag};

/// The tag that mirrors the name of a run.
pub const RUN_NAME_TAG: &str = "mlflow.runName";

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Under way.
    Running,
    /// Planned.
    Scheduled,
    /// Ended well.
    Finished,
    /// Ended badly.
    Failed,
    /// Ended by someone.
    Killed,
}

impl Status {
    /// Every status with its number on the wire, from 1.
    pub const ALL: [Self; 5] = [Self::Running, Self::Scheduled, Self::Finished, Self::Failed, Self::Killed];

    /// The name in the store and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Scheduled => "SCHEDULED",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
        }
    }

    /// The status with this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// The row of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunInfo {
    /// 32 hexadecimal digits.
    pub id: String,
    /// The number of its experiment.
    pub experiment_id: i64,
    /// For people; not unique.
    pub name: String,
    /// Who started it.
    pub user_id: String,
    /// How far it is.
    pub status: Status,
    /// Milliseconds since 1970.
    pub start_time: Option<i64>,
    /// Milliseconds since 1970.
    pub end_time: Option<i64>,
    /// Where its artifacts are.
    pub artifact_uri: String,
    /// `active` or `deleted`.
    pub lifecycle_stage: String,
}

/// A model that a run made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelOutput {
    /// The logged model.
    pub model_id: String,
    /// The step at which it was made.
    pub step: i64,
}

/// A run with everything that belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The row.
    pub info: RunInfo,
    /// The latest value of every metric, in the order of the keys.
    pub metrics: Vec<Metric>,
    /// In the order of the keys.
    pub params: Vec<(String, String)>,
    /// In the order of the keys.
    pub tags: Vec<(String, String)>,
    /// Data sets that it read.
    pub datasets: Vec<DatasetInput>,
    /// Ids of the logged models that it read.
    pub model_inputs: Vec<String>,
    /// Logged models that it made.
    pub model_outputs: Vec<ModelOutput>,
}

/// What a new run is made from.
#[derive(Clone, Debug, Default)]
pub struct NewRun {
    /// The decimal id of an active experiment.
    pub experiment_id: String,
    /// The name; without one the tag `mlflow.runName` counts, or a random name is made.
    pub name: String,
    /// Who starts it.
    pub user_id: String,
    /// Milliseconds since 1970.
    pub start_time: i64,
    /// Keys with values; of a repeated key the last counts.
    pub tags: Vec<(String, String)>,
}

/// Makes a run. Too long tag values are cut when `truncate` is set. One that a spool delivers keeps the id that the spool
/// gave it, and is made once however often it is sent.
pub async fn create(session: &mut Session, new: NewRun, truncate: bool) -> Result<Run> {
    let experiment = experiment::find(session, &new.experiment_id).await?;
    experiment::check_active(&experiment)?;
    let named_by_tag = new.tags.iter().rfind(|(key, _)| key == RUN_NAME_TAG).map(|(_, value)| value.clone());
    let named_by_tag = named_by_tag.filter(|name| !name.is_empty());
    if let Some(by_tag) = &named_by_tag
        && !new.name.is_empty()
        && *by_tag != new.name
    {
        return Err(Error::invalid(format!(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values \
             (run_name='{}', mlflow.runName='{by_tag}').",
            new.name
        )));
    }
    let name = match (new.name.is_empty(), named_by_tag) {
        (false, _) => new.name,
        (true, Some(by_tag)) => by_tag,
        (true, None) => run_name::random()?,
    };
    let mut tags: Vec<(String, String)> = Vec::with_capacity(new.tags.len() + 1);
    for (key, value) in new.tags.into_iter().chain([(RUN_NAME_TAG.to_owned(), name.clone())]) {
        let value = tag::check_lengths(&key, value, truncate)?;
        tags.retain(|(known, _)| *known != key);
        tags.push((key, value));
    }
    tags.sort();
    let id = match spooled_id(&tags) {
        None => new_id()?,
        Some(id) => match db::run::by_id(session, id).await? {
            None => id.to_owned(),
            // The same call once more: its first answer was lost.
            Some(known) if known.experiment_id == experiment.id => return get(session, &known.id).await,
            Some(_) => new_id()?,
        },
    };
    let info = RunInfo {
        artifact_uri: artifact_uri(&experiment, &id),
        id,
        experiment_id: experiment.id,
        name,
        user_id: new.user_id,
        status: Status::Running,
        start_time: Some(new.start_time),
        end_time: None,
        lifecycle_stage: ACTIVE.to_owned(),
    };
    db::run::insert(session, &info).await?;
    db::tag::set_all(session, &info.id, &tags).await?;
    Ok(Run {
        info,
        tags,
        metrics: Vec::new(),
        params: Vec::new(),
        datasets: Vec::new(),
        model_inputs: Vec::new(),
        model_outputs: Vec::new(),
    })
}

/// The id that a spool gave to what it makes here.
pub(crate) fn spooled_id(tags: &[(String, String)]) -> Option<&str> {
    let (_, id) = tags.iter().find(|(key, _)| key == crate::spool::TAG)?;
    let is_id = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then_some(id)
}

/// `<location of the experiment>/<run>/artifacts`.
fn artifact_uri(experiment: &Experiment, id: &str) -> String {
    format!("{}/{id}/artifacts", experiment.artifact_location.as_deref().unwrap_or("").trim_end_matches('/'))
}

/// The row of a run in any stage.
pub async fn find(session: &mut Session, id: &str) -> Result<RunInfo> {
    match db::run::by_id(session, id).await? {
        Some(info) => Ok(info),
        None => Err(missing(id)),
    }
}

/// The row of a run in any stage, which is going to be changed.
async fn find_to_change(session: &mut Session, id: &str) -> Result<RunInfo> {
    match db::run::by_id_to_change(session, id).await? {
        Some(info) => Ok(info),
        None => Err(missing(id)),
    }
}

/// The row of a run that may be written to.
pub async fn find_active(session: &mut Session, id: &str) -> Result<RunInfo> {
    let info = find(session, id).await?;
    check_active(&info).map(|()| info)
}

/// The row of a run that may be written to, and is going to be changed or stands for what is read and written back.
pub(crate) async fn find_active_to_change(session: &mut Session, id: &str) -> Result<RunInfo> {
    let info = find_to_change(session, id).await?;
    check_active(&info).map(|()| info)
}

fn missing(id: &str) -> Error {
    Error::missing(format!("Run with id={id} not found"))
}

fn check_active(info: &RunInfo) -> Result<()> {
    if info.lifecycle_stage != ACTIVE {
        return Err(Error::invalid(format!(
            "The run {} must be in the 'active' state. Current state is {}.",
            info.id, info.lifecycle_stage
        )));
    }
    Ok(())
}

/// Checks the form of a run's id before it is looked up.
pub(crate) fn check_id(id: &str) -> Result<()> {
    let good = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    if id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id.chars().all(good)
        && id.chars().count() <= 256
    {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "Invalid value {} for parameter 'run_id' supplied.",
        serde_json::Value::from(id)
    )))
}

/// A run with everything that belongs to it.
pub async fn get(session: &mut Session, id: &str) -> Result<Run> {
    let info = find(session, id).await?;
    let mut runs = with_data(session, vec![info]).await?;
    let mut run = runs.pop().ok_or_else(|| Error::Bug("a run got lost".to_owned()))?;
    run.model_inputs = db::dataset::model_inputs(session, id).await?;
    Ok(run)
}

/// Changes of a run; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct RunUpdate {
    /// How far it is.
    pub status: Option<Status>,
    /// Milliseconds since 1970.
    pub end_time: Option<i64>,
    /// A new name; an empty one changes nothing.
    pub name: Option<String>,
}

/// Changes an active run.
pub async fn update(session: &mut Session, id: &str, update: &RunUpdate) -> Result<RunInfo> {
    let mut info = find_active_to_change(session, id).await?;
    info.status = update.status.unwrap_or(info.status);
    info.end_time = update.end_time.or(info.end_time);
    if let Some(name) = update.name.as_ref().filter(|name| !name.is_empty()) {
        info.name.clone_from(name);
        db::tag::set(session, id, RUN_NAME_TAG, name).await?;
    }
    db::run::update(session, &info).await?;
    Ok(info)
}

/// Marks a run as deleted. Doing it again only moves the time.
pub async fn delete(session: &mut Session, id: &str, now: i64) -> Result<()> {
    find_to_change(session, id).await?;
    db::run::mark_deleted(session, id, now).await
}

/// Takes the mark away.
pub async fn restore(session: &mut Session, id: &str) -> Result<()> {
    find_to_change(session, id).await?;
    db::run::mark_active(session, id).await
}

/// A page of runs and the token of the next one.
pub async fn search(session: &mut Session, search: &RunSearch) -> Result<(Vec<Run>, Option<String>)> {
    if search.experiments.is_empty() || search.stages.is_empty() {
        return Ok((Vec::new(), None));
    }
    let most = !search.filter.is_empty() && db::run::hold_most(session, &search.experiments).await?;
    let lookup = if most { Lookup::AllOfKey } else { Lookup::EachRun };
    let one_more = RunSearch { limit: search.limit + 1, ..search.clone() };
    let mut ids = db::run::search(session, one_more.statement(lookup)?).await?;
    let next = page::cut(&mut ids, search.offset, search.limit);
    let mut rows: HashMap<String, RunInfo> =
        db::run::by_ids(session, &ids).await?.into_iter().map(|info| (info.id.clone(), info)).collect();
    let infos: Vec<RunInfo> = ids.iter().filter_map(|id| rows.remove(id)).collect();
    Ok((with_data(session, infos).await?, next))
}

/// Reads what belongs to runs, for all of them at once.
async fn with_data(session: &mut Session, infos: Vec<RunInfo>) -> Result<Vec<Run>> {
    let ids: Vec<String> = infos.iter().map(|info| info.id.clone()).collect();
    let mut metrics = db::metric::latest(session, &ids).await?;
    let mut params = db::param::of_runs(session, &ids).await?;
    let mut tags = db::tag::of_runs(session, &ids).await?;
    let mut datasets = db::dataset::of_runs(session, &ids).await?;
    let mut outputs = db::dataset::model_outputs(session, &ids).await?;
    let assembled = infos.into_iter().map(|info| Run {
        metrics: metrics.remove(&info.id).unwrap_or_default(),
        params: params.remove(&info.id).unwrap_or_default(),
        tags: tags.remove(&info.id).unwrap_or_default(),
        datasets: datasets.remove(&info.id).unwrap_or_default(),
        model_inputs: Vec::new(),
        model_outputs: outputs.remove(&info.id).unwrap_or_default(),
        info,
    });
    Ok(assembled.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_a_form() {
        for (id, good) in [
            ("0a1b", true),
            ("a-b_c", true),
            ("", false),
            ("-a", false),
            ("a/b", false),
            (&"a".repeat(257), false),
        ] {
            assert_eq!(check_id(id).is_ok(), good, "{id}");
        }
    }
}
