//! `exp remove` and `exp rename`.

use super::error::ExperimentError;
use super::list::{self, Baselines};
use super::name;
use super::queue;
use super::refs::{self, ExpRef, Experiment};
use super::start::git_of;
use crate::git::Git;
use crate::{Error, Repo, Result};

/// Which experiments go.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// By name.
    pub names: Vec<String>,
    /// By the commits that they started from; none when only names or the queue are meant.
    pub baselines: Option<Baselines>,
    /// Queued ones.
    pub queue: bool,
    /// Those that are *not* named go.
    pub keep: bool,
    /// Of another repository.
    pub remote: Option<String>,
}

/// What is to be removed.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What the user is told.
    pub names: Vec<String>,
    /// Experiments.
    pub experiments: Vec<Experiment>,
    /// Tasks of the queue.
    pub tasks: Vec<queue::Task>,
}

/// Finds what is to be removed.
pub fn plan(repo: &Repo, request: &Request) -> Result<Plan> {
    let git = git_of(repo)?;
    let remote = request.remote.as_deref();
    let mut plan = Plan::default();
    if request.queue {
        plan.tasks = queue::tasks(repo)?.into_iter().filter(queue::Task::is_queued).collect();
        plan.names = plan.tasks.iter().map(|task| task.name.clone()).collect();
    }
    let all = || refs::of(git, remote);
    if !request.names.is_empty() {
        let known = all()?;
        let found = refs::find(git, &request.names, &known)?;
        let tasks = if remote.is_none() { queue::tasks(repo)? } else { Vec::new() };
        let mut missing = Vec::new();
        for (name, found) in request.names.iter().zip(found) {
            let task = queue::find(&tasks, name, |task| !task.is_running());
            if found.is_none() && task.is_none() {
                missing.push(name.clone());
                continue;
            }
            plan.names.push(name.clone());
            plan.experiments.extend(found);
            plan.tasks.extend(task.cloned());
        }
        if !missing.is_empty() {
            return Err(
                ExperimentError::NoSuchExperiment { names: missing, remote: request.remote.clone() }.into()
            );
        }
    } else if let Some(baselines) = &request.baselines {
        for experiments in list::list(repo, baselines, remote)?.into_values() {
            plan.experiments.extend(experiments);
        }
        plan.names.extend(plan.experiments.iter().map(|one| one.reference.name.clone()));
    }
    if request.keep {
        let kept = std::mem::take(&mut plan.experiments);
        plan.experiments = all()?.into_iter().filter(|one| !kept.contains(one)).collect();
        plan.names = plan.experiments.iter().map(|one| one.reference.name.clone()).collect();
        plan.tasks.clear();
    }
    Ok(plan)
}

/// Removes.
pub fn apply(repo: &Repo, plan: &Plan, remote: Option<&str>) -> Result<()> {
    let git = git_of(repo)?;
    match remote {
        Some(remote) => {
            let specs: Vec<String> =
                plan.experiments.iter().map(|one| format!(":{}", one.reference.path())).collect();
            git.push_references(remote, &specs, false)?;
        }
        None => {
            let applied = git.reference(refs::APPLIED);
            let mut names: Vec<String> = plan.experiments.iter().map(|one| one.reference.path()).collect();
            if plan.experiments.iter().any(|one| Some(&one.commit) == applied.as_ref()) {
                names.push(refs::APPLIED.to_owned());
            }
            git.remove_references(names.iter().map(String::as_str))?;
        }
    }
    queue::remove(repo, &plan.tasks)
}

/// Gives an experiment another name, here or in another repository. False when it has that name already.
pub fn rename(repo: &Repo, from: &str, to: &str, remote: Option<&str>, force: bool) -> Result<bool> {
    let git = git_of(repo)?;
    if from == to {
        return Ok(false);
    }
    let known = refs::of(git, remote)?;
    let mut found = refs::find_all(git, &[from.to_owned()], &known, remote)?;
    let Some(one) = found.pop() else { return Ok(false) };
    let new = ExpRef::new(&one.reference.baseline, to);
    let is_taken = known.iter().any(|other| other.reference == new);
    if is_taken && !force {
        return Err(ExperimentError::Exists { name: to.to_owned() }.into());
    }
    name::check(git, &one.reference.baseline, to)?;
    match remote {
        Some(remote) => rename_there(git, remote, &one, &new)?,
        None => {
            git.set_reference(&new.path(), &one.commit, None)?;
            git.remove_references([one.reference.path().as_str()])?;
        }
    }
    Ok(true)
}

fn rename_there(git: &Git, remote: &str, one: &Experiment, new: &ExpRef) -> Result<()> {
    if git.resolve_plain(&one.commit).is_none() {
        // The commit must be here before it can go there under another name.
        let path = one.reference.path();
        git.fetch_references(remote, &[format!("{path}:refs/exps/temp/{}", one.reference.name)], true)?;
    }
    let sent = git.push_references(remote, &[format!("{}:{}", one.commit, new.path())], true)?;
    git.remove_references([format!("refs/exps/temp/{}", one.reference.name).as_str()])?;
    if sent != [true] {
        return Err(Error::Git { action: "rename in a remote repository", message: "it refused".into() });
    }
    git.push_references(remote, &[format!(":{}", one.reference.path())], false).map(drop)
}
