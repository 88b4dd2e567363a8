//! The folder in which a run is made again.

use std::fs;
use std::path::{Path, PathBuf};

use matraz_base::Progress;
use matraz_base::process::Interrupt;
use matraz_data::cache::Cache;
use matraz_data::checkout::{self, Wanted};
use matraz_data::remote::fetch;
use matraz_data::stage::address::{join, relative};
use matraz_data::stage::{Cmd, Output};
use matraz_data::{Digest, Index, Repo};
use serde_json::Value as Json;

use super::{Missing, Prepared, Ready};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::record;
use crate::run::{self, Run, Runs, artifact, tag};
use crate::tracker::Tracker;

/// The pipeline run that a person means: by its own name or id, or by those of a run below it.
pub fn pipeline_run(tracker: &Tracker, reference: &str) -> Result<Run> {
    let mut run = Runs::everywhere(tracker)?.find(reference)?;
    while run.tag(tag::KIND) != Some("pipeline") {
        let Some(parent) = run.tag(tag::PARENT) else {
            return Err(Error::NoPipelineRun { run: run.name });
        };
        run = run::get(tracker, parent)?;
    }
    Ok(run)
}

/// Makes `folder` a copy of the project as it was when the run began.
pub fn prepare(
    repo: &Repo,
    tracker: &Tracker,
    run: &Run,
    folder: &Path,
    search: Option<&std::ffi::OsStr>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Prepared> {
    let mut missing = Vec::new();
    let mut lacks =
        |what: &str, why: &str| missing.push(Missing { what: what.to_owned(), why: why.to_owned() });
    let git = repo.git.as_ref().ok_or_else(|| matraz_data::Error::NotInGit { root: repo.root.clone() })?;
    let commit = run.tag(tag::COMMIT).and_then(|commit| git.resolve(commit));
    match (run.tag(tag::COMMIT), &commit) {
        (None, _) => lacks("the commit", "the run was recorded without git"),
        (Some(named), None) => {
            lacks(&format!("commit {named}"), "this clone does not have it; try `git fetch --all`")
        }
        _ => {}
    }
    if run.status != "FINISHED" {
        lacks("the results", &format!("the run is {}", run.status.to_lowercase()));
    }
    for line in run.tag(tag::WITHHELD).into_iter().flat_map(str::lines) {
        match line.starts_with(record::UNCOMMITTED) {
            true => lacks(line, "the changes were not kept with the run"),
            // Perhaps no stage needs it; one that does will say so.
            false => progress.warn(&format!("not kept with the run: {line}")),
        }
    }
    let rows = read_json(tracker, run, artifact::STAGES)?;
    if rows.is_none() {
        lacks(artifact::STAGES, "the run does not have this artifact");
    }
    let (Some(commit), Some(rows), true) = (commit, rows, missing.is_empty()) else {
        return Ok(Prepared::Impossible(missing));
    };
    tidy_up(repo, folder)?;
    git.check_out_beside(folder, &commit)?;
    let root = join(folder, &relative(&repo.root, git.root()));
    bring_code(repo, tracker, run, folder, &root)?;
    if !root.join(".dvc").is_dir() {
        missing.push(Missing {
            what: ".dvc".into(),
            why: format!("commit {commit} has no project at this place"),
        });
        return Ok(Prepared::Impossible(missing));
    }
    let cache = root.join(".dvc/cache");
    let local = root.join(".dvc/config.local");
    fs::write(&local, format!("[cache]\n    dir = {}\n", cache.display()))
        .map_err(Error::file("write", &local))?;
    let there = Repo::open(&root, &repo.places)?;
    there.prepare_if_writable()?;
    let index = Index::load(&there)?;
    let status = |row: &Json| row.get("status").and_then(Json::as_str).unwrap_or_default().to_owned();
    let name = |row: &Json| row.get("stage").and_then(Json::as_str).unwrap_or_default().to_owned();
    let rows: Vec<(String, String)> =
        rows.as_array().into_iter().flatten().map(|row| (name(row), status(row))).collect();
    let is_frozen = |path: &Path| {
        let owner = index.stages.iter().find(|stage| stage.outs.iter().any(|out| out.path == path));
        owner.is_some_and(|stage| {
            let name = stage.address.display(&root);
            rows.iter().any(|(row, status)| *row == name && status == "frozen")
        })
    };
    let mut wanted = Vec::new();
    for item in &run.datasets {
        let path = join(&root, &item.name);
        let Some(digest) = Digest::parse(&item.digest).filter(|_| path.starts_with(&root)) else { continue };
        if item.is_output() && !is_frozen(&path) {
            continue;
        }
        let owner = index.stages.iter().flat_map(|stage| &stage.outs).find(|out| path.starts_with(&out.path));
        // What git has is there already; the lock file will tell whether it is the same.
        if owner.is_none() && path.exists() {
            continue;
        }
        let remote = owner.and_then(|out| out.remote.clone());
        wanted.push(Output { digest: Some(digest), remote, ..Output::new(path, item.name.clone()) });
    }
    for out in bring_data(repo, &there, &wanted, progress, interrupt)? {
        let digest = out.digest.map(|digest| digest.to_text()).unwrap_or_default();
        let why =
            format!("its content {digest} is neither in the cache nor in a remote, nor is it in the commit");
        missing.push(Missing { what: out.def_path, why });
    }
    if !missing.is_empty() {
        return Ok(Prepared::Impossible(missing));
    }
    let targets: Vec<String> = rows
        .into_iter()
        .filter(|(_, status)| status != "waiting" && status != "frozen")
        .map(|(name, _)| name)
        .collect();
    let mut now = Environment::of_project(&root);
    for stage in index.stages.iter().filter(|stage| targets.contains(&stage.address.display(&root))) {
        let commands = stage.cmd.as_ref().map(Cmd::lines).unwrap_or_default();
        now.add_python(&commands, &stage.wdir, search);
    }
    let environment = match environment(tracker, run)? {
        Some(then) => then.differences(&now),
        None => Vec::new(),
    };
    Ok(Prepared::Ready(Box::new(Ready { repo: there, folder: folder.to_path_buf(), targets, environment })))
}

/// Removes the folder of an attempt.
pub fn tidy_up(repo: &Repo, folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let git = repo.git.as_ref().ok_or_else(|| matraz_data::Error::NotInGit { root: repo.root.clone() })?;
    Ok(git.remove_beside(folder)?)
}

/// The environment that a run recorded.
pub(crate) fn environment(tracker: &Tracker, run: &Run) -> Result<Option<Environment>> {
    let json = read_json(tracker, run, artifact::ENVIRONMENT)?;
    Ok(json.and_then(|json| serde_json::from_value(json).ok()))
}

fn read_json(tracker: &Tracker, of: &Run, name: &str) -> Result<Option<Json>> {
    Ok(run::read_artifact(tracker, of, name)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Applies the uncommitted changes and brings back the files that git did not have.
fn bring_code(repo: &Repo, tracker: &Tracker, of: &Run, folder: &Path, root: &Path) -> Result<()> {
    if let Some(patch) = run::read_artifact(tracker, of, artifact::DIFF)? {
        let file = tempfile::NamedTempFile::new().map_err(Error::file("make", std::env::temp_dir()))?;
        fs::write(file.path(), &patch).map_err(Error::file("write", file.path()))?;
        let git =
            repo.git.as_ref().ok_or_else(|| matraz_data::Error::NotInGit { root: repo.root.clone() })?;
        git.apply_beside(folder, file.path())?;
    }
    for entry in tracker.wait(tracker.client().files(&of.artifact_uri, artifact::UNTRACKED))? {
        // The client's typed paths have no `..`.
        let Some(name) = entry.path.strip_prefix(artifact::UNTRACKED) else { continue };
        let target: PathBuf = join(root, name.trim_start_matches('/'));
        if target.starts_with(root) {
            let uri = format!("{}/{}", of.artifact_uri, entry.path);
            tracker.wait(tracker.client().download(&uri, &target))?;
        }
    }
    Ok(())
}

/// Puts data into the folder from the project's cache, which gets from the remotes what it lacks. Returns what nobody has.
fn bring_data(
    repo: &Repo,
    there: &Repo,
    wanted: &[Output],
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Vec<Output>> {
    let mut cache = Cache::open(repo);
    let mut missing = Vec::new();
    for out in wanted {
        match fetch::fetch_outputs(repo, &mut cache, &[out], progress, interrupt) {
            Ok(_) | Err(matraz_data::Error::NoRemote { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let options = checkout::Options { force: true, relink: false };
        let outs = [Wanted::whole(out)];
        let report = checkout::checkout(there, &mut cache, &outs, options, progress, interrupt.flag())?;
        if !report.failed.is_empty() || !out.path.exists() {
            missing.push(out.clone());
        }
    }
    Ok(missing)
}
