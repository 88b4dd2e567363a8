//! `commit`: records the workspace as it is, and stores it in the cache.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use crate::cache::{Cache, Corrupted};
use crate::checkout::{self, Wanted};
use crate::index::Index;
use crate::pipeline::RunCache;
use crate::pipeline::changes;
use crate::pipeline::content::Contents;
use crate::stage::{LockEntry, LockFile, Stage, dot_dvc};
use crate::target::{self, Selection, TargetOptions};
use crate::workspace::{self, Target};
use crate::{Error, Repo, Result};

/// How data are committed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How the targets are understood.
    pub targets: TargetOptions,
    /// Record changes without asking.
    pub force: bool,
    /// Leave the files as they are even when the settings ask for links.
    pub no_relink: bool,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    /// `.dvc`, `dvc.lock` and `.gitignore` files that were written.
    pub changed: Vec<PathBuf>,
    /// The lock files that were written, once for each stage, and whether they were made.
    pub locks: Vec<(PathBuf, bool)>,
    /// Corrupted cache objects that were met; they are removed.
    pub corrupted: Vec<Corrupted>,
}

/// Commits the targets, all of the project when there is none. `confirm` is asked before changes are recorded.
pub fn commit(
    repo: &Repo,
    targets: &[String],
    options: Options,
    cwd: &Path,
    confirm: &mut dyn FnMut(&str) -> bool,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let mut index = Index::load_for(repo, targets, options.targets, cwd)?;
    let selections = target::select(repo, &index, targets, options.targets, cwd)?;
    let outs = || selections.iter().flat_map(|one| &index.stages[one.stage].outs);
    for out in outs().filter(|out| out.cache) {
        if !repo.contains(&out.path) {
            return Err(Error::OutsideProject { path: out.path.clone() });
        }
        repo.refuse_detour(&out.path)?;
    }
    let outs = outs().map(|out| out.path.as_path());
    let _locks = repo.lock_paths("commit", outs, interrupt.flag())?;
    let mut contents = Contents::new(repo, progress, interrupt);
    contents.look_at(selections.iter().map(|selection| &index.stages[selection.stage]))?;
    let mut cache = Cache::open(repo);
    let mut report = Report::default();
    let mut locks: BTreeMap<PathBuf, LockFile> = BTreeMap::new();
    let outcome = (|| -> Result<()> {
        for selection in &selections {
            let stage = &mut index.stages[selection.stage];
            let changed = changed_entries(repo, stage, &mut contents)?;
            if options.force || !changed.is_empty() {
                if !options.force && !confirm(&question(stage, &changed, cwd)) {
                    return Err(Error::CommitDeclined { stage: stage.address.display(cwd) });
                }
                save(repo, stage, &mut contents, &mut report)?;
                RunCache::open(repo).remember(repo, &mut cache, stage, progress, interrupt)?;
            }
            store(repo, &mut cache, stage, selection, options, progress, interrupt)?;
            match &stage.address.name {
                None => {
                    if dot_dvc::save(stage)? {
                        report.changed.push(stage.address.file.clone());
                    }
                }
                Some(name) => {
                    let file = &stage.address.file;
                    let lock = match locks.get_mut(file) {
                        Some(lock) => lock,
                        None => {
                            let lock = index.locks.remove(file).map_or_else(|| LockFile::beside(file), Ok)?;
                            locks.entry(file.clone()).or_insert(lock)
                        }
                    };
                    lock.entries.insert(name.clone(), LockEntry::of(stage));
                    let is_new = !lock.path.exists();
                    if lock.save()? {
                        report.changed.push(lock.path.clone());
                        report.locks.push((lock.path.clone(), is_new));
                    }
                }
            }
        }
        Ok(())
    })();
    report.changed.sort();
    report.changed.dedup();
    report.corrupted = cache.take_corrupted();
    outcome.map(|()| report)
}

/// The names of dependencies and outputs whose content is not the recorded one, and of what else differs.
fn changed_entries(repo: &Repo, stage: &Stage, contents: &mut Contents<'_>) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    if changes::command_changed(stage) {
        changed.push("the command".to_owned());
    }
    for (path, _) in changes::deps(repo, stage, contents)? {
        changed.push(path.display().to_string());
    }
    for (path, _) in changes::params_of(stage)? {
        changed.push(path.display().to_string());
    }
    for out in &stage.outs {
        match contents.of(&out.path, out.legacy)? {
            Some((digest, _)) if Some(digest) == out.digest => {}
            _ => changed.push(out.path.display().to_string()),
        }
    }
    Ok(changed)
}

fn question(stage: &Stage, changed: &[String], cwd: &Path) -> String {
    format!(
        "{} of {} changed. Are you sure you want to commit it?",
        changed.join(", "),
        stage.address.display(cwd)
    )
}

/// Takes over what the workspace holds.
fn save(repo: &Repo, stage: &mut Stage, contents: &mut Contents<'_>, report: &mut Report) -> Result<()> {
    let missing = changes::refresh_deps(repo, stage, contents)?;
    if let Some(name) = missing.first() {
        return Err(Error::NothingThere { path: stage.wdir.join(name) });
    }
    for out in &mut stage.outs {
        let found = contents.of(&out.path, out.legacy)?;
        let (mut digest, mut meta) = found.ok_or_else(|| Error::NothingThere { path: out.path.clone() })?;
        if out.legacy && Some(digest) != out.digest {
            // Changed data lose the digest of DVC 2.
            let fresh = contents.of(&out.path, false)?;
            (digest, meta) = fresh.ok_or_else(|| Error::NothingThere { path: out.path.clone() })?;
            out.legacy = false;
        }
        out.digest = Some(digest);
        out.meta = meta;
        out.extra.shift_remove("files");
        if let Some(git) = repo.git.as_ref().filter(|_| out.cache && repo.contains(&out.path)) {
            if git.is_tracked(&out.path)? {
                return Err(Error::GitTrackedOutput { path: out.path.clone() });
            }
            report.changed.extend(git.ignore(&out.path)?);
        }
    }
    if stage.is_data() {
        stage.md5 = dot_dvc::import_md5(stage);
    }
    Ok(())
}

/// Stores the cached outputs of a stage, or the part of one that was asked for.
fn store(
    repo: &Repo,
    cache: &mut Cache,
    stage: &Stage,
    selection: &Selection,
    options: Options,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let outs: Vec<_> = stage.outs.iter().filter(|out| out.cache && selection.includes(out)).collect();
    let targets: Vec<Target> =
        outs.iter().map(|out| Target::with_legacy(out.path.clone(), out.legacy)).collect();
    let stored = workspace::save_many(repo, cache, &targets, progress, interrupt.flag())?;
    let mut wanted = Vec::with_capacity(outs.len());
    for (output, content) in outs.iter().zip(stored) {
        let content = content.ok_or_else(|| Error::NothingThere { path: output.path.clone() })?;
        wanted.push(Wanted { linked: content.linked, ..Wanted::whole(output) });
    }
    if !options.no_relink {
        checkout::relink_if_needed(repo, cache, &wanted, progress, interrupt.flag())?;
    }
    Ok(())
}
