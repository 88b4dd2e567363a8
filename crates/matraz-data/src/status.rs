//! `status`: how the workspace stands against what the project's files say.

use std::path::Path;

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use crate::cache::{Cache, Corrupted};
use crate::index::Index;
use crate::pipeline::changes::{self, Changes, Updates};
use crate::pipeline::content::Contents;
use crate::stage::{Address, Source};
use crate::target::{self, TargetOptions};
use crate::{Repo, Result};

/// The stages that differ from what is recorded of them.
#[derive(Debug, Default)]
pub struct Status {
    /// What differs: data files, then stages, both in the order of the project's files.
    pub changed: Vec<(Address, Changes)>,
    /// Frozen stages that were looked at: their dependencies were not.
    pub frozen: Vec<Address>,
    /// Whether the project has no stage at all.
    pub empty: bool,
    /// Corrupted cache objects that were met; they are removed.
    pub corrupted: Vec<Corrupted>,
}

/// Looks at the targets, at all of the project when there is none. `updates` says whether the sources of imports are asked
/// what they are now.
pub fn status(
    repo: &Repo,
    targets: &[String],
    options: TargetOptions,
    updates: Updates,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Status> {
    let index = Index::load(repo)?;
    let selections = target::select(repo, &index, targets, options, cwd)?;
    let stages: Vec<_> = selections.iter().map(|selection| &index.stages[selection.stage]).collect();
    let mut cache = Cache::open(repo);
    let mut contents = Contents::new(repo, progress, interrupt);
    let found = changes::of_stages(repo, &mut cache, &stages, &mut contents, updates, interrupt)?;
    let mut status = Status { empty: index.stages.is_empty(), ..Status::default() };
    for ((selection, stage), mut changes) in selections.iter().zip(stages).zip(found) {
        let is_repo = stage.is_import() && matches!(stage.deps[0].source, Source::Repo(_));
        if stage.frozen && !is_repo {
            status.frozen.push(stage.address.clone());
        }
        if let Some(only) = &selection.only {
            changes.outs.retain(|(path, _)| only.starts_with(path));
        }
        if !changes.is_empty() {
            status.changed.push((stage.address.clone(), changes));
        }
    }
    // Data before the stages that read them.
    status.changed.sort_by_key(|(address, _)| address.name.is_some());
    status.corrupted = cache.take_corrupted();
    Ok(status)
}
