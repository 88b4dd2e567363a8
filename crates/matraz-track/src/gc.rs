//! Removes for good what is marked as deleted: runs, logged models and experiments, as `mlflow gc` does.
//!
//! [`plan`] says what would go; [`remove_artifacts`] and then [`remove_rows`] let one thing go. A removal that is
//! interrupted leaves rows whose artifacts are gone at worst, and the next one takes them. [`trash`] takes a plan back.

pub mod trash;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::artifact::{ArtifactError, ArtifactPath, Location, on_disk};
use crate::db::Session;
use crate::db::gc::{self, Candidate};
use crate::error::{Error, Result};
use crate::service::Service;

/// What to remove. Of what is not named by id, all that is marked as deleted goes.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// These runs.
    pub runs: Option<Vec<String>>,
    /// These logged models.
    pub models: Option<Vec<String>>,
    /// These experiments, with all their runs and models.
    pub experiments: Option<Vec<String>>,
    /// Only what is marked for this long, in milliseconds.
    pub older_than: Option<i64>,
    /// When anything is named, nothing else goes. MLflow removes all other kinds too.
    pub only_named: bool,
}

/// A kind of thing that can be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A run.
    Run,
    /// A logged model.
    LoggedModel,
    /// An experiment.
    Experiment,
}

/// Something that goes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Doomed {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Where its artifacts are; an experiment has none of its own.
    pub artifacts: Option<String>,
}

impl Kind {
    /// As MLflow calls it in messages.
    pub fn title(self) -> &'static str {
        match self {
            Self::Run => "Run",
            Self::LoggedModel => "Logged model",
            Self::Experiment => "Experiment",
        }
    }
}

/// What would be removed, in the order of removal: runs, models, experiments. `now` in milliseconds since 1970.
///
/// # Errors
/// Named things that do not exist, are not marked as deleted, or not for long enough.
pub async fn plan(session: &mut Session, wanted: &Wanted, now: i64) -> Result<Vec<Doomed>> {
    let is_old = |candidate: &Candidate| match wanted.older_than {
        None => true,
        Some(age) => candidate.changed.is_some_and(|changed| changed <= now - age),
    };
    let named = wanted.runs.is_some() || wanted.models.is_some() || wanted.experiments.is_some();
    let all = !(named && wanted.only_named);
    let mut doomed = Doom::default();

    let mut experiments = Vec::new();
    for id in wanted.experiments.iter().flatten() {
        let number = id.parse().map_err(|_| Error::invalid(format!("Invalid experiment ID: '{id}'")))?;
        let found = gc::experiment(session, number).await?;
        let found = found.ok_or_else(|| Error::missing(format!("No Experiment with id={id} exists")))?;
        check(&found, Kind::Experiment, is_old(&found))?;
        experiments.push(found);
    }
    if wanted.experiments.is_none() && all {
        experiments.extend(gc::deleted_experiments(session).await?.into_iter().filter(is_old));
    }
    for id in wanted.runs.iter().flatten() {
        let found = gc::run(session, id).await?;
        let found = found.ok_or_else(|| Error::missing(format!("Run with id={id} not found")))?;
        check(&found, Kind::Run, is_old(&found))?;
        doomed.add(Kind::Run, found);
    }
    if wanted.runs.is_none() && all {
        for run in gc::deleted_runs(session).await?.into_iter().filter(is_old) {
            doomed.add(Kind::Run, run);
        }
    }
    for id in wanted.models.iter().flatten() {
        let found = gc::model(session, id).await?;
        let found = found.ok_or_else(|| Error::missing(format!("Logged model with ID '{id}' not found.")))?;
        check(&found, Kind::LoggedModel, is_old(&found))?;
        doomed.add(Kind::LoggedModel, found);
    }
    if wanted.models.is_none() && all {
        for model in gc::deleted_models(session).await?.into_iter().filter(is_old) {
            doomed.add(Kind::LoggedModel, model);
        }
    }
    // With an experiment go all its rows, so their artifacts must go first.
    for experiment in &experiments {
        let number = experiment.id.parse().unwrap_or_default();
        for run in gc::runs_of(session, number).await? {
            doomed.add(Kind::Run, run);
        }
        for model in gc::models_of(session, number).await? {
            doomed.add(Kind::LoggedModel, model);
        }
    }
    for experiment in experiments {
        doomed.add(Kind::Experiment, experiment);
    }
    doomed.list.sort_by_key(|one| one.kind as u8);
    Ok(doomed.list)
}

#[derive(Default)]
struct Doom {
    list: Vec<Doomed>,
    known: BTreeSet<(u8, String)>,
}

impl Doom {
    fn add(&mut self, kind: Kind, candidate: Candidate) {
        if self.known.insert((kind as u8, candidate.id.clone())) {
            let artifacts = candidate.location.filter(|_| kind != Kind::Experiment);
            self.list.push(Doomed { kind, id: candidate.id, artifacts });
        }
    }
}

fn check(candidate: &Candidate, kind: Kind, is_old: bool) -> Result<()> {
    let (title, id) = (kind.title(), &candidate.id);
    if candidate.stage != "deleted" {
        let message =
            format!("{title} {id} is not marked as deleted, and only what is marked can be removed.");
        return Err(Error::invalid(message));
    }
    if !is_old {
        return Err(Error::invalid(format!("{title} {id} is not older than the required age.")));
    }
    Ok(())
}

