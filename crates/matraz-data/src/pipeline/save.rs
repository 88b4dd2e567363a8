//! After a stage acted: its outputs go into the cache, what it read and made into the lock file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::changes;
use super::listings;
use super::run::Runner;
use super::run_cache::RunCache;
use crate::checkout::{self, Wanted};
use crate::stage::{Address, LockEntry, LockFile, Output, Stage, dot_dvc};
use crate::workspace::{self, Target};
use crate::{Error, Repo, Result};

/// Records what stage `n`, which is step `step` of the plan, read and made. Returns the name of the run in the run cache,
/// when it was stored there.
pub(super) fn save(runner: &mut Runner<'_>, step: usize, n: usize) -> Result<Option<String>> {
    let missing = changes::refresh_deps(runner.repo, &mut runner.stages[n], &mut runner.contents)?;
    let name = runner.stages[n].address.display(&runner.options.request.cwd);
    if !missing.is_empty() && !runner.options.allow_missing {
        return Err(Error::MissingDependency { stage: name, paths: missing });
    }
    check_outs(runner, step, n, &name)?;
    let commit = !runner.options.no_commit;
    let store_run =
        commit && runner.stages[n].cmd.is_some() && RunCache::wants(runner.repo, &runner.stages[n]);
    take_in(runner, n, commit, store_run)?;
    let mut value = None;
    let entry = LockEntry::of(&runner.stages[n]);
    if store_run {
        let progress = runner.progress;
        let mut warn = |path: &Path| progress.warn(&format!("corrupted cache file '{}'.", path.display()));
        value = Some(runner.run_cache.save(&entry, &runner.nursery, &mut warn)?);
    }
    dump(runner, step, n, entry)?;
    listings::remember(runner.repo, &mut runner.cache, &runner.stages[n], runner.progress, runner.interrupt)?;
    Ok(value)
}

/// What the cache keeps belongs to the project. Asked before a command runs too, because outputs are removed then, and
/// nothing outside may go.
pub(super) fn refuse_foreign_outs(repo: &Repo, stage: &Stage, name: &str) -> Result<()> {
    for out in stage.outs.iter().filter(|out| out.cache) {
        if !repo.contains(&out.path) {
            return Err(Error::OutsideOutput { path: out.def_path.clone(), stage: name.to_owned() });
        }
        repo.refuse_detour(&out.path)?;
    }
    Ok(())
}

/// All outputs must be there and be of a kind that can be kept; git is told to ignore those that the cache keeps.
fn check_outs(runner: &mut Runner<'_>, step: usize, n: usize, name: &str) -> Result<()> {
    let stage = &runner.stages[n];
    refuse_foreign_outs(runner.repo, stage, name)?;
    let mut missing = Vec::new();
    for out in &stage.outs {
        if !out.path.exists() {
            missing.push(out.def_path.clone());
        }
    }
    if !missing.is_empty() && !runner.options.allow_missing {
        return Err(Error::StageOutputMissing { stage: name.to_owned(), paths: missing });
    }
    for out in &stage.outs {
        if is_empty(&out.path) {
            runner.progress.warn(&format!("'{}' is empty.", out.def_path));
        }
        if out.cache
            && let Some(git) = &runner.repo.git
        {
            if git.is_tracked(&out.path)? {
                return Err(Error::GitTrackedOutput { path: out.path.clone() });
            }
            // Lines stand in the order of the plan, whichever stage ends first.
            let later: Vec<&Path> = runner
                .ignored
                .iter()
                .filter(|(other, _)| *other > step)
                .map(|(_, path)| path.as_path())
                .collect();
            if let Some(file) = git.ignore_before(&out.path, &later)? {
                runner.report.to_track.push(file);
                runner.ignored.push((step, out.path.clone()));
            }
        }
        if out.is_metric() && is_binary(&out.path)? {
            return Err(Error::BinaryMetrics { path: out.path.clone() });
        }
    }
    Ok(())
}

fn is_empty(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => meta.len() == 0,
        Ok(_) => std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()),
        Err(_) => false,
    }
}

/// A file whose beginning holds NUL or is mostly not text.
fn is_binary(path: &Path) -> Result<bool> {
    if !path.is_file() {
        return Ok(false);
    }
    let mut head = [0; 512];
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let length = file.read(&mut head).map_err(Error::io("read", path))?;
    let odd = |byte: &u8| !matches!(byte, 0x20..=0x7e | b'\n' | b'\r' | b'\t' | 0x0c | 0x08);
    let head = &head[..length];
    Ok(head.contains(&0) || head.iter().filter(|byte| odd(byte)).count() * 10 > length * 3)
}

