//! Workers: processes that take tasks until there are none.
//!
//! A worker holds a lock for its life, and so does the process that runs a task. A task that is called running though
//! neither lives was left by workers that were killed, and is taken again.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use matraz_base::lock::Lock;
use matraz_base::process::Interrupt;

use super::super::error::ExperimentError;
use super::super::record;
use super::super::refs;
use super::super::start::git_of;
use super::{State, Task, folder, lock, lock_for_life, tasks};
use crate::{Error, Repo, Result};

/// How to start this program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// Its name, by which it tells what the first words mean.
    pub name: OsString,
}

impl Program {
    /// A call of it that reads nothing and writes to a file.
    fn command(&self, words: &[&str], folder: &Path, output: &Path) -> Result<Command> {
        if let Some(parent) = output.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        let file =
            File::options().create(true).append(true).open(output).map_err(Error::io("write", output))?;
        let copy = file.try_clone().map_err(Error::io("write", output))?;
        let mut command = Command::new(&self.path);
        command
            .arg0(&self.name)
            .args(words)
            .current_dir(folder)
            // A queue is not part of a stage that starts it.
            .env_remove("DVC_ROOT")
            .env_remove("DVC_STAGE")
            .stdin(Stdio::null())
            .stdout(Stdio::from(file))
            .stderr(Stdio::from(copy))
            .process_group(0);
        Ok(command)
    }
}

/// Starts workers until there are `count`. Returns how many were started.
pub fn start_workers(repo: &Repo, count: usize, program: &Program) -> Result<usize> {
    let _lock = lock(repo)?;
    let stop = stop_file(repo);
    match fs::remove_file(&stop) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io("remove", &stop)(error));
        }
        _ => {}
    }
    let mut started = 0;
    for number in 1..=count {
        let name = format!("worker-{number}");
        if lock_for_life(&life_file(repo, &name))?.is_none() {
            continue;
        }
        let log = folder(repo).join("workers").join(format!("{name}.out"));
        let words = ["dvc", "exp", "queue-worker", name.as_str()];
        let mut child = program
            .command(&words, &repo.root, &log)?
            .spawn()
            .map_err(|source| ExperimentError::WorkerNotStarted { source })?;
        // One that ends while we live is not to stay as a zombie.
        std::thread::spawn(move || child.wait());
        started += 1;
    }
    Ok(started)
}

pub(super) fn stop_file(repo: &Repo) -> PathBuf {
    folder(repo).join("stop")
}

pub(super) fn life_file(repo: &Repo, worker: &str) -> PathBuf {
    folder(repo).join("workers").join(format!("{worker}.lock"))
}

/// How often a task may be taken whose process dies without a word.
const MOST_ATTEMPTS: u32 = 5;
/// How often the queue is looked at while others still run.
const PAUSE: Duration = Duration::from_millis(300);

/// A worker.
pub struct Worker<'r> {
    repo: &'r Repo,
    name: String,
    _life: Lock,
}

impl<'r> Worker<'r> {
    /// Becomes the worker of this name; `None` when there is one already.
    pub fn begin(repo: &'r Repo, name: &str) -> Result<Option<Self>> {
        // Locks for life are looked at only by those who hold the queue's.
        let _lock = lock(repo)?;
        let life = lock_for_life(&life_file(repo, name))?;
        Ok(life.map(|life| Self { repo, name: name.to_owned(), _life: life }))
    }

    /// Takes tasks and runs each in a process of its own, until none waits and none may come back.
    pub fn work(&self, program: &Program, interrupt: &Interrupt) -> Result<()> {
        while !interrupt.is_raised() && !stop_file(self.repo).exists() {
            match self.claim()? {
                Some(task) => self.run(&task, program)?,
                None if tasks(self.repo)?.iter().any(Task::is_running) => std::thread::sleep(PAUSE),
                None => break,
            }
        }
        Ok(())
    }

    fn run(&self, task: &Task, program: &Program) -> Result<()> {
        let mut words = if task.as_dvc { vec!["dvc"] } else { Vec::new() };
        words.extend(["exp", "exec-run", "--task", &task.rev, "--claim", &task.claim]);
        let child = program.command(&words, &self.repo.root, &task.log(self.repo))?.spawn();
        let code = match child {
            Ok(mut child) => {
                use std::os::unix::process::ExitStatusExt;
                let status = child.wait().ok();
                status.and_then(|status| status.code().or_else(|| status.signal().map(|signal| -signal)))
            }
            Err(source) => return Err(ExperimentError::WorkerNotStarted { source }.into()),
        };
        self.settle(task, code)
    }

    /// A process that ended has settled its task itself, unless it was killed.
    fn settle(&self, task: &Task, code: Option<i32>) -> Result<()> {
        let _lock = lock(self.repo)?;
        let now = tasks(self.repo)?.into_iter().find(|one| one.rev == task.rev);
        let Some(mut now) = now.filter(|one| one.claim == task.claim) else { return Ok(()) };
        if now.is_running() {
            recover(self.repo, &mut now)?;
            if now.is_running() {
                match now.killed || now.attempts >= MOST_ATTEMPTS {
                    true => fail(self.repo, &mut now)?,
                    false => now.state = State::Queued,
                }
            }
        }
        now.returncode = now.returncode.or(code);
        now.save(self.repo)
    }

    /// The next task: one that a killed worker left, or the first that waits.
    fn claim(&self) -> Result<Option<Task>> {
        let _lock = lock(self.repo)?;
        let mut all = tasks(self.repo)?;
        for task in all.iter_mut().filter(|task| task.is_running()) {
            if self.is_abandoned(task)? {
                recover(self.repo, task)?;
                match task.killed {
                    _ if !task.is_running() => {}
                    true => fail(self.repo, task)?,
                    false => task.state = State::Queued,
                }
                task.save(self.repo)?;
            }
        }
        let Some(task) = all.iter_mut().find(|task| task.is_queued()) else { return Ok(None) };
        let fresh = task.attempts == 0;
        task.state = State::Running;
        task.worker = self.name.clone();
        task.attempts += 1;
        task.claim = format!("{}-{}", matraz_base::file::mark(), task.attempts);
        task.pid = None;
        task.returncode = None;
        task.save(self.repo)?;
        if fresh {
            git_of(self.repo)?.drop_stash(refs::QUEUE_STASH, &task.rev)?;
        }
        Ok(Some(task.clone()))
    }

    /// Whether neither the worker that has the task nor its process lives.
    fn is_abandoned(&self, task: &Task) -> Result<bool> {
        if task.worker != self.name && lock_for_life(&life_file(self.repo, &task.worker))?.is_none() {
            return Ok(false);
        }
        Ok(lock_for_life(&task.lock(self.repo))?.is_some())
    }
}

/// Completes a task that was killed between its commit and its end, and removes its work tree.
fn recover(repo: &Repo, task: &mut Task) -> Result<()> {
    let git = git_of(repo)?;
    if let Some(root) = task.root.take() {
        git.remove_work_tree(&root)?;
    }
    if let Some(commit) = task.commit.clone()
        && git.resolve_plain(&commit).is_some()
    {
        record::publish(git, &task.start(), &commit, task.force)?;
        task.state = State::Success;
    }
    Ok(())
}

/// Notes that a task failed, where DVC keeps such.
pub(super) fn fail(repo: &Repo, task: &mut Task) -> Result<()> {
    task.state = State::Failed;
    let message = format!("commit: dvc-exp:{0}:{0}:{1}", task.baseline, task.name);
    git_of(repo)?.push_stash(refs::FAILED_STASH, &task.rev, &message)
}
