//! `push`: copies objects from the cache to remotes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::{Progress, Unit};

use super::{Needed, Parcel, RUNS, Remote, Request, seen};
use crate::cache::{Cache, Corrupted, Object, Origin, Source};
use crate::pipeline::RunCache;
use crate::revisions::Which;
use crate::target::TargetOptions;
use crate::{Error, Repo, Result};

/// What is pushed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How the targets are understood.
    pub targets: TargetOptions,
    /// The remote; the default one when none is given.
    pub remote: Option<String>,
    /// The run cache too.
    pub run_cache: bool,
    /// What the runs in the run cache made too, as far as it is here: files that git keeps among it, without which a run
    /// cannot be brought back elsewhere. DVC leaves it out.
    pub run_outputs: bool,
    /// The commits whose data are pushed besides those of the workspace.
    pub which: Which,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    /// Objects and entries of the run cache that were copied.
    pub pushed: usize,
    /// Objects that are in neither place.
    pub missing: Vec<Object>,
    /// Corrupted cache objects; they were not copied.
    pub corrupted: Vec<Corrupted>,
    /// What could not be copied.
    pub failed: Vec<Error>,
}

/// Copies what the remotes do not have yet.
pub fn push(
    repo: &Repo,
    targets: &[String],
    options: &Options,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let remote = options.remote.as_deref();
    let request = Request {
        targets,
        options: options.targets,
        which: &options.which,
        remote,
        pushing: true,
        strict: false,
        cwd,
    };
    let mut groups = request.parcels(repo, |_| true, progress)?;
    let mut cache = Cache::open(repo);
    if options.run_cache && options.run_outputs {
        let made = outputs_of_runs(repo, &cache)?;
        if !made.is_empty() {
            groups.entry(None).or_default().extend(made);
        }
    }
    let mut report = Report::default();
    if options.run_cache {
        report.pushed += push_runs(repo, &Remote::find(repo, options.remote.as_deref())?)?;
    }
    // What has a remote of its own goes there also when there is no other remote.
    let default = Remote::find(repo, options.remote.as_deref());
    let mut without_remote = None;
    if groups.is_empty() {
        without_remote = default.err();
    }
    for (name, parcels) in groups {
        let remote = match Remote::find(repo, name.as_deref().or(options.remote.as_deref())) {
            Err(error) if name.is_none() => {
                without_remote = Some(error);
                continue;
            }
            remote => remote?,
        };
        seen::forget(repo, &remote.name);
        let needed = Needed::of(&mut cache, &parcels)?;
        report.missing.extend(&needed.unknown);
        let files = copy_up(repo, &mut cache, &remote, &needed.files, &mut report, progress, interrupt)?;
        // A listing goes up when all of its files are there.
        let ready: BTreeSet<Object> = needed
            .folders
            .difference(&needed.unknown)
            .filter(|folder| needed.members.get(folder).is_none_or(|members| members.is_subset(&files)))
            .copied()
            .collect();
        copy_up(repo, &mut cache, &remote, &ready, &mut report, progress, interrupt)?;
    }
    report.corrupted.extend(cache.take_corrupted());
    without_remote.map_or(Ok(report), Err)
}

/// Copies objects; returns those that the remote has afterwards.
fn copy_up(
    repo: &Repo,
    cache: &mut Cache,
    remote: &Remote,
    objects: &BTreeSet<Object>,
    report: &mut Report,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<BTreeSet<Object>> {
    let wanted: Vec<Object> = objects.iter().copied().collect();
    let keys: Vec<String> = wanted.iter().map(Object::key).collect();
    let there = remote.store.exists_many(&keys)?;
    let mut arrived: BTreeSet<Object> =
        wanted.iter().zip(&there).filter(|(_, there)| **there).map(|(object, _)| *object).collect();
    let absent: Vec<Object> =
        wanted.iter().zip(&there).filter(|(_, there)| !**there).map(|(object, _)| *object).collect();
    let (presence, _) = cache.survey(repo, &absent, interrupt.flag())?;
    let mut sources = Vec::new();
    let mut going = Vec::new();
    for (object, presence) in absent.iter().zip(presence) {
        if presence.is_present() {
            let origin = Origin::File(cache.path(object));
            sources.push(Source { origin, size: None, expected: Some(*object) });
            going.push(*object);
        } else {
            report.missing.push(*object);
        }
    }
    if sources.is_empty() {
        return Ok(arrived);
    }
    let task = progress.begin("pushing", sources.len() as u64, Unit::Files);
    let intake =
        remote.as_cache(repo).take_in(repo, &sources, true, None, (progress, task), interrupt.flag());
    progress.end(task);
    let intake = intake?;
    for (object, digest) in going.iter().zip(&intake.digests) {
        if digest.is_some() {
            report.pushed += 1;
            arrived.insert(*object);
        }
    }
    report.corrupted.extend(intake.corrupted);
    report.failed.extend(intake.failed);
    Ok(arrived)
}

/// What the runs of the run cache made and the cache still has.
fn outputs_of_runs(repo: &Repo, cache: &Cache) -> Result<Vec<Parcel>> {
    let mut parcels = Vec::new();
    for entry in RunCache::open(repo).entries()? {
        for out in entry.outs {
            let Some(digest) = out.digest else { continue };
            let object = Object { digest, legacy: out.legacy };
            if cache.path(&object).is_file() {
                parcels.push(Parcel { path: PathBuf::from(out.path), object, part: String::new() });
            }
        }
    }
    Ok(parcels)
}

/// Copies the entries of the run cache that the remote does not have.
fn push_runs(repo: &Repo, remote: &Remote) -> Result<usize> {
    let cache = matraz_store::Store::open(&matraz_store::Location::Local(repo.cache_dir()));
    let entries = cache.list(RUNS)?;
    repo.will_write(&remote.root);
    let keys: Vec<&String> = entries.iter().map(|item| &item.key).collect();
    let there = remote.store.exists_many(&keys)?;
    let mut pushed = 0;
    for (key, there) in keys.into_iter().zip(there) {
        if !there {
            let source: PathBuf = cache.local_path(key)?;
            remote.store.put_file(key, &source, 0o666)?;
            pushed += 1;
        }
    }
    Ok(pushed)
}
