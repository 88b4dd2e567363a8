//! Looking at the queue and its workers, and ending what runs.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use super::super::error::ExperimentError;
use super::worker::{fail, stop_file};
use super::{Task, find, folder, lock, lock_for_life, tasks};
use crate::{Error, Repo, Result};

/// The workers that live, and whether each has a task.
pub fn workers(repo: &Repo) -> Result<Vec<(String, bool)>> {
    let Ok(entries) = fs::read_dir(folder(repo).join("workers")) else { return Ok(Vec::new()) };
    let _lock = lock(repo)?;
    let all = tasks(repo)?;
    let mut workers = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_lock = path.extension().is_some_and(|suffix| suffix == "lock");
        if is_lock && lock_for_life(&path)?.is_none() {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let busy = all.iter().any(|task| task.is_running() && task.worker == name);
            workers.push((name, busy));
        }
    }
    workers.sort();
    Ok(workers)
}

/// Whether workers are to end after their present tasks.
pub fn is_stopped(repo: &Repo) -> bool {
    stop_file(repo).exists()
}

/// The file with the output of a task.
pub fn log(repo: &Repo, name: &str) -> Result<(Task, PathBuf)> {
    let all = tasks(repo)?;
    let Some(task) = find(&all, name, |task| !task.is_queued()) else {
        return Err(match find(&all, name, Task::is_queued) {
            Some(_) => ExperimentError::NotStarted { name: name.to_owned() },
            None => ExperimentError::NoSuchTask { names: vec![name.to_owned()], kind: "queued" },
        }
        .into());
    };
    let log = task.log(repo);
    if !log.is_file() {
        return Err(ExperimentError::NoLog { name: name.to_owned() }.into());
    }
    Ok((task.clone(), log))
}

/// What became of a wish to end tasks.
#[derive(Clone, Debug, Default)]
pub struct Killed {
    /// The names of those that were told to end.
    pub killed: Vec<String>,
    /// The names that no running task has.
    pub missing: Vec<String>,
}

/// Ends running tasks, as Ctrl-C does, or at once with `force`.
pub fn kill(repo: &Repo, names: &[String], force: bool) -> Result<Killed> {
    let _lock = lock(repo)?;
    let mut outcome = Killed::default();
    for name in names {
        let all = tasks(repo)?;
        let Some(task) = find(&all, name, Task::is_running) else {
            outcome.missing.push(name.clone());
            continue;
        };
        end(repo, task.clone(), force)?;
        outcome.killed.push(name.clone());
    }
    Ok(outcome)
}

fn end(repo: &Repo, mut task: Task, force: bool) -> Result<()> {
    task.killed = true;
    if lock_for_life(&task.lock(repo))?.is_some() {
        // Nothing runs any more, or not yet: its worker sees that it is not wanted.
        fail(repo, &mut task)?;
        task.claim.clear();
        return task.save(repo);
    }
    task.save(repo)?;
    let Some(pid) = task.pid else { return Ok(()) };
    if !force {
        signal(pid, libc::SIGINT);
        return Ok(());
    }
    let family = descendants(pid);
    signal(pid, libc::SIGKILL);
    for child in family {
        signal(child, libc::SIGKILL);
    }
    Ok(())
}

#[expect(unsafe_code, reason = "the standard library sends no signals")]
fn signal(pid: u32, signal: libc::c_int) {
    if let Ok(pid) = libc::pid_t::try_from(pid)
        && pid > 1
    {
        // SAFETY: kill takes numbers and touches no memory of ours.
        unsafe { libc::kill(pid, signal) };
    }
}

/// The processes below another one.
fn descendants(pid: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name of the program, in brackets, may hold anything.
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(child);
        }
    }
    let mut found = Vec::new();
    let mut pending = vec![pid];
    while let Some(next) = pending.pop() {
        for child in children.remove(&next).unwrap_or_default() {
            found.push(child);
            pending.push(child);
        }
    }
    found
}

/// Lets workers end after their present tasks; with `force` these end too. Returns the names of those that were ended.
pub fn stop(repo: &Repo, force: bool) -> Result<Vec<String>> {
    let _lock = lock(repo)?;
    let file = stop_file(repo);
    matraz_base::file::write(&file, b"").map_err(Error::io("write", &file))?;
    let mut ended = Vec::new();
    if force {
        for task in tasks(repo)?.into_iter().filter(Task::is_running) {
            ended.push(task.name.clone());
            end(repo, task, true)?;
        }
    }
    Ok(ended)
}
