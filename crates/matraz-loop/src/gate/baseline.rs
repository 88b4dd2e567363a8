//! The run that a rule compares with.

use std::collections::HashMap;

use matraz_data::stage::Output;
use matraz_data::stage::address::relative;
use matraz_data::view::View;
use matraz_data::{Index, Repo};
use matraz_ship::gate::{Provenance, Reference};

use super::Past;
use crate::error::{Error, Result};
use crate::promote::{self, CHAMPION, Version};
use crate::run::{self, Run, Runs, tag};

/// How many commits are gone back for one with a run.
const FARTHEST: usize = 200;
/// How many runs are looked through for that of a commit.
const MOST_RUNS: usize = 5000;
/// What the main branch may be called.
const MAIN: [&str; 5] = ["origin/HEAD", "origin/main", "origin/master", "main", "master"];

/// A run to compare with, or in words why there is none.
type Found = std::result::Result<(Provenance, Run), String>;

/// Finds what `reference` stands for, seen from the run that is judged.
pub(super) fn find(past: &Past<'_>, reference: &Reference, judged: &Run) -> Result<Found> {
    match reference {
        Reference::Champion => match &past.model {
            Some(model) => of_alias(past, model, CHAMPION),
            None => Ok(Err("no model is named; add `model:` to `matraz.yaml`".into())),
        },
        Reference::MergeBase => of_merge_base(past, judged),
        Reference::Named(name) => match past.settings.baselines.get(name) {
            Some(text) => named(past, text, judged),
            None => Ok(Err(format!("`baselines` of `matraz.yaml` has no `{name}`"))),
        },
    }
}

fn of_alias(past: &Past<'_>, model: &str, alias: &str) -> Result<Found> {
    let nothing = || Ok(Err(format!("`{model}` has no version under `{alias}`")));
    let number = match promote::aliased(past.tracker, model, alias) {
        Ok(Some(number)) => number,
        Ok(None) => return nothing(),
        Err(Error::Tracking(error)) if error.is_missing() => return nothing(),
        Err(error) => return Err(error),
    };
    of_version(past, &promote::version(past.tracker, model, &number)?)
}

fn of_version(past: &Past<'_>, version: &Version) -> Result<Found> {
    let what = format!("version {} of {}", version.version, version.model);
    if version.run_id.is_empty() {
        return Ok(Err(format!("{what} names no run")));
    }
    match run::get(past.tracker, &version.run_id) {
        Ok(run) => {
            let address = format!("models:/{}/{}", version.model, version.version);
            Ok(Ok((Provenance { version: Some(address), ..provenance(what, &run) }, run)))
        }
        Err(Error::Tracking(error)) if error.is_missing() => Ok(Err(format!("the run of {what} is gone"))),
        Err(error) => Err(error),
    }
}

fn provenance(what: String, run: &Run) -> Provenance {
    Provenance {
        what,
        run_id: run.id.clone(),
        run_name: run.name.clone(),
        version: None,
        commit: run.tag(tag::COMMIT).map(str::to_owned),
    }
}

/// `models:/NAME@ALIAS`, `models:/NAME/N`, a run, or a revision of git.
fn named(past: &Past<'_>, text: &str, judged: &Run) -> Result<Found> {
    if let Some(rest) = text.strip_prefix("models:/") {
        if let Some((model, alias)) = rest.split_once('@') {
            return of_alias(past, model, alias);
        }
        let Some((model, number)) = rest.split_once('/') else {
            return Ok(Err(format!("`{text}` is neither `models:/NAME@ALIAS` nor `models:/NAME/VERSION`")));
        };
        return match promote::version(past.tracker, model, number) {
            Ok(version) => of_version(past, &version),
            Err(Error::Tracking(error)) if error.is_missing() => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        };
    }
    let Some(runs) = Runs::of(past.tracker, &past.experiment)? else {
        return Ok(Err(format!("experiment `{}` has no runs", past.experiment)));
    };
    match runs.find(text) {
        Ok(run) => return Ok(Ok((provenance(format!("run {}", run.name), &run), run))),
        Err(Error::NoRun { .. }) => {}
        Err(error @ Error::ManyRuns { .. }) => return Ok(Err(error.to_string())),
        Err(error) => return Err(error),
    }
    let git = past.repo.and_then(|repo| repo.git.as_ref());
    match git.and_then(|git| git.resolve(text)) {
        Some(commit) => of_commits(past, &[commit], judged, &format!("of `{text}`")),
        None => Ok(Err(format!("`{text}` is neither a run nor a commit"))),
    }
}

