//! `fetch`: copies objects from remotes to the cache.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::{Progress, Unit};
use matraz_store::{Location, Store};

use super::{Needed, Parcel, Parcels, RUNS, Remote, Request};
use crate::cache::{Cache, Corrupted, Object, Origin, Source};
use crate::revisions::Which;
use crate::source;
use crate::stage::Output;
use crate::target::TargetOptions;
use crate::{Error, Repo, Result};

/// Which outputs are fetched, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// Metrics files.
    Metrics,
    /// Plots.
    Plots,
}

/// What is fetched.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How the targets are understood.
    pub targets: TargetOptions,
    /// The remote; the default one when none is given.
    pub remote: Option<String>,
    /// The run cache too.
    pub run_cache: bool,
    /// Leave out outputs of this many bytes or more.
    pub max_size: Option<u64>,
    /// Fetch only outputs of these kinds; all when there is none.
    pub only: Vec<Only>,
    /// The commits whose data are fetched besides those of the workspace.
    pub which: Which,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    /// Objects that were copied.
    pub fetched: usize,
    /// Objects that are in neither place.
    pub missing: Vec<Object>,
    /// Files that the remote lacks though it has the listing of their folder.
    pub incomplete: Vec<PathBuf>,
    /// How many objects did not come though they should have: those files, and the listings that came without them.
    pub lost: usize,
    /// Corrupted objects of the remote, which were not taken, and of the cache.
    pub corrupted: Vec<Corrupted>,
    /// How many objects of the remote were corrupted.
    pub rejected: usize,
    /// What could not be copied.
    pub failed: Vec<Error>,
}

/// Copies what the cache does not have yet.
pub fn fetch(
    repo: &Repo,
    targets: &[String],
    options: &Options,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let wanted = |out: &Output| {
        // A size of nothing is no limit.
        let max_size = options.max_size.filter(|max| *max > 0);
        let small = max_size.is_none_or(|max| out.meta.size.is_none_or(|size| size < max));
        let kind = options.only.is_empty()
            || options.only.iter().any(|only| match only {
                Only::Metrics => out.is_metric(),
                Only::Plots => out.is_plot(),
            });
        small && kind
    };
    let remote = options.remote.as_deref();
    let request = Request {
        targets,
        options: options.targets,
        which: &options.which,
        remote,
        pushing: false,
        strict: false,
        cwd,
    };
    let (groups, imports) = request.parcels_and_imports(repo, wanted, progress)?;
    // A name that the settings do not know is a mistake, also while all data are here.
    for name in groups.keys() {
        let name = name.clone().or_else(|| options.remote.clone()).or_else(|| repo.config.default_remote());
        if let Some(name) = name.filter(|name| repo.config.remote(name).is_none()) {
            return Err(Error::NoSuchRemote { name });
        }
    }
    let mut report = Report::default();
    if options.run_cache {
        let remote = Remote::find(repo, options.remote.as_deref())?;
        fetch_runs(repo, &remote)?;
    }
    let mut cache = Cache::open(repo);
    let whole = groups.is_empty();
    for (name, parcels) in groups {
        let wanted = Needed::of(&mut cache, &parcels)?;
        let all = wanted.all();
        let (presence, _) = cache.survey(repo, &all, interrupt.flag())?;
        // What is all here needs no remote.
        if presence.iter().all(|presence| presence.is_present()) && options.remote.is_none() {
            continue;
        }
        let remote = match Remote::find(repo, name.as_deref().or(options.remote.as_deref())) {
            Err(Error::NoRemote { .. }) => {
                let absent = all.iter().zip(&presence).filter(|(_, presence)| !presence.is_present());
                report.missing.extend(absent.map(|(object, _)| *object));
                continue;
            }
            remote => remote?,
        };
        // The listings come first: they say what else there is.
        copy_down(repo, &mut cache, &remote, &wanted.folders, &mut report, progress, interrupt)?;
        let needed = Needed::of(&mut cache, &parcels)?;
        let before = report.missing.len();
        copy_down(repo, &mut cache, &remote, &needed.files, &mut report, progress, interrupt)?;
        let gone: BTreeSet<Object> = report.missing.drain(before..).collect();
        let promised = promised(&mut cache, &remote, &parcels, &gone)?;
        report.missing.extend(gone.difference(&promised.objects));
        // A listing that came without its files goes again, as it would be taken for a folder that is here.
        let in_vain: Vec<&Object> = promised.folders.intersection(&wanted.unknown).collect();
        for listing in &in_vain {
            cache.remove(listing)?;
        }
        report.fetched -= in_vain.len();
        report.lost += promised.objects.len() + in_vain.len();
        report.incomplete.extend(promised.files);
    }
    source::fetch::fetch(repo, &mut cache, &imports, cwd, &mut report, progress, interrupt)?;
    if whole && options.remote.is_some() {
        Remote::find(repo, options.remote.as_deref())?;
    }
    report.corrupted.extend(cache.take_corrupted());
    Ok(report)
}

