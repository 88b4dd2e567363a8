//! The queue: experiments that wait for a worker, run, or have run.
//!
//! A task is a file below `.dvc/tmp/exps/matraz/tasks`, which is changed only while the queue's lock is held, and a commit
//! that holds the work tree of the moment in which it was queued. [`worker`] takes tasks and runs them. DVC's queue has a
//! format of its own; what a task makes is an experiment like any other.

mod control;
mod execute;
mod worker;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use matraz_base::lock::{self, Lock};
use matraz_base::process::Interrupt;
use serde::{Deserialize, Serialize};

pub use control::{Killed, is_stopped, kill, log, stop, workers};
pub use execute::execute;
pub use worker::{Program, Worker, start_workers};

use super::error::ExperimentError;
use super::refs;
use super::start::{Request, Start, git_of};
use super::temp::{self, Prepared};
use crate::{Error, Repo, Result};

/// Keeps the files of tasks from being collected. The references name trees: a queued experiment is no commit that `git
/// log --all` should show.
const KEPT: &str = "refs/matraz/queue/";

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// It made its experiment.
    Success,
    /// It failed.
    Failed,
}

/// An experiment in the queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Its commit, which is its name in the queue too.
    pub rev: String,
    /// The files that it starts with.
    pub tree: String,
    /// The name of the experiment.
    pub name: String,
    /// The commit that it starts from.
    pub baseline: String,
    /// When it was queued: seconds since 1970.
    pub created: i64,
    /// Tasks with lower numbers start first.
    pub order: u64,
    /// How far it is.
    pub state: State,
    /// The folder in which the user stood.
    pub cwd: PathBuf,
    /// The stages that it reproduces.
    pub targets: Vec<String>,
    /// The other arguments of its reproduction.
    pub arguments: Vec<String>,
    /// It was queued in DVC's grammar.
    pub as_dvc: bool,
    /// It may replace an experiment of its name.
    pub force: bool,
    /// Untracked files that it takes along.
    pub copy_paths: Vec<String>,
    /// The message of the experiment's commit.
    pub message: Option<String>,
    /// Who may finish it: made anew whenever a worker takes it.
    #[serde(default)]
    pub claim: String,
    /// The worker that has or had it.
    #[serde(default)]
    pub worker: String,
    /// How often a worker took it.
    #[serde(default)]
    pub attempts: u32,
    /// The process that runs or ran it.
    #[serde(default)]
    pub pid: Option<u32>,
    /// The work tree in which it runs.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// How its process ended.
    #[serde(default)]
    pub returncode: Option<i32>,
    /// The experiment's commit, written before the experiment's reference.
    #[serde(default)]
    pub commit: Option<String>,
    /// The user wants it to end.
    #[serde(default)]
    pub killed: bool,
}

impl Task {
    /// Whether it waits for a worker.
    pub fn is_queued(&self) -> bool {
        self.state == State::Queued
    }

    /// Whether a worker has it.
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// Where its experiment starts from, and its name.
    pub fn start(&self) -> Start {
        Start { baseline: self.baseline.clone(), name: self.name.clone() }
    }

    /// What it starts with.
    fn prepared(&self) -> Prepared {
        Prepared { start: self.start(), tree: self.tree.clone() }
    }

    /// The file with its output.
    pub fn log(&self, repo: &Repo) -> PathBuf {
        folder(repo).join("logs").join(format!("{}.out", self.rev))
    }

    fn file(&self, repo: &Repo) -> PathBuf {
        folder(repo).join("tasks").join(format!("{}.json", self.rev))
    }

    /// The file that its process holds locked.
    fn lock(&self, repo: &Repo) -> PathBuf {
        folder(repo).join("tasks").join(format!("{}.lock", self.rev))
    }

    fn save(&self, repo: &Repo) -> Result<()> {
        let file = self.file(repo);
        let text = serde_json::to_string(self).map_err(|error| bad_task(&file, error))?;
        matraz_base::file::write(&file, text.as_bytes()).map_err(Error::io("write", &file))
    }
}

fn bad_task(file: &std::path::Path, error: serde_json::Error) -> Error {
    ExperimentError::BadTask { path: file.display().to_string(), reason: error.to_string() }.into()
}

/// The queue's own folder.
fn folder(repo: &Repo) -> PathBuf {
    repo.tmp_dir().join("exps").join("matraz")
}

/// How long a change of the queue may take another process.
const PATIENCE: Duration = Duration::from_secs(120);

/// Keeps other processes from changing the queue.
fn lock(repo: &Repo) -> Result<Lock> {
    for folder in ["tasks", "logs", "workers"].map(|name| folder(repo).join(name)) {
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    }
    let never = AtomicBool::new(false);
    Ok(lock::acquire(&folder(repo).join("lock"), None, PATIENCE, &never, &mut |_| {})?)
}