/// The run of the commit at which the judged run's branch left the main one, or of the nearest commit before it that
/// has one. On the main branch itself that is the commit before the judged one.
fn of_merge_base(past: &Past<'_>, judged: &Run) -> Result<Found> {
    let Some(git) = past.repo.and_then(|repo| repo.git.as_ref()) else {
        return Ok(Err("this is no git repository".into()));
    };
    let Some(head) = judged.tag(tag::COMMIT).map(str::to_owned).or_else(|| git.head_commit()) else {
        return Ok(Err("there is no commit yet".into()));
    };
    let base = match &past.base {
        Some(name) => match git.resolve(name) {
            Some(commit) => commit,
            None => return Ok(Err(format!("git does not know `{name}`"))),
        },
        None => match MAIN.iter().find_map(|name| git.resolve(name)) {
            Some(commit) => commit,
            None => return Ok(Err("there is no main branch; name one with `--base`".into())),
        },
    };
    if git.resolve(&head).is_none() {
        return Ok(Err(format!("commit {} of the run is not in this repository", short(&head))));
    }
    let Some(common) = git.merge_base(&head, &base)? else {
        return Ok(Err(format!("commit {} shares no history with the main branch", short(&head))));
    };
    let clean = judged.tag(tag::DIRTY) == Some("false");
    let mut commits = git.first_parents(&common, FARTHEST)?;
    // What was made from the very commit has nothing to be compared with there.
    commits.retain(|commit| !(clean && *commit == head));
    of_commits(past, &commits, judged, &format!("of the merge base {} or before it", short(&common)))
}

/// The newest finished pipeline run of the first of the commits that has one: the run that made what the commit records,
/// which is usually older than the commit, or else one that was started from the commit without changes.
fn of_commits(past: &Past<'_>, commits: &[String], judged: &Run, where_from: &str) -> Result<Found> {
    let Some(runs) = Runs::of(past.tracker, &past.experiment)? else {
        return Ok(Err(format!("experiment `{}` has no runs", past.experiment)));
    };
    let filter = format!("tags.`{}` = 'pipeline' AND attributes.status = 'FINISHED'", tag::KIND);
    let runs = runs.search(&filter, MOST_RUNS)?;
    let others = || runs.iter().filter(|run| run.id != judged.id);
    for commit in commits {
        let recorded = match past.repo {
            Some(repo) => recorded_at(repo, commit)?,
            None => HashMap::new(),
        };
        let from_commit =
            |run: &&Run| run.tag(tag::COMMIT) == Some(commit) && run.tag(tag::DIRTY) == Some("false");
        if let Some(run) = others().find(|run| made(run, &recorded)).or_else(|| others().find(from_commit)) {
            return Ok(Ok((provenance(format!("the run of commit {}", short(commit)), run), run.clone())));
        }
    }
    Ok(Err(format!("no finished run {where_from}")))
}

/// The outputs of the pipeline and their digests, as the lock files of a commit have them.
fn recorded_at(repo: &Repo, commit: &str) -> Result<HashMap<String, String>> {
    let index = Index::load_at(&View::at(repo, commit)?)?;
    let stages = index.stages.iter().filter(|stage| stage.cmd.is_some());
    let known = |out: &Output| Some((relative(&out.path, &repo.root), out.digest?.to_text()));
    Ok(stages.flat_map(|stage| &stage.outs).filter_map(known).collect())
}

/// Whether a run made all that is recorded.
fn made(run: &Run, recorded: &HashMap<String, String>) -> bool {
    let outputs: HashMap<&str, &str> = run
        .datasets
        .iter()
        .filter(|data| data.is_output())
        .map(|data| (data.name.as_str(), data.digest.as_str()))
        .collect();
    !recorded.is_empty()
        && recorded.iter().all(|(path, digest)| outputs.get(path.as_str()) == Some(&digest.as_str()))
}

fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}