/// What a remote lacks of folders whose listing it has.
#[derive(Default)]
struct Promised {
    objects: BTreeSet<Object>,
    folders: BTreeSet<Object>,
    files: BTreeSet<PathBuf>,
}

fn promised<'p>(
    cache: &mut Cache,
    remote: &Remote,
    parcels: impl IntoIterator<Item = &'p Parcel>,
    gone: &BTreeSet<Object>,
) -> Result<Promised> {
    let mut promised = Promised::default();
    if gone.is_empty() {
        return Ok(promised);
    }
    for Parcel { path, object, part } in parcels.into_iter().filter(|parcel| parcel.object.digest.is_dir()) {
        let Some(tree) = cache.tree(object)? else { continue };
        for entry in tree.below(part) {
            let file = object.file_of(entry.digest);
            if gone.contains(&file) && remote.store.exists(&object.key())? {
                promised.objects.insert(file);
                promised.folders.insert(*object);
                promised.files.insert(path.join(&entry.path));
            }
        }
    }
    Ok(promised)
}

/// Fetches what outputs consist of, each from its own remote or the default one.
pub fn fetch_outputs(
    repo: &Repo,
    cache: &mut Cache,
    outputs: &[&Output],
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let mut groups = Parcels::new();
    for out in outputs {
        if let Some(parcel) = Parcel::whole(out) {
            groups.entry(out.remote.clone()).or_default().insert(parcel);
        }
    }
    let mut report = Report::default();
    for (name, parcels) in groups {
        let wanted = Needed::of(cache, &parcels)?;
        let (presence, _) = cache.survey(repo, &wanted.all(), interrupt.flag())?;
        // What is all here needs no remote.
        if presence.iter().all(|presence| presence.is_present()) {
            continue;
        }
        let remote = Remote::find(repo, name.as_deref())?;
        copy_down(repo, cache, &remote, &wanted.folders, &mut report, progress, interrupt)?;
        let needed = Needed::of(cache, &parcels)?;
        copy_down(repo, cache, &remote, &needed.files, &mut report, progress, interrupt)?;
    }
    Ok(report)
}

/// Fetches the run cache from the default remote.
pub fn fetch_run_cache(repo: &Repo) -> Result<()> {
    fetch_runs(repo, &Remote::find(repo, None)?)
}

/// Copies objects that the cache does not have from a remote. Those that neither has are noted as missing.
pub fn copy_down(
    repo: &Repo,
    cache: &mut Cache,
    remote: &Remote,
    objects: &BTreeSet<Object>,
    report: &mut Report,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let wanted: Vec<Object> = objects.iter().copied().collect();
    let (presence, _) = cache.survey(repo, &wanted, interrupt.flag())?;
    let absent: Vec<Object> = wanted
        .into_iter()
        .zip(presence)
        .filter(|(_, presence)| !presence.is_present())
        .map(|(object, _)| object)
        .collect();
    let keys: Vec<String> = absent.iter().map(Object::key).collect();
    let there = remote.store.exists_many(&keys)?;
    let mut sources = Vec::new();
    for ((object, key), there) in absent.iter().zip(keys).zip(there) {
        if there {
            let shown = remote.root.join(&key);
            sources.push(Source { origin: Origin::Remote(shown, key), size: None, expected: Some(*object) });
        } else {
            report.missing.push(*object);
        }
    }
    if sources.is_empty() {
        return Ok(());
    }
    let task = progress.begin("fetching", sources.len() as u64, Unit::Files);
    let intake = cache.take_in(repo, &sources, true, Some(&remote.store), (progress, task), interrupt.flag());
    progress.end(task);
    let intake = intake?;
    report.fetched += intake.digests.iter().flatten().count();
    report.rejected += intake.corrupted.len();
    report.corrupted.extend(intake.corrupted);
    report.failed.extend(intake.failed);
    Ok(())
}

/// Copies the entries of the run cache that this one does not have.
fn fetch_runs(repo: &Repo, remote: &Remote) -> Result<()> {
    let cache = Store::open(&Location::Local(repo.cache_dir()));
    for item in remote.store.list(RUNS)? {
        if !cache.exists(&item.key)? {
            cache.put_file(&item.key, &remote.store.local_path(&item.key)?, 0o666)?;
        }
    }
    Ok(())
}
