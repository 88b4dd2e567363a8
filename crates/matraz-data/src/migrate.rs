//! `cache migrate --dvc-files`: takes the project's files over from DVC 2.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use crate::cache::Cache;
use crate::index::Index;
use crate::pipeline::RunCache;
use crate::pipeline::content::Contents;
use crate::stage::{LockEntry, LockFile, Source, Stage, dot_dvc};
use crate::workspace::{self, Target};
use crate::{Repo, Result};

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    /// The `.dvc` files that were written.
    pub data_files: Vec<PathBuf>,
    /// The lock files that were written.
    pub lock_files: Vec<PathBuf>,
    /// The `.gitignore` files that were written.
    pub ignores: BTreeSet<PathBuf>,
    /// The files of stages whose data are not in the workspace: they keep their digests of DVC 2.
    pub kept: BTreeSet<PathBuf>,
}

/// The files with digests of DVC 2.
pub fn files(repo: &Repo) -> Result<BTreeSet<PathBuf>> {
    let index = Index::load(repo)?;
    Ok(index.stages.iter().filter(|stage| is_legacy(repo, stage)).map(|s| s.address.file.clone()).collect())
}

/// Replaces the digests of DVC 2 by those of the data as the workspace has them.
pub fn migrate(repo: &Repo, progress: &dyn Progress, interrupt: &Interrupt) -> Result<Report> {
    let mut index = Index::load(repo)?;
    let mut cache = Cache::open(repo);
    let mut contents = Contents::new(repo, progress, interrupt);
    let mut report = Report::default();
    let mut locks: BTreeMap<PathBuf, LockFile> = BTreeMap::new();
    for stage in index.stages.iter_mut().filter(|stage| is_legacy(repo, stage)) {
        if !refresh(repo, &mut cache, stage, &mut contents, progress, interrupt)? {
            report.kept.insert(stage.address.file.clone());
            continue;
        }
        if let Some(git) = &repo.git {
            let kept: Vec<&PathBuf> = stage
                .outs
                .iter()
                .filter(|out| out.cache && repo.contains(&out.path))
                .map(|o| &o.path)
                .collect();
            report.ignores.extend(git.ignore_many(&kept)?.files);
        }
        RunCache::open(repo).remember(repo, &mut cache, stage, progress, interrupt)?;
        let file = stage.address.file.clone();
        let Some(name) = stage.address.name.clone() else {
            if dot_dvc::save(stage)? {
                report.data_files.push(file);
            }
            continue;
        };
        let lock = match locks.get_mut(&file) {
            Some(lock) => lock,
            None => {
                let lock = LockFile::beside(&file)?;
                locks.entry(file.clone()).or_insert(lock)
            }
        };
        lock.entries.insert(name, LockEntry::of(stage));
        if lock.save()? && !report.lock_files.contains(&lock.path) {
            report.lock_files.push(lock.path.clone());
        }
    }
    repo.stage_for_git(&report.changed())?;
    Ok(report)
}

impl Report {
    /// All files that were written, for git.
    pub fn changed(&self) -> Vec<PathBuf> {
        let files = self.data_files.iter().chain(&self.lock_files).chain(&self.ignores);
        files.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// Whether something that is recorded of a stage has a digest of DVC 2. The sources of imports are not ours.
fn is_legacy(repo: &Repo, stage: &Stage) -> bool {
    let ours = |dep: &&crate::stage::Dependency| dep.source == Source::Local && repo.contains(&dep.path);
    stage.outs.iter().any(|out| out.legacy)
        || (!stage.is_import() && stage.deps.iter().filter(ours).any(|dep| dep.legacy))
}

/// Gives the stage digests of DVC 3; false when data are missing.
fn refresh(
    repo: &Repo,
    cache: &mut Cache,
    stage: &mut Stage,
    contents: &mut Contents<'_>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<bool> {
    let is_import = stage.is_import();
    let mut fresh = stage.clone();
    for dep in fresh.deps.iter_mut().filter(|dep| dep.legacy && !is_import && dep.source == Source::Local) {
        let Some((digest, meta)) = contents.of(&dep.path, false)? else { return Ok(false) };
        (dep.digest, dep.meta, dep.legacy) = (Some(digest), meta, false);
    }
    for out in fresh.outs.iter_mut().filter(|out| out.legacy) {
        let target = [Target::new(out.path.clone())];
        let found = match out.cache {
            true => workspace::save_many(repo, cache, &target, progress, interrupt.flag())?,
            false => workspace::hash_many(repo, &target, progress, interrupt.flag())?,
        };
        let Some(content) = found.into_iter().next().flatten() else { return Ok(false) };
        (out.digest, out.meta, out.legacy) = (Some(content.digest), content.meta, false);
        out.extra.shift_remove("files");
    }
    *stage = fresh;
    Ok(true)
}
