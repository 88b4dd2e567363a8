//! The files of folders that stages read and the cache does not keep: remembered, so that a change can be told by file.
//!
//! `dvc.lock` has only the digest of such a folder. The listing goes into `.dvc/tmp/matraz/listings` under that digest,
//! in the form of the cache's own listings. Losing one only costs the names of files in `matraz why`.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use matraz_base::Progress;
use matraz_base::process::Interrupt;

use crate::cache::{Cache, Object};
use crate::hash::digest::Digest;
use crate::hash::tree::Tree;
use crate::stage::{Source, Stage};
use crate::workspace::{self, Target};
use crate::{Repo, Result};

/// A folder with more files is not remembered.
const MOST_FILES: u64 = 100_000;
/// How many listings are kept.
const KEPT: usize = 200;

/// Remembers the folders that the stage reads, as they are recorded in it now.
pub(super) fn remember(
    repo: &Repo,
    cache: &mut Cache,
    stage: &Stage,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    for dep in stage.deps.iter().filter(|dep| dep.source == Source::Local && !dep.legacy) {
        let Some(digest) = dep.digest.filter(Digest::is_dir) else { continue };
        let few = dep.meta.nfiles.is_some_and(|files| files <= MOST_FILES);
        let object = Object { digest, legacy: false };
        if !few || path(repo, &digest).exists() || cache.path(&object).exists() {
            continue;
        }
        let found = workspace::hash_many(repo, &[Target::new(&dep.path)], progress, interrupt.flag())?;
        let tree = found.into_iter().next().flatten().and_then(|content| content.tree);
        if let Some(tree) = tree.filter(|tree| tree.digest() == digest) {
            write(repo, &digest, &tree);
        }
    }
    Ok(())
}

/// The listing of a folder: the cache's, or the remembered one.
pub(super) fn of(repo: &Repo, cache: &mut Cache, object: &Object) -> Result<Option<Tree>> {
    if let Some(tree) = cache.tree(object)? {
        return Ok(Some(tree));
    }
    let bytes = fs::read(path(repo, &object.digest)).ok();
    let tree = bytes.and_then(|bytes| Tree::parse(&bytes).ok());
    Ok(tree.filter(|tree| tree.digest() == object.digest))
}

fn write(repo: &Repo, digest: &Digest, tree: &Tree) {
    let path = path(repo, digest);
    let Some(folder) = path.parent() else { return };
    // A file that is cut off by a crash does not have its digest, and is not used.
    let _ = fs::create_dir_all(folder).and_then(|()| fs::write(&path, tree.to_bytes()));
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut files: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    if files.len() > KEPT {
        files.sort();
        for (_, old) in &files[..files.len() - KEPT] {
            let _ = fs::remove_file(old);
        }
    }
}

fn path(repo: &Repo, digest: &Digest) -> PathBuf {
    repo.state_dir().join("listings").join(digest.hex())
}
