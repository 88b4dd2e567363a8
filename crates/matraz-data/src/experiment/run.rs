//! `exp run` in the work tree: it holds the results afterwards, and `HEAD` is where it was.

use std::path::Path;

use matraz_base::process::Interrupt;
use matraz_base::progress::{Progress, Silent};

use super::record;
use super::start::{self, Request, Start, git_of};
use crate::pipeline::RunReport;
use crate::{Repo, Result};

/// Reproduces in a project, as somebody who stands in a folder of it, for an experiment.
pub type Reproduce<'r> = &'r mut dyn FnMut(&Repo, &Path, &Start) -> Result<RunReport>;

/// A finished experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Where it started and its name.
    pub start: Start,
    /// Its commit.
    pub commit: String,
}

/// Runs an experiment in the work tree.
pub fn run(
    repo: &Repo,
    request: &Request,
    reproduce: Reproduce<'_>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Finished> {
    let git = git_of(repo)?;
    let lock = repo.lock(progress, interrupt.flag())?;
    let start = Start::new(repo, request.name.as_deref(), request.force)?;
    crate::target::select(
        repo,
        &crate::Index::load(repo)?,
        &request.targets,
        crate::target::TargetOptions { with_deps: true, recursive: request.recursive },
        &request.cwd,
    )?;
    let params = start::write_changes(request)?;
    start::commit_data(repo, request, interrupt)?;
    progress.say(&format!("Reproducing experiment '{}'", start.name));
    start::check_out_data(repo, request, &Silent, interrupt)?;
    drop(lock);
    let report = reproduce(repo, &request.cwd, &start);
    let lock = repo.lock(progress, interrupt.flag())?;
    let finished = report.and_then(|report| {
        let commit = record::commit_run(repo, &start, &report, &params, request.message.as_deref())?;
        let commit = record::publish(git, &start, &commit, request.force)?;
        Ok(Finished { start, commit })
    });
    // Results stand in the work tree as changes that are not staged, whatever came of it.
    git.reset_index()?;
    drop(lock);
    finished
}
