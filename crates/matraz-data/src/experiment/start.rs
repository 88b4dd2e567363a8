//! The beginning of an experiment: where it starts from, its name, its parameters, and the data that it reads.

use std::fs;
use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::{Progress, Silent};

use super::error::ExperimentError;
use super::name;
use super::overrides::{self, Changes};
use super::refs::ExpRef;
use crate::cache::Cache;
use crate::checkout::{self, Wanted};
use crate::commit;
use crate::git::Git;
use crate::index::Index;
use crate::stage::Stage;
use crate::target::{self, TargetOptions};
use crate::{Error, Repo, Result};

/// What is asked of an experiment before it runs.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The folder in which the user stands.
    pub cwd: PathBuf,
    /// Its name; one is made when none is given.
    pub name: Option<String>,
    /// An experiment of that name may be replaced.
    pub force: bool,
    /// Changes of parameters.
    pub changes: Changes,
    /// The stages that are reproduced; all of the folder when there is none.
    pub targets: Vec<String>,
    /// Folders stand for all stages below them.
    pub recursive: bool,
    /// The message of its commit.
    pub message: Option<String>,
}

/// Where an experiment starts from, and how it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The commit.
    pub baseline: String,
    /// The name.
    pub name: String,
}

impl Start {
    /// Settles both; refuses a name that is taken unless `force` is set.
    pub fn new(repo: &Repo, name: Option<&str>, force: bool) -> Result<Self> {
        let git = git_of(repo)?;
        let baseline = git.head_commit().ok_or(ExperimentError::NoCommits)?;
        let Some(name) = name else {
            return Ok(Self { name: name::fresh(git, &[])?, baseline });
        };
        name::check(git, &baseline, name)?;
        let start = Self { baseline, name: name.to_owned() };
        if !force && git.reference(&start.reference().path()).is_some() {
            return Err(ExperimentError::Exists { name: start.name }.into());
        }
        Ok(start)
    }

    /// The reference of the experiment.
    pub fn reference(&self) -> ExpRef {
        ExpRef::new(&self.baseline, &self.name)
    }

    /// What the commands of its stages find in their environment.
    pub fn environment(&self, root: &Path) -> Vec<(String, String)> {
        vec![
            ("DVC_EXP_BASELINE_REV".into(), self.baseline.clone()),
            ("DVC_EXP_NAME".into(), self.name.clone()),
            ("DVC_ROOT".into(), root.to_string_lossy().into_owned()),
        ]
    }
}

/// The git repository of a project, which experiments need.
pub fn git_of(repo: &Repo) -> Result<&Git> {
    repo.git.as_ref().ok_or_else(|| ExperimentError::NoGit.into())
}

/// Writes the changed parameters into the work tree. Returns their files.
pub fn write_changes(request: &Request) -> Result<Vec<PathBuf>> {
    let files = overrides::changed_files(&request.changes, &request.cwd)?;
    for (path, text) in &files {
        matraz_base::file::write(path, text.as_bytes()).map_err(Error::io("write", path))?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

/// Commits changed data that `.dvc` files own, so that the experiment knows what it read. Returns the `.dvc` files that
/// were rewritten, with what they held before.
pub fn commit_data(repo: &Repo, request: &Request, interrupt: &Interrupt) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let index = Index::load(repo)?;
    let how = TargetOptions { with_deps: true, recursive: request.recursive };
    let selections = target::select(repo, &index, &request.targets, how, &request.cwd)?;
    let is_there = |stage: &&Stage| {
        stage.is_data()
            && stage.is_data_source()
            && stage.outs.iter().all(|out| out.cache && out.path.exists())
    };
    let stages: Vec<&Stage> =
        selections.iter().map(|one| &index.stages[one.stage]).filter(is_there).collect();
    if stages.is_empty() {
        return Ok(Vec::new());
    }
    let mut before = Vec::new();
    for stage in &stages {
        let file = &stage.address.file;
        before.push((file.clone(), fs::read(file).map_err(Error::io("read", file))?));
    }
    let targets: Vec<String> =
        stages.iter().map(|stage| stage.address.file.to_string_lossy().into_owned()).collect();
    let options = commit::Options { force: true, no_relink: true, ..commit::Options::default() };
    commit::commit(repo, &targets, options, &request.cwd, &mut |_| true, &Silent, interrupt)?;
    before.retain(|(file, bytes)| fs::read(file).is_ok_and(|now| now != *bytes));
    Ok(before)
}

/// Brings the data that the lock files name into the work tree, as far as the cache has them.
pub fn check_out_data(
    repo: &Repo,
    request: &Request,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let index = Index::load(repo)?;
    let how = TargetOptions { with_deps: !request.targets.is_empty(), recursive: request.recursive };
    let selections = target::select(repo, &index, &request.targets, how, &request.cwd)?;
    let wanted = Wanted::of(&selections, &index);
    let options = checkout::Options { force: true, relink: false };
    let mut cache = Cache::open(repo);
    let plan = checkout::plan(repo, &mut cache, &wanted, options, progress, interrupt.flag())?;
    checkout::apply(repo, &mut cache, plan, options, progress, interrupt.flag())?;
    Ok(())
}
