//! `status --cloud`: how the cache stands against a remote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use super::{Needed, Remote, by_remote, fetch};
use crate::cache::{Cache, Object};
use crate::index::Index;
use crate::target::{self, TargetOptions};
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

/// The files and folders of outputs that are not in both places, by path. Outputs that have a remote of their own are
/// left out.
pub fn status(
    repo: &Repo,
    targets: &[String],
    options: TargetOptions,
    remote: Option<&str>,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<BTreeMap<PathBuf, Standing>> {
    let index = Index::load(repo)?;
    let selections = target::select(repo, &index, targets, options, cwd)?;
    let mut groups = by_remote(&index, &selections, remote, true);
    let outputs = groups.remove(&None).unwrap_or_default();
    if outputs.is_empty() && remote.is_none() {
        return Ok(BTreeMap::new());
    }
    let remote = Remote::find(repo, remote)?;
    let mut cache = Cache::open(repo);
    // A listing is needed to say anything about a folder.
    let unknown = Needed::of(&mut cache, &outputs)?.unknown;
    let mut ignored = fetch::Report::default();
    fetch::copy_down(repo, &mut cache, &remote, &unknown, &mut ignored, progress, interrupt)?;
    let mut named: Vec<(PathBuf, Object)> = Vec::new();
    for (out, part) in &outputs {
        let Some(digest) = out.digest else { continue };
        let object = Object { digest, legacy: out.legacy };
        if !digest.is_dir() {
            named.push((out.path.clone(), object));
            continue;
        }
        let Some(tree) = cache.tree(&object)? else { continue };
        named.push((out.path.clone(), object));
        for entry in tree.below(part) {
            named.push((out.path.join(&entry.path), object.file_of(entry.digest)));
        }
    }
    let objects: Vec<Object> = named.iter().map(|(_, object)| *object).collect();
    let keys: Vec<String> = objects.iter().map(Object::key).collect();
    let there = remote.store.exists_many(&keys)?;
    let (here, _) = cache.survey(repo, &objects, interrupt.flag())?;
    let mut standings = BTreeMap::new();
    for (((path, _), here), there) in named.into_iter().zip(here).zip(there) {
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
