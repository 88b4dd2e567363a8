//! `status --cloud`: how the cache stands against a remote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use super::{Needed, Parcel, Remote, Request, fetch};
use crate::cache::{Cache, Object};
use crate::revisions::Which;
use crate::target::TargetOptions;
use crate::{Repo, Result};

/// Where an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In the cache alone.
    New,
    /// On the remote alone.
    Deleted,
    /// In neither.
    Missing,
}

impl Standing {
    /// DVC's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Deleted => "deleted",
            Self::Missing => "missing",
        }
    }
}

/// What is compared with a remote.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How the targets are understood.
    pub targets: TargetOptions,
    /// The remote; the default one when none is given.
    pub remote: Option<String>,
    /// The commits whose data are looked at besides those of the workspace.
    pub which: Which,
}

/// The files and folders of outputs that are not in both places, by path. Of equal files one stands for all. Outputs
/// that have a remote of their own are left out.
pub fn status(
    repo: &Repo,
    targets: &[String],
    options: &Options,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<BTreeMap<PathBuf, Standing>> {
    let remote = options.remote.as_deref();
    let request = Request {
        targets,
        options: options.targets,
        which: &options.which,
        remote,
        pushing: true,
        strict: true,
        cwd,
    };
    let mut groups = request.parcels(repo, |_| true, progress)?;
    let parcels = groups.remove(&None).unwrap_or_default();
    if parcels.is_empty() && remote.is_none() {
        return Ok(BTreeMap::new());
    }
    let remote = Remote::find(repo, remote)?;
    let mut cache = Cache::open(repo);
    // A listing is needed to say anything about a folder.
    let unknown = Needed::of(&mut cache, &parcels)?.unknown;
    let mut ignored = fetch::Report::default();
    fetch::copy_down(repo, &mut cache, &remote, &unknown, &mut ignored, progress, interrupt)?;
    let mut named: IndexMap<Object, PathBuf> = IndexMap::new();
    for Parcel { path, object, part } in &parcels {
        if !object.digest.is_dir() {
            named.entry(*object).or_insert_with(|| path.clone());
            continue;
        }
        let Some(tree) = cache.tree(object)? else { continue };
        named.entry(*object).or_insert_with(|| path.clone());
        for entry in tree.below(part) {
            named.entry(object.file_of(entry.digest)).or_insert_with(|| path.join(&entry.path));
        }
    }
    let objects: Vec<Object> = named.keys().copied().collect();
    let keys: Vec<String> = objects.iter().map(|object| object.key()).collect();
    let there = remote.store.exists_many(&keys)?;
    let (here, _) = cache.survey(repo, &objects, interrupt.flag())?;
    let mut standings = BTreeMap::new();
    for ((path, here), there) in named.into_values().zip(here).zip(there) {
        let standing = match (here.is_present(), there) {
            (true, true) => continue,
            (true, false) => Standing::New,
            (false, true) => Standing::Deleted,
            (false, false) => Standing::Missing,
        };
        standings.insert(path, standing);
    }
    Ok(standings)
}
