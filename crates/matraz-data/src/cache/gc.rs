//! `gc`: removes objects that nothing uses.
//!
//! [`plan`] says which objects would go, [`apply`] removes them: for good, or into the trash ([`super::trash`]). The
//! listing of a folder goes before the files that it names, so that no listing is left that names what is gone.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use matraz_base::process::Interrupt;
use matraz_base::progress::{Progress, Task, Unit};
use matraz_store::{Location, Store};

use super::trash::{self, Removal};
use super::used::{self, Owner, Search, Used};
use super::{Object, in_parallel};
use crate::hash::digest::Digest;
use crate::remote::Remote;
use crate::revisions::Which;
use crate::{Error, Repo, Result};

/// What is kept, and where what is not kept is removed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The commits whose data are kept besides those of the workspace.
    pub which: Which,
    /// Clean the remotes too.
    pub cloud: bool,
    /// Keep only what the remotes lack.
    pub not_in_remote: bool,
    /// The remote; the default one when none is given.
    pub remote: Option<String>,
    /// Leave out commits that cannot be read.
    pub skip_failed: bool,
    /// Look for the newest use of each object that goes.
    pub owners: bool,
    /// What is needed by others than this project's workspace and commits.
    pub roots: Vec<Root>,
}

/// An object that is needed, and what needs it. Of a folder all files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The object.
    pub object: Object,
    /// Who needs it, for people.
    pub why: String,
}

/// An object that only a root keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The object.
    pub object: Object,
    /// Bytes.
    pub size: u64,
    /// Who needs it.
    pub why: String,
}

/// A place that is cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The cache; `legacy` for its objects of DVC 2.
    Cache {
        /// Made by DVC 2.
        legacy: bool,
    },
    /// A remote; `legacy` for its objects of DVC 2.
    Remote {
        /// Its name.
        name: String,
        /// Made by DVC 2.
        legacy: bool,
    },
}

/// An object that goes.
#[derive(Clone, Debug)]
pub struct Doomed {
    /// Its name.
    pub object: Object,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Its newest use, when that was looked for and is known.
    pub owner: Option<Owner>,
}

/// What goes from one place.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The place.
    pub place: Place,
    /// The folder that the names of objects are relative to.
    pub root: PathBuf,
    /// The objects, listings of folders first.
    pub doomed: Vec<Doomed>,
}

/// What would be removed.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Place by place.
    pub sweeps: Vec<Sweep>,
    /// What stays in the cache for the roots alone.
    pub kept: Vec<Kept>,
}

impl Plan {
    /// How many objects go.
    pub fn objects(&self) -> usize {
        self.sweeps.iter().map(|sweep| sweep.doomed.len()).sum()
    }

    /// How many bytes go.
    pub fn bytes(&self) -> u64 {
        self.sweeps.iter().flat_map(|sweep| &sweep.doomed).map(|doomed| doomed.size).sum()
    }
}

