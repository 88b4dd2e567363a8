//! `exp apply`: the work tree becomes that of an experiment.

use std::path::Path;

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use super::error::ExperimentError;
use super::refs;
use super::start::{Request, git_of};
use crate::cache::Cache;
use crate::checkout::{self, Options, Report, Wanted};
use crate::index::Index;
use crate::target::{self, TargetOptions};
use crate::{Repo, Result};

/// Applies an experiment, by its name or commit. What the work tree held is kept as a stash (`git stash apply
/// refs/exps/apply/stash`), and files that the experiment does not have stay.
pub fn apply(
    repo: &Repo,
    name: &str,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let git = git_of(repo)?;
    let head = git.head_commit().ok_or(ExperimentError::NoCommits)?;
    let not_one = || ExperimentError::NotAnExperiment { revision: name.to_owned() };
    let commit = match git.resolve(name) {
        Some(commit) => commit,
        // A queued experiment, which has no reference of its own.
        None => super::queue::commit_of(repo, name)?.ok_or_else(not_one)?,
    };
    git.remove_references([refs::APPLY_STASH])?;
    let kept = git.keep_work_tree(&format!("dvc-exp-apply:{head}:{commit}:{name}"))?;
    git.set_reference(refs::BEFORE_APPLY, &head, None)?;
    if let Some(kept) = &kept {
        let message = format!("commit: dvc-exp-apply:{head}:{commit}:{name}");
        git.push_stash(refs::APPLY_STASH, kept, &message)?;
    }
    let tree = git.tree_of(&commit)?;
    git.check_out_tree(&tree, kept.is_some())?;
    let request = Request { cwd: cwd.to_path_buf(), ..Request::default() };
    let report = check_out(repo, &request, progress, interrupt)?;
    if let Some(error) = report.failure() {
        return Err(error);
    }
    git.set_reference(refs::APPLIED, &commit, None)?;
    Ok(report)
}

fn check_out(
    repo: &Repo,
    request: &Request,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let index = Index::load(repo)?;
    let selections = target::select(repo, &index, &[], TargetOptions::default(), &request.cwd)?;
    let wanted = Wanted::of(&selections, &index);
    let options = Options { force: true, relink: false };
    let mut cache = Cache::open(repo);
    let plan = checkout::plan(repo, &mut cache, &wanted, options, progress, interrupt.flag())?;
    let mut report = checkout::apply(repo, &mut cache, plan, options, progress, interrupt.flag())?;
    report.remove_left_over(repo, &mut cache, &index, progress, interrupt.flag())?;
    Ok(report)
}
