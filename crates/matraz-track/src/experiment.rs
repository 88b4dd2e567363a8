//! Experiments: named groups of runs.

use crate::db::{self, Session};
use crate::error::{Code, Error, Result};
use crate::name::{check_key, check_length};
use crate::search::experiments::ExperimentSearch;
use crate::search::page;
use crate::service::{Service, now_ms};

/// The lifecycle stage of what is in use.
pub const ACTIVE: &str = "active";
/// The lifecycle stage of what is marked as deleted, but still there.
pub const DELETED: &str = "deleted";

/// The longest name, in characters.
const MAX_NAME: usize = 500;
/// The longest artifact location, in characters.
const MAX_LOCATION: usize = 2048;
/// The longest key of a tag, in characters.
const MAX_TAG_KEY: usize = 250;
/// The longest value of a tag, in characters.
const MAX_TAG_VALUE: usize = 20_000;

/// An experiment as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// The number, from 0.
    pub id: i64,
    /// Unique among all, deleted ones too.
    pub name: String,
    /// Where artifacts of its runs go.
    pub artifact_location: Option<String>,
    /// `active` or `deleted`.
    pub lifecycle_stage: String,
    /// Milliseconds since 1970.
    pub creation_time: Option<i64>,
    /// Milliseconds since 1970.
    pub last_update_time: Option<i64>,
    /// In the order of their keys.
    pub tags: Vec<(String, String)>,
}

/// Which lifecycle stages are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Only what is in use.
    #[default]
    ActiveOnly,
    /// Only what is marked as deleted.
    DeletedOnly,
    /// Both.
    All,
}

impl View {
    /// The stages in the store.
    pub fn stages(self) -> Vec<&'static str> {
        match self {
            Self::ActiveOnly => vec![ACTIVE],
            Self::DeletedOnly => vec![DELETED],
            Self::All => vec![ACTIVE, DELETED],
        }
    }
}

/// Makes the experiment 0, `Default`, in a store without experiments.
pub(crate) async fn make_default(service: &Service) -> Result<()> {
    if service.db().is_read_only() || db::experiment::count(&mut service.db().read().await?).await? > 0 {
        return Ok(());
    }
    let mut session = service.db().write().await?;
    if db::experiment::count(&mut session).await? == 0 {
        let location = location_below(&service.options().artifact_root, 0);
        db::experiment::insert(&mut session, Some(0), "Default", Some(&location), now_ms()).await?;
    }
    session.commit().await
}

/// The artifact location of an experiment below a root.
pub(crate) fn location_below(root: &str, id: i64) -> String {
    format!("{}/{id}", root.trim_end_matches('/'))
}

/// Reads the decimal id of an experiment.
pub fn parse_id(id: &str) -> Result<i64> {
    id.trim().parse().map_err(|_| {
        Error::invalid(format!("Invalid experiment ID '{id}'. Experiment ID must be a valid integer."))
    })
}

/// Reads many ids.
pub fn parse_ids(ids: &[String]) -> Result<Vec<i64>> {
    ids.iter().map(|id| parse_id(id)).collect()
}

/// The experiment with this id, deleted or not, with its tags.
pub async fn find(session: &mut Session, id: &str) -> Result<Experiment> {
    let number = parse_id(id)?;
    db::experiment::by_id(session, number).await?.ok_or_else(|| missing(number))
}

/// The experiment with this id, which is going to be changed.
async fn find_to_change(session: &mut Session, id: &str) -> Result<Experiment> {
    let number = parse_id(id)?;
    match db::experiment::by_id_to_change(session, number).await? {
        Some(experiment) => Ok(experiment),
        None => Err(missing(number)),
    }
}

/// The experiment with this name, deleted or not, with its tags.
pub async fn find_by_name(session: &mut Session, name: &str) -> Result<Experiment> {
    match db::experiment::by_name(session, name).await? {
        Some(experiment) => Ok(experiment),
        None => Err(Error::missing(format!("Could not find experiment with name '{name}'"))),
    }
}

fn missing(id: i64) -> Error {
    Error::missing(format!("No Experiment with id={id} exists"))
}

/// Refuses an experiment that is deleted.
pub(crate) fn check_active(experiment: &Experiment) -> Result<()> {
    if experiment.lifecycle_stage == ACTIVE {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "The experiment {} must be in the 'active' state. Current state is {}.",
        experiment.id, experiment.lifecycle_stage
    )))
}

fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::invalid(format!("Invalid experiment name: '{name}'")));
    }
    check_length("name", MAX_NAME, name)
}

fn check_tag(key: &str, value: &str) -> Result<()> {
    check_key("key", key)?;
    check_length("key", MAX_TAG_KEY, key)?;
    check_length("value", MAX_TAG_VALUE, value)
}