/// A lock of a process for its life; `None` when another one holds it.
fn lock_for_life(path: &std::path::Path) -> Result<Option<Lock>> {
    match lock::acquire(path, None, Duration::ZERO, &AtomicBool::new(false), &mut |_| {}) {
        Ok(lock) => Ok(Some(lock)),
        Err(lock::LockError::Busy { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// All tasks, in the order in which they were queued.
pub fn tasks(repo: &Repo) -> Result<Vec<Task>> {
    let folder = folder(repo).join("tasks");
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(Vec::new()) };
    let mut tasks: Vec<Task> = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io("read", &folder))?.path();
        if path.extension().is_some_and(|suffix| suffix == "json") {
            let Some(text) = matraz_base::file::read_if_present(&path).map_err(Error::io("read", &path))?
            else {
                continue;
            };
            tasks.push(serde_json::from_str(&text).map_err(|error| bad_task(&path, error))?);
        }
    }
    tasks.sort_by_key(|task| task.order);
    Ok(tasks)
}

/// The newest task of this name, or the one whose commit begins like this, among those that fit.
pub fn find<'t>(tasks: &'t [Task], name: &str, fits: impl Fn(&Task) -> bool) -> Option<&'t Task> {
    let is_hash = name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let by_name = tasks.iter().rev().find(|task| task.name == name && fits(task));
    by_name.or_else(|| {
        tasks.iter().find(|task| is_hash && task.rev.starts_with(&name.to_ascii_lowercase()) && fits(task))
    })
}

/// The commit of a task that has no experiment: it waits, or failed.
pub fn commit_of(repo: &Repo, name: &str) -> Result<Option<String>> {
    Ok(find(&tasks(repo)?, name, |task| !task.is_running()).map(|task| task.rev.clone()))
}

/// What a task is queued with besides its request.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// Arguments of the reproduction.
    pub arguments: Vec<String>,
    /// Untracked files to take along.
    pub copy_paths: Vec<String>,
    /// DVC's grammar.
    pub as_dvc: bool,
    /// Now: seconds since 1970.
    pub now: i64,
}

/// Queues an experiment. The project's lock is held.
pub fn put(repo: &Repo, request: &Request, extras: &Extras, interrupt: &Interrupt) -> Result<Task> {
    let git = git_of(repo)?;
    let known = tasks(repo)?;
    let taken: Vec<String> = known.iter().map(|task| task.name.clone()).collect();
    let prepared = temp::prepare(repo, request, &taken, interrupt)?;
    let _lock = lock(repo)?;
    let order = tasks(repo)?.iter().map(|task| task.order + 1).max().unwrap_or(1);
    let baseline = prepared.start.baseline;
    let message = format!("dvc-exp:{baseline}:{baseline}:{}", prepared.start.name);
    let mut task = Task {
        rev: git.commit_tree(&prepared.tree, &[&baseline], &message)?,
        tree: prepared.tree,
        name: prepared.start.name,
        baseline,
        created: extras.now,
        order,
        state: State::Queued,
        cwd: request.cwd.clone(),
        targets: request.targets.clone(),
        arguments: extras.arguments.clone(),
        as_dvc: extras.as_dvc,
        force: request.force,
        copy_paths: extras.copy_paths.clone(),
        message: request.message.clone(),
        claim: String::new(),
        worker: String::new(),
        attempts: 0,
        pid: None,
        root: None,
        returncode: None,
        commit: None,
        killed: false,
    };
    // The same changes queued twice within a second are two tasks.
    let mut n = 0;
    while task.file(repo).exists() {
        n += 1;
        task.rev = git.commit_tree(&task.tree, &[&task.baseline], &format!("{message}\n\n{n}"))?;
    }
    git.set_reference(&format!("{KEPT}{}", task.rev), &task.tree, None)?;
    task.save(repo)?;
    git.push_stash(refs::QUEUE_STASH, &task.rev, &format!("commit: {message}"))?;
    Ok(task)
}

/// Takes tasks out of the queue, with their output. Those that run are left.
pub fn remove(repo: &Repo, gone: &[Task]) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let git = git_of(repo)?;
    let _lock = lock(repo)?;
    let present = tasks(repo)?;
    for task in present.iter().filter(|task| gone.iter().any(|one| one.rev == task.rev) && !task.is_running())
    {
        for file in [task.file(repo), task.lock(repo), task.log(repo)] {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &file)(error));
                }
                _ => {}
            }
        }
        for stash in [refs::QUEUE_STASH, refs::FAILED_STASH] {
            git.drop_stash(stash, &task.rev)?;
        }
        git.remove_references([format!("{KEPT}{}", task.rev).as_str()])?;
    }
    Ok(())
}
