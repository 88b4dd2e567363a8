//! Outputs as artifacts of a run: by a link to the cache where both are on this machine, else by upload of what a
//! person wants to see.

use std::fs;
use std::io;
use std::path::Path;

use matraz_data::cache::Cache;
use matraz_data::hash::tree::Tree;
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
/// read-only objects, a copy where the filesystem has no links. `None` when the artifacts are not on this machine.
pub(super) fn link(tracker: &Tracker, run: &OpenRun, cache: &Cache, item: &LockedItem) -> Result<Option<()>> {
    let Some(root) = tracker.artifact_folder(&run.artifact_uri) else { return Ok(None) };
    let (Some(digest), Ok(place)) = (&item.digest, ArtifactPath::parse(&item.path)) else { return Ok(None) };
    let target = root.join(place.as_str());
    if digest.is_dir() {
        let tree = Tree::read(&cache.path_of(digest))?;
        for entry in tree.entries() {
            let Ok(below) = ArtifactPath::parse(&entry.relpath) else { continue };
            link_file(&cache.path_of(&entry.digest), &target.join(below.as_str()))?;
        }
    } else {
        link_file(&cache.path_of(digest), &target)?;
    }
    Ok(Some(()))
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