/// Hashes the outputs, and puts those into the cache that belong there.
fn take_in(runner: &mut Runner<'_>, n: usize, commit: bool, store_run: bool) -> Result<()> {
    settle_legacy(runner, n)?;
    let outs: Vec<usize> = (0..runner.stages[n].outs.len()).collect();
    let wants_cache = |out: &Output| commit && (out.cache || (store_run && runner.repo.contains(&out.path)));
    let (stored, hashed): (Vec<usize>, Vec<usize>) =
        outs.into_iter().partition(|&at| wants_cache(&runner.stages[n].outs[at]));
    let mut plain = Vec::new();
    for (group, store) in [(stored, true), (hashed, false)] {
        if group.is_empty() {
            continue;
        }
        let outs = group.iter().map(|&at| &runner.stages[n].outs[at]);
        let targets: Vec<Target> = outs.map(|out| Target::with_legacy(&out.path, out.legacy)).collect();
        let (repo, stop, progress) = (runner.repo, runner.interrupt.flag(), runner.progress);
        let found = match store {
            true => workspace::save_many(repo, &mut runner.cache, &targets, progress, stop)?,
            false => workspace::hash_many(repo, &targets, progress, stop)?,
        };
        for (at, content) in group.into_iter().zip(found) {
            let out = &mut runner.stages[n].outs[at];
            let Some(content) = content else { continue };
            if !content.linked {
                plain.push(at);
            }
            if out.digest != Some(content.digest) {
                out.extra.clear();
            }
            out.digest = Some(content.digest);
            out.meta = content.meta.clone();
            if !out.legacy {
                runner.contents.set(&out.path, Some((content.digest, content.meta)));
            }
        }
    }
    if commit {
        let outs = runner.stages[n].outs.iter().enumerate().filter(|(_, out)| out.cache);
        let wanted: Vec<Wanted<'_>> =
            outs.map(|(at, out)| Wanted { linked: !plain.contains(&at), ..Wanted::whole(out) }).collect();
        checkout::relink_if_needed(
            runner.repo,
            &mut runner.cache,
            &wanted,
            runner.progress,
            runner.interrupt.flag(),
        )?;
    }
    Ok(())
}

/// Data that did not change keep the digest of DVC 2, others lose it.
fn settle_legacy(runner: &mut Runner<'_>, n: usize) -> Result<()> {
    for out in runner.stages[n].outs.iter_mut().filter(|out| out.legacy) {
        let target = [Target::with_legacy(&out.path, true)];
        let found = workspace::hash_many(runner.repo, &target, runner.progress, runner.interrupt.flag())?;
        out.legacy = match found.into_iter().next().flatten() {
            Some(content) => Some(content.digest) == out.digest,
            None => out.digest.is_some(),
        };
    }
    Ok(())
}

/// Writes the lock file or the `.dvc` file of the stage.
fn dump(runner: &mut Runner<'_>, step: usize, n: usize, entry: LockEntry) -> Result<()> {
    let stage: &mut Stage = &mut runner.stages[n];
    let Some(name) = stage.address.name.clone() else {
        stage.md5 = dot_dvc::import_md5(stage);
        if dot_dvc::save(stage)? {
            runner.report.to_track.push(stage.address.file.clone());
        }
        return Ok(());
    };
    // Others may have written the file while the command ran.
    let mut lock = LockFile::beside_or(runner.written.take(), &stage.address.file)?;
    let generated = lock.entries.is_empty() && !lock.path.exists();
    insert(&mut lock, step, &mut runner.entered, &stage.address, name, entry.clone());
    stage.lock = Some(entry);
    if lock.save_by(|path, bytes| runner.nursery.write(path, bytes))? {
        let shown = crate::stage::address::relative(&lock.path, &runner.options.request.cwd);
        if generated {
            runner.progress.say(&format!("Generating lock file '{shown}'"));
        }
        runner.progress.say(&format!("Updating lock file '{shown}'"));
        runner.report.to_track.push(lock.path.clone());
    }
    runner.written = Some(lock);
    Ok(())
}

/// A new entry stands behind those that were there, and among the new ones in the order of the plan, whichever stage
/// ends first.
fn insert(
    lock: &mut LockFile,
    step: usize,
    entered: &mut Vec<(usize, Address)>,
    address: &Address,
    name: String,
    entry: LockEntry,
) {
    if let Some(known) = lock.entries.get_mut(&name) {
        *known = entry;
        return;
    }
    let later: Vec<&str> = entered
        .iter()
        .filter(|(other, new)| *other > step && new.file == address.file)
        .filter_map(|(_, new)| new.name.as_deref())
        .collect();
    let place = lock.entries.keys().position(|name| later.contains(&name.as_str()));
    lock.entries.shift_insert(place.unwrap_or(lock.entries.len()), name, entry);
    entered.push((step, address.clone()));
}
