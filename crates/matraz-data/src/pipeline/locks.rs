//! The locks of a reproduction: the project's own, free while commands run, and the table of paths in use.

use std::thread;
use std::time::Duration;

use matraz_base::Progress;
use matraz_base::lock::{self, Lock, LockError, PathLocks};
use matraz_base::process::Interrupt;

use crate::stage::{Source, Stage};
use crate::{Error, Repo, Result};

/// How long to wait before asking for paths again that another process uses.
const PATHS_PAUSE: Duration = Duration::from_millis(100);

/// The project's lock, and who waits for it.
pub struct ProjectLock<'r> {
    repo: &'r Repo,
    progress: &'r dyn Progress,
    interrupt: &'r Interrupt,
    held: Option<Lock>,
}

impl<'r> ProjectLock<'r> {
    /// Takes the lock; says for whom it waits.
    pub fn take(repo: &'r Repo, progress: &'r dyn Progress, interrupt: &'r Interrupt) -> Result<Self> {
        repo.prepare()?;
        let mut lock = Self { repo, progress, interrupt, held: None };
        lock.take_again()?;
        Ok(lock)
    }

    /// Frees the lock for as long as a command runs.
    pub fn release(&mut self) {
        self.held = None;
    }

    /// Takes the lock after [`release`](Self::release).
    pub fn take_again(&mut self) -> Result<()> {
        self.held = Some(self.repo.lock(self.progress, self.interrupt.flag())?);
        Ok(())
    }

    /// Enters the paths of a stage into the table that other processes honour while its command runs. Waits for a
    /// process whose command uses one of them, with the project's lock free so that it can finish; says for whom. Also
    /// returns whether it had to wait: then the other process may have done the stage, or others.
    pub fn enter(&mut self, stage: &Stage) -> Result<(PathLocks, bool)> {
        let mut waited = false;
        loop {
            match self.try_to_enter(stage) {
                Err(LockError::PathBusy { path, owners, .. }) => {
                    if !waited {
                        let owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
                        let owners = owners.join(", ");
                        self.progress.warn(&format!("waiting for {owners}, which uses '{path}'"));
                        waited = true;
                    }
                    self.release();
                    thread::sleep(PATHS_PAUSE);
                    self.take_again()?;
                    if self.interrupt.is_raised() {
                        return Err(Error::Interrupted);
                    }
                }
                done => return Ok((done?, waited)),
            }
        }
    }

    fn try_to_enter(&self, stage: &Stage) -> Result<PathLocks, LockError> {
        let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
        let local = stage.deps.iter().filter(|dep| dep.source == Source::Local);
        let mut read: Vec<String> = local.map(|dep| text(&dep.path)).collect();
        read.extend(stage.params.iter().map(|params| text(&params.path)));
        let write = stage.outs.iter().map(|out| text(&out.path)).collect();
        // The entries of two stages that run at once differ: the end of one must not remove those of the other.
        let program = lock::command_line(std::process::id()).unwrap_or_else(|| "matraz repro".into());
        let cmd = format!("{program} (stage '{}')", stage.address.display(&self.repo.root));
        PathLocks::enter(&self.repo.tmp_dir(), &cmd, read, write, self.interrupt.flag())
    }
}
