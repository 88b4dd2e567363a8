//! Running one task, in a process of its own.

use std::path::Path;

use matraz_base::lock::Lock;
use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;
use matraz_base::{Explain, Kind};

use super::super::run::{Finished, Reproduce};
use super::super::start::Request;
use super::super::temp;
use super::worker::fail;
use super::{State, Task, lock, lock_for_life, tasks};
use crate::{Error, Repo, Result};

/// Runs a task that a worker has claimed, and notes how it ended. `None` when the claim is no longer good.
pub fn execute(
    repo: &Repo,
    rev: &str,
    claim: &str,
    reproduce: Reproduce<'_>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Option<Finished>> {
    let Some((task, _life)) = take(repo, rev, claim)? else { return Ok(None) };
    let request = Request {
        cwd: task.cwd.clone(),
        name: Some(task.name.clone()),
        force: task.force,
        targets: task.targets.clone(),
        message: task.message.clone(),
        ..Request::default()
    };
    let prepared = task.prepared();
    let run = temp::Run {
        prepared: &prepared,
        request: &request,
        copy_paths: &task.copy_paths,
        dry: false,
        placed: &|root: &Path| change(repo, &task, |task| task.root = Some(root.to_path_buf())),
        committed: &|commit: &str| change(repo, &task, |task| task.commit = Some(commit.to_owned())),
    };
    let done = temp::run(repo, &run, reproduce, progress, interrupt);
    let failed = done.as_ref().err().map(Error::kind);
    let _lock = lock(repo)?;
    if let Some(mut now) = current(repo, &task)? {
        now.root = None;
        match failed {
            None => {
                now.state = State::Success;
                now.returncode = Some(0);
            }
            Some(kind) => {
                now.returncode = Some(if kind == Kind::Interrupted { 252 } else { 255 });
                now.commit = None;
                fail(repo, &mut now)?;
            }
        }
        now.save(repo)?;
    }
    done
}

/// Makes the task this process's own, for as long as the lock lives.
fn take(repo: &Repo, rev: &str, claim: &str) -> Result<Option<(Task, Lock)>> {
    let _lock = lock(repo)?;
    let found = tasks(repo)?.into_iter().find(|task| task.rev == rev);
    let Some(mut task) = found.filter(|task| task.claim == claim && task.is_running()) else {
        return Ok(None);
    };
    let Some(life) = lock_for_life(&task.lock(repo))? else { return Ok(None) };
    task.pid = Some(std::process::id());
    task.save(repo)?;
    Ok(Some((task, life)))
}

/// The task as it is now, if it is still that of this claim.
fn current(repo: &Repo, task: &Task) -> Result<Option<Task>> {
    Ok(tasks(repo)?
        .into_iter()
        .find(|now| now.rev == task.rev && now.claim == task.claim && now.is_running()))
}

fn change(repo: &Repo, task: &Task, change: impl FnOnce(&mut Task)) -> Result<()> {
    let _lock = lock(repo)?;
    if let Some(mut now) = current(repo, task)? {
        change(&mut now);
        now.save(repo)?;
    }
    Ok(())
}
