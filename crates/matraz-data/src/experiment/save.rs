//! `exp save`: the work tree as it is becomes an experiment.

use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use super::record;
use super::run::Finished;
use super::start::{Start, git_of};
use crate::commit::{self, Options};
use crate::index::Index;
use crate::stage::LOCK_FILE;
use crate::stage::address::{join, relative};
use crate::target::{self, TargetOptions};
use crate::{Repo, Result};

/// What is saved.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Limits what is put into the cache to these stages and `.dvc` files.
    pub targets: Vec<String>,
    /// The name; one is made when none is given.
    pub name: Option<String>,
    /// Folders stand for everything below them.
    pub recursive: bool,
    /// An experiment of that name may be replaced.
    pub force: bool,
    /// Untracked files that belong to it.
    pub include_untracked: Vec<String>,
    /// The message of its commit.
    pub message: Option<String>,
}

/// Saves. Returns the experiment and the untracked files that are not part of it.
pub fn save(
    repo: &Repo,
    request: &Request,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<(Finished, Vec<String>)> {
    let git = git_of(repo)?;
    let start = Start::new(repo, request.name.as_deref(), request.force)?;
    let targets = TargetOptions { with_deps: false, recursive: request.recursive };
    let options = Options { targets, force: true, no_relink: true };
    commit::commit(repo, &request.targets, options, cwd, &mut |_| true, progress, interrupt)?;
    let index = Index::load(repo)?;
    let selected = target::select(repo, &index, &request.targets, targets, cwd)?;
    let digest = record::hash(selected.iter().map(|one| &index.stages[one.stage]));
    let mut files: Vec<PathBuf> = request.include_untracked.iter().map(|path| join(cwd, path)).collect();
    files.extend(record::top_level(&index));
    let mut left: Vec<PathBuf> = git.untracked_files()?;
    files.extend(left.iter().filter(|path| path.ends_with(LOCK_FILE)).cloned());
    let commit = record::commit(git, &start, &digest, &[], &files, request.message.as_deref())?;
    let commit = record::publish(git, &start, &commit, request.force)?;
    git.reset_index()?;
    left.retain(|path| !files.iter().any(|file| path.starts_with(file)));
    let left = left.iter().map(|path| relative(path, cwd)).collect();
    Ok((Finished { start, commit }, left))
}
