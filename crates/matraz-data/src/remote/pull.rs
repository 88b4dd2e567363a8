//! `pull`: fetches, then checks out.

use std::path::Path;

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use super::fetch;
use crate::cache::Cache;
use crate::checkout::{self, Wanted};
use crate::index::Index;
use crate::source::partial;
use crate::target;
use crate::{Repo, Result};

/// What is pulled.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What is fetched.
    pub fetch: fetch::Options,
    /// Remove data that the cache cannot bring back.
    pub force: bool,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    /// What came from the remote.
    pub fetch: fetch::Report,
    /// What happened in the workspace; none when something could not be fetched.
    pub checkout: Option<checkout::Report>,
}

/// Fetches the targets and brings them into the workspace.
pub fn pull(
    repo: &Repo,
    targets: &[String],
    options: &Options,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let fetched = fetch::fetch(repo, targets, &options.fetch, cwd, progress, interrupt)?;
    if !fetched.failed.is_empty() || fetched.lost > 0 {
        return Ok(Report { fetch: fetched, checkout: None });
    }
    let index = Index::load_for(repo, targets, options.fetch.targets, cwd)?;
    let selections = target::select(repo, &index, targets, options.fetch.targets, cwd)?;
    let wanted = Wanted::of(&selections, &index);
    let mut cache = Cache::open(repo);
    let how = checkout::Options { force: options.force, relink: false };
    let mut done = checkout::checkout(repo, &mut cache, &wanted, how, progress, interrupt.flag())?;
    partial::check_out(repo, &index, &selections, &mut done, progress, interrupt)?;
    if targets.is_empty() {
        done.remove_left_over(repo, &mut cache, &index, progress, interrupt.flag())?;
    }
    let mut fetched = fetched;
    fetched.corrupted.extend(cache.take_corrupted());
    Ok(Report { fetch: fetched, checkout: Some(done) })
}