/// Removes the artifacts of something from this machine; says whether there was a place to look at.
///
/// A local folder goes only when it is named after the run or model, as all are that a store made.
pub async fn remove_artifacts(service: &Service, doomed: &Doomed) -> Result<bool, ArtifactError> {
    let Some(uri) = doomed.artifacts.clone() else { return Ok(true) };
    match Location::parse(&uri)? {
        Location::Proxied(path) => {
            let Some(root) = service.artifacts().proxy().cloned() else { return Ok(false) };
            if !is_named_after(Path::new(path.as_str()), &doomed.id) {
                return Ok(false);
            }
            on_disk(move || {
                root.delete(&path)?;
                tidy(&path.below(root.folder()));
                Ok(true)
            })
            .await
        }
        Location::Local(folder) => {
            if !is_named_after(&folder, &doomed.id) {
                return Ok(false);
            }
            on_disk(move || {
                let removed = match folder.symlink_metadata() {
                    Err(error) => Err(error),
                    Ok(found) if found.is_dir() => fs::remove_dir_all(&folder),
                    Ok(_) => fs::remove_file(&folder),
                };
                match removed {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        Err(ArtifactError::io("remove", folder, error))
                    }
                    _ => {
                        tidy(&folder);
                        Ok(true)
                    }
                }
            })
            .await
        }
    }
}

/// Whether the path is `…/ID/artifacts`, and not one that leads out of its own folders.
fn is_named_after(path: &Path, id: &str) -> bool {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    matches!(parts.as_slice(), [.., owner, "artifacts"] if *owner == id) && !parts.contains(&"..")
}

/// Removes the folder of the run or model, which held its artifacts, when nothing else is in it.
fn tidy(artifacts: &Path) {
    if let Some(owner) = artifacts.parent() {
        let _ = fs::remove_dir(owner);
    }
}

/// Removes the rows of something, in one transaction.
pub async fn remove_rows(service: &Service, doomed: &Doomed) -> Result<()> {
    let mut session = service.db().write().await?;
    match doomed.kind {
        Kind::Run => gc::remove_run(&mut session, &doomed.id).await?,
        Kind::LoggedModel => gc::remove_model(&mut session, &doomed.id).await?,
        Kind::Experiment => {
            let number = doomed.id.parse().unwrap_or_default();
            // What came after the plan was made goes with the experiment too.
            for run in gc::runs_of(&mut session, number).await? {
                gc::remove_run(&mut session, &run.id).await?;
            }
            for model in gc::models_of(&mut session, number).await? {
                gc::remove_model(&mut session, &model.id).await?;
            }
            gc::remove_experiment(&mut session, number).await?;
        }
    }
    session.commit().await
}

/// The age that MLflow's `#d#h#m#s` names, in milliseconds: `30d`, `1.5h`, `2d8h5m20s`.
pub fn age(text: &str) -> Option<i64> {
    let mut seconds = 0.0;
    let mut rest = text;
    for (unit, length) in [('d', 86_400.0), ('h', 3_600.0), ('m', 60.0), ('s', 1.0)] {
        let digits =
            rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        if digits > 0 && rest[digits..].starts_with(unit) {
            seconds += rest[..digits].parse::<f64>().ok()? * length;
            rest = &rest[digits + 1..];
        }
    }
    (rest.is_empty()).then_some((seconds * 1000.0) as i64)
}

/// The path that a tracking server is asked to remove for something, when its artifacts lie behind one.
pub fn behind_server(doomed: &Doomed) -> Option<ArtifactPath> {
    match Location::parse(doomed.artifacts.as_deref()?) {
        Ok(Location::Proxied(path)) => Some(path),
        _ => None,
    }
}

/// The folder of this machine that holds the artifacts of something.
pub fn folder_of(service: &Service, doomed: &Doomed) -> Option<PathBuf> {
    match Location::parse(doomed.artifacts.as_deref()?) {
        Ok(Location::Proxied(path)) => service.artifacts().proxy().map(|root| path.below(root.folder())),
        Ok(Location::Local(folder)) => Some(folder),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (text, want) in [
            ("30d", Some(30 * 86_400_000)),
            ("1.5h", Some(5_400_000)),
            ("2d8h5m20s", Some(2 * 86_400_000 + 8 * 3_600_000 + 320_000)),
            ("4s", Some(4000)),
            ("", Some(0)),
            ("5", None),
            ("5m2h", None),
            ("x", None),
            ("1..5d", None),
            ("-3d", None),
        ] {
            assert_eq!(age(text), want, "{text}");
        }
    }

    #[test]
    fn only_folders_of_their_own() {
        let named = |path: &str| is_named_after(Path::new(path), "r1");
        assert!(named("0/r1/artifacts") && named("/data/0/r1/artifacts"));
        for other in ["/", "0/r2/artifacts", "/data/r1", "r1/artifacts/x", "0/../r1/artifacts", ""] {
            assert!(!named(other), "{other}");
        }
    }
}
