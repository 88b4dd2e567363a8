//! Outputs as artifacts of a run: by a link to the cache where both are on this machine, else by upload of what a
//! person wants to see.

use std::fs;
use std::io;
use std::path::Path;

use matraz_data::cache::{Cache, Object};
use matraz_data::stage::LockedItem;
use matraz_track::artifact::ArtifactPath;

use super::write::OpenRun;
use crate::error::{Error, Result};
use crate::tracker::Tracker;

/// Writes text as an artifact.
pub(super) fn text(tracker: &Tracker, run: &OpenRun, path: &str, text: &str) -> Result<()> {
    let uri = format!("{}/{path}", run.artifact_uri);
    Ok(tracker.wait(tracker.client().upload_bytes(&uri, text.to_owned()))?)
}

/// Copies a file of the work tree as an artifact.
pub(super) fn file(tracker: &Tracker, run: &OpenRun, path: &str, local: &Path) -> Result<()> {
    let uri = format!("{}/{path}", run.artifact_uri);
    Ok(tracker.wait(tracker.client().upload(&uri, local))?)
}

/// Puts a cached output below the run's artifacts without a second copy of its bytes: hard links to the cache's
/// read-only objects, a copy where the filesystem has no links. Says whether it was done: not when the artifacts
/// are not on this machine, or the cache does not have the output.
pub(super) fn link(tracker: &Tracker, run: &OpenRun, cache: &mut Cache, item: &LockedItem) -> Result<bool> {
    let Some(root) = tracker.artifact_folder(&run.artifact_uri) else { return Ok(false) };
    let (Some(digest), Ok(place)) = (item.digest, ArtifactPath::parse(&item.path)) else { return Ok(false) };
    let object = Object { digest, legacy: item.legacy };
    let target = root.join(place.as_str());
    if !digest.is_dir() {
        let path = cache.path(&object);
        return if path.is_file() { link_file(&path, &target).map(|()| true) } else { Ok(false) };
    }
    let Some(tree) = cache.tree(&object)? else { return Ok(false) };
    for entry in tree.entries() {
        let path = cache.path(&object.file_of(entry.digest));
        let Ok(below) = ArtifactPath::parse(&entry.path) else { return Ok(false) };
        if !path.is_file() {
            return Ok(false);
        }
        link_file(&path, &target.join(below.as_str()))?;
    }
    Ok(true)
}

fn link_file(object: &Path, target: &Path) -> Result<()> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
    }
    match fs::hard_link(object, target) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) => fs::copy(object, target).map(drop).map_err(Error::file("copy", object)),
    }
}

/// Uploads a file, or all files below a folder, of the work tree.
pub(super) fn upload_tree(tracker: &Tracker, run: &OpenRun, path: &str, local: &Path) -> Result<()> {
    if !local.is_dir() {
        return file(tracker, run, path, local);
    }
    let entries = fs::read_dir(local).map_err(Error::file("read", local))?;
    for entry in entries {
        let entry = entry.map_err(Error::file("read", local))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        upload_tree(tracker, run, &format!("{path}/{name}"), &entry.path())?;
    }
    Ok(())
}