/// The artifact location that a client asks for: a URI without a fragment or query, or an absolute path.
fn check_location(location: &str) -> Result<()> {
    let refused = |why: &str| Error::invalid(format!("Invalid artifact location '{location}': {why}"));
    check_length("artifact_location", MAX_LOCATION, location)?;
    if location.contains(['#', '?']) {
        return Err(refused("it must not hold '#' or '?'"));
    }
    if location.split(['/', '\\']).any(|part| part == "..") {
        return Err(refused("it must not hold '..'"));
    }
    if location.chars().any(char::is_control) {
        return Err(refused("it must not hold control characters"));
    }
    if !location.starts_with('/') && !location.contains(":/") {
        return Err(refused("it is neither a URI nor an absolute path"));
    }
    Ok(())
}

/// Makes an experiment. Without a location its artifacts go below `root`.
pub async fn create(
    session: &mut Session,
    name: &str,
    location: Option<&str>,
    tags: &[(String, String)],
    root: &str,
) -> Result<i64> {
    check_name(name)?;
    if let Some(location) = location {
        check_location(location)?;
    }
    for (key, value) in tags {
        check_tag(key, value)?;
    }
    if db::experiment::by_name(session, name).await?.is_some() {
        return Err(taken(name));
    }
    let made = db::experiment::insert(session, None, name, location, now_ms()).await?;
    let id = made.ok_or_else(|| taken(name))?;
    if location.is_none() {
        db::experiment::set_location(session, id, &location_below(root, id)).await?;
    }
    for (key, value) in tags {
        db::experiment::set_tag(session, id, key, value).await?;
    }
    Ok(id)
}

fn taken(name: &str) -> Error {
    Error::exists(format!("Experiment(name={name}) already exists."))
}

/// Gives an active experiment another name.
pub async fn rename(session: &mut Session, id: &str, name: &str) -> Result<()> {
    check_name(name)?;
    let experiment = find_to_change(session, id).await?;
    if experiment.lifecycle_stage != ACTIVE {
        return Err(Error::request(Code::InvalidState, "Cannot rename a non-active experiment."));
    }
    match db::experiment::by_name(session, name).await? {
        Some(other) if other.id != experiment.id => Err(taken(name)),
        _ => db::experiment::rename(session, experiment.id, name, now_ms()).await,
    }
}

/// Marks an active experiment and all its runs as deleted.
pub async fn delete(session: &mut Session, id: &str) -> Result<()> {
    let experiment = find_to_change(session, id).await?;
    if experiment.lifecycle_stage != ACTIVE {
        return Err(missing(experiment.id));
    }
    let now = now_ms();
    db::experiment::set_stage(session, experiment.id, DELETED, now).await?;
    for run in db::run::ids_of_experiment(session, experiment.id).await? {
        db::run::mark_deleted(session, &run, now).await?;
    }
    Ok(())
}

/// Brings a deleted experiment and all its runs back, those that were deleted before it too.
pub async fn restore(session: &mut Session, id: &str) -> Result<()> {
    let experiment = find_to_change(session, id).await?;
    if experiment.lifecycle_stage != DELETED {
        return Err(missing(experiment.id));
    }
    db::experiment::set_stage(session, experiment.id, ACTIVE, now_ms()).await?;
    db::run::mark_all_active(session, experiment.id).await
}

/// Sets a tag of an active experiment.
pub async fn set_tag(session: &mut Session, id: &str, key: &str, value: &str) -> Result<()> {
    check_tag(key, value)?;
    let experiment = find(session, id).await?;
    check_active(&experiment)?;
    db::experiment::set_tag(session, experiment.id, key, value).await
}

/// Takes a tag of an active experiment away.
pub async fn delete_tag(session: &mut Session, id: &str, key: &str) -> Result<()> {
    let experiment = find(session, id).await?;
    check_active(&experiment)?;
    if db::experiment::delete_tag(session, experiment.id, key).await? {
        return Ok(());
    }
    Err(Error::missing(format!("No tag with name: {key} in experiment with id {id}")))
}

/// A page of experiments and the token of the next one.
pub async fn search(
    session: &mut Session,
    search: &ExperimentSearch,
) -> Result<(Vec<Experiment>, Option<String>)> {
    let one_more = ExperimentSearch { limit: search.limit + 1, ..search.clone() };
    let mut found = db::experiment::search(session, &one_more).await?;
    let next = page::cut(&mut found, search.offset, search.limit);
    for experiment in &mut found {
        experiment.tags = db::experiment::tags(session, experiment.id).await?;
    }
    Ok((found, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        for (location, good) in [
            ("s3://bucket/a", true),
            ("/abs/path", true),
            ("mlflow-artifacts:/custom/place", true),
            ("file:///abs", true),
            ("relative", false),
            ("s3://bucket/a#b", false),
            ("/abs/../x", false),
            ("/abs\n", false),
        ] {
            assert_eq!(check_location(location).is_ok(), good, "{location}");
        }
    }

    #[test]
    fn names() {
        assert!(check_name("  ").is_err());
        assert!(check_name(&"ü".repeat(500)).is_ok());
        assert!(check_name(&"ü".repeat(501)).is_err());
        assert_eq!(location_below("mlflow-artifacts:/", 3), "mlflow-artifacts:/3");
        assert_eq!(location_below("/data/root/", 3), "/data/root/3");
    }
}
