//! The digest of a model's files.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use matraz_data::Digest;
use matraz_data::hash::many;
use matraz_data::hash::tree::{Entry, Tree};

use crate::error::{Error, Result};
use crate::model_uri;
use crate::promote::Version;
use crate::tracker::Tracker;

/// The digests of artifact locations. Each is read once, however often a command asks for it.
pub struct Digests<'t> {
    tracker: &'t Tracker,
    known: HashMap<String, Option<String>>,
}

impl<'t> Digests<'t> {
    /// Nothing is read yet.
    pub fn new(tracker: &'t Tracker) -> Self {
        Self { tracker, known: HashMap::new() }
    }

    /// The digest of the files below the artifact location `uri`, taken as DVC takes that of a folder, so that it equals
    /// the digest of the output from which they came. `None` when there are no files.
    pub fn of(&mut self, uri: &str) -> Result<Option<String>> {
        if let Some(known) = self.known.get(uri) {
            return Ok(known.clone());
        }
        let digest = read(self.tracker, uri)?;
        self.known.insert(uri.to_owned(), digest.clone());
        Ok(digest)
    }

    /// The digest of a version's files.
    pub(crate) fn of_version(&mut self, version: &Version) -> Result<Option<String>> {
        self.of(&model_uri::files_of(self.tracker, version)?)
    }
}

fn read(tracker: &Tracker, uri: &str) -> Result<Option<String>> {
    let copies = tempfile::tempdir().map_err(Error::file("make", std::env::temp_dir()))?;
    let files = model_uri::files_at(tracker, uri, copies.path())?;
    if files.names.is_empty() {
        return Ok(None);
    }
    let paths: Vec<(PathBuf, bool)> =
        files.names.iter().map(|name| (files.folder.join(name), false)).collect();
    let digests = many::of_files(&paths, many::threads(), &AtomicBool::new(false))?;
    let entry = |(path, md5): (String, [u8; 16])| Entry { path, digest: Digest::file(md5) };
    Ok(Some(Tree::new(files.names.into_iter().zip(digests).map(entry).collect()).digest().to_string()))
}
