//! `exp clean`: removes what experiments that ended in a bad way left behind.

use std::fs;

use super::queue::{self, Task};
use super::start::git_of;
use super::{state, temp};
use crate::{Error, Repo, Result};

/// Removes work trees that no running experiment uses, and what is remembered of commits.
pub fn clean(repo: &Repo) -> Result<()> {
    let git = git_of(repo)?;
    let used: Vec<_> =
        queue::tasks(repo)?.into_iter().filter(Task::is_running).filter_map(|task| task.root).collect();
    let folder = temp::folder(repo);
    for entry in fs::read_dir(&folder).into_iter().flatten() {
        let path = entry.map_err(Error::io("read", &folder))?.path();
        let is_lock = path.extension().is_some_and(|suffix| suffix == "lock");
        if is_lock && !path.with_extension("").exists() {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        } else if !is_lock && !used.contains(&path) && !temp::is_in_use(&path) {
            git.remove_work_tree(&path)?;
        }
    }
    state::forget(repo)
}
