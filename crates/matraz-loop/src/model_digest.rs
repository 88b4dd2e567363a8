//! The digest of a model's files.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use matraz_data::Digest;
use matraz_data::hash::many;
use matraz_data::hash::tree::{Entry, Tree};
use matraz_track::artifact::Entry as Listed;

use crate::error::{Error, Result};
use crate::tracker::Tracker;

/// The digest of the files below the artifact location `uri`, taken as DVC takes that of a folder, so that it equals the
/// digest of the output from which they came. `None` when there are no files.
pub fn of(tracker: &Tracker, uri: &str) -> Result<Option<String>> {
    let files = tracker.wait(tracker.client().files(uri, ""))?;
    if files.is_empty() {
        return Ok(None);
    }
    let copies = tempfile::tempdir().map_err(Error::file("make", std::env::temp_dir()))?;
    let mut paths: Vec<(PathBuf, bool)> = Vec::new();
    let local = tracker.artifact_folder(uri);
    for (n, file) in files.iter().enumerate() {
        match &local {
            Some(folder) => paths.push((folder.join(&file.path), false)),
            None => {
                let copy = copies.path().join(n.to_string());
                tracker.wait(tracker.client().download(&format!("{uri}/{}", file.path), &copy))?;
                paths.push((copy, false));
            }
        }
    }
    let digests = many::of_files(&paths, many::threads(), &AtomicBool::new(false))?;
    let entry =
        |(file, md5): (&Listed, [u8; 16])| Entry { path: file.path.clone(), digest: Digest::file(md5) };
    Ok(Some(Tree::new(files.iter().zip(digests).map(entry).collect()).digest().to_string()))
}