/// Says what nothing in the scope uses. `others` are projects that share the cache and the remotes; what they use in the
/// same scope is kept too. `accept_unknown` is asked when nobody has the listing of a folder.
pub fn plan(
    repo: &Repo,
    others: &[&Repo],
    options: &Options,
    accept_unknown: &dyn Fn(&Path) -> bool,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Plan> {
    let search = Search {
        which: &options.which,
        remote: options.remote.as_deref(),
        skip_failed: options.skip_failed,
        accept_unknown,
    };
    let mut used = Used::new();
    for one in others.iter().copied().chain([repo]) {
        for (remote, objects) in used::objects(one, &search, progress, interrupt)? {
            used.entry(remote).or_default().extend(objects);
        }
    }
    let own: HashSet<Object> = used.values().flatten().copied().collect();
    let needed = needed(repo, &options.roots, &own)?;
    used.entry(None).or_default().extend(needed.keys().copied());
    let mut kept: HashSet<Object> = used.values().flatten().copied().collect();
    let remotes =
        if options.cloud || options.not_in_remote { by_location(repo, options, used)? } else { Vec::new() };
    if options.not_in_remote {
        for (remote, objects) in &remotes {
            for object in present(repo, &remote.store, objects)? {
                kept.remove(&object);
            }
        }
    }
    let mut plan = Plan::default();
    for legacy in [false, true] {
        plan.sweeps.push(sweep(Place::Cache { legacy }, repo.cache_dir(), legacy, &kept)?);
    }
    let cache = super::Cache::open(repo);
    for (object, why) in &needed {
        if kept.contains(object)
            && let Ok(meta) = std::fs::metadata(cache.path(object))
        {
            plan.kept.push(Kept { object: *object, size: meta.len(), why: why.clone() });
        }
    }
    if options.cloud {
        for (remote, kept) in &remotes {
            for legacy in [false, true] {
                let place = Place::Remote { name: remote.name.clone(), legacy };
                plan.sweeps.push(sweep(place, remote.root().to_path_buf(), legacy, kept)?);
            }
        }
    }
    if options.owners && plan.objects() > 0 {
        let objects =
            plan.sweeps.iter().flat_map(|sweep| &sweep.doomed).map(|doomed| doomed.object).collect();
        let owners = used::owners(repo, &objects, interrupt)?;
        for doomed in plan.sweeps.iter_mut().flat_map(|sweep| &mut sweep.doomed) {
            doomed.owner = owners.get(&doomed.object).cloned();
        }
    }
    Ok(plan)
}

/// What the roots need and the project itself does not use: with folders all files in them, as far as their listings are
/// here.
fn needed(repo: &Repo, roots: &[Root], own: &HashSet<Object>) -> Result<IndexMap<Object, String>> {
    let mut cache = super::Cache::open(repo);
    let mut needed = IndexMap::new();
    for root in roots {
        if own.contains(&root.object) || needed.contains_key(&root.object) {
            continue;
        }
        needed.insert(root.object, root.why.clone());
        if root.object.digest.is_dir()
            && let Some(tree) = cache.tree(&root.object)?
        {
            let files = tree.entries().iter().map(|entry| root.object.file_of(entry.digest));
            for file in files.filter(|file| !own.contains(file)) {
                needed.entry(file).or_insert_with(|| root.why.clone());
            }
        }
    }
    Ok(needed)
}

/// The remotes that are concerned, each once though it may have several names, with the objects that use it. The default
/// one is the last.
fn by_location(repo: &Repo, options: &Options, mut used: Used) -> Result<Vec<(Remote, HashSet<Object>)>> {
    let mut remotes: IndexMap<PathBuf, (Remote, HashSet<Object>)> = IndexMap::new();
    let default = used.remove(&None).unwrap_or_default();
    for (name, objects) in used.into_iter().chain([(None, default)]) {
        let remote = Remote::find(repo, name.as_deref().or(options.remote.as_deref()))?;
        let known = remotes.entry(remote.root().to_path_buf()).or_insert_with(|| (remote, HashSet::new()));
        known.1.extend(objects);
    }
    Ok(remotes.into_values().collect())
}

/// Those of the objects that a store has.
fn present(repo: &Repo, store: &Store, objects: &HashSet<Object>) -> Result<Vec<Object>> {
    let objects: Vec<Object> = objects.iter().copied().collect();
    let there = in_parallel(&objects, repo.threads(), |object| store.exists(&object.key()));
    let mut present = Vec::new();
    for (object, there) in objects.into_iter().zip(there) {
        if there? {
            present.push(object);
        }
    }
    Ok(present)
}

fn sweep(place: Place, root: PathBuf, legacy: bool, kept: &HashSet<Object>) -> Result<Sweep> {
    let store = Store::open(&Location::Local(root.clone()));
    let items = if legacy {
        let mut items = Vec::new();
        for byte in 0..=u8::MAX {
            items.extend(store.list(&format!("{byte:02x}"))?);
        }
        items
    } else {
        store.list("files/md5")?
    };
    let mut doomed = Vec::new();
    for item in items {
        // What is not named like an object is not ours to remove.
        let Some(object) = object_at(&item.key).filter(|object| object.legacy == legacy) else { continue };
        if !kept.contains(&object) {
            let path = root.join(&item.key);
            doomed.push(Doomed { object, path, size: item.size, owner: None });
        }
    }
    doomed.sort_by_key(|doomed| !doomed.object.digest.is_dir());
    Ok(Sweep { place, root, doomed })
}

/// The object whose place below a root this is.
pub(crate) fn object_at(key: &str) -> Option<Object> {
    let (legacy, name) = match key.strip_prefix("files/md5/") {
        Some(name) => (false, name),
        None => (true, key),
    };
    let digest = Digest::parse(&name.replacen('/', "", 1))?;
    Some(Object { digest, legacy }).filter(|object| object.key() == key)
}

/// What becomes of objects that go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposal<'a> {
    /// They are deleted, and their space is free.
    Delete,
    /// They go into the trash, under this name.
    Trash(&'a str),
}

/// Removes what the plan says. Returns the removal when it can be undone.
pub fn apply(
    repo: &Repo,
    plan: &Plan,
    disposal: Disposal<'_>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Option<Removal>> {
    if plan.objects() == 0 {
        return Ok(None);
    }
    let task = progress.begin("removing", plan.objects() as u64, Unit::Files);
    let removed = match disposal {
        Disposal::Delete => delete(plan, (progress, task), interrupt).map(|()| None),
        Disposal::Trash(name) => trash::take(repo, plan, name, (progress, task), interrupt).map(Some),
    };
    progress.end(task);
    removed
}

fn delete(plan: &Plan, task: (&dyn Progress, Task), interrupt: &Interrupt) -> Result<()> {
    let (progress, task) = task;
    for doomed in plan.sweeps.iter().flat_map(|sweep| &sweep.doomed) {
        if interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        match std::fs::remove_file(&doomed.path) {
            Err(error) if !super::absent(&error) => {
                return Err(Error::io("remove", &doomed.path)(error));
            }
            _ => progress.advance(task, 1),
        }
    }
    Ok(())
}
