//! What a script logs by itself and a stage makes as well takes its bytes once.
//!
//! When a stage has ended, artifacts of its scripts' runs and of the models that they logged are compared with its outputs
//! in the cache; one with the same bytes becomes a hard link to the cache's read-only object. Only where the artifacts lie
//! on this machine, beside the cache.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use matraz_data::Digest;
use matraz_data::cache::{Cache, Object};
use matraz_data::hash::md5;
use matraz_data::stage::LockedItem;
use serde_json::{Value as Json, json};

use crate::error::{Error, Result};
use crate::run::Run;
use crate::tracker::Tracker;

/// Files below this size are not worth a look, in bytes.
const SMALLEST: u64 = 4096;

/// Makes links of what the runs logged and the cache has among `made`. Returns the bytes that were freed.
pub(super) fn share(
    tracker: &Tracker,
    cache: &mut Cache,
    scripts: &[Run],
    made: &[&LockedItem],
) -> Result<u64> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for run in scripts {
        folders.extend(tracker.artifact_folder(&run.artifact_uri));
        if !folders.is_empty() {
            folders.extend(models_of(tracker, run)?.iter().filter_map(|uri| tracker.artifact_folder(uri)));
        }
    }
    if folders.is_empty() {
        return Ok(0);
    }
    let by_size = objects(cache, made)?;
    let mut freed = 0;
    let mut pending = folders;
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, Ok(meta)) = (entry.path(), entry.metadata()) else { continue };
            if meta.is_dir() {
                pending.push(path);
            } else if let Some(candidates) = by_size.get(&meta.len()).filter(|_| meta.is_file()) {
                freed += link_if_same(&path, candidates)?;
            }
        }
    }
    Ok(freed)
}

/// The places of the logged models of a run. A server that knows no such models has none.
fn models_of(tracker: &Tracker, run: &Run) -> Result<Vec<String>> {
    let body = json!({
        "experiment_ids": [run.experiment_id],
        "filter": format!("source_run_id = '{}'", run.id),
    });
    let answer = match tracker.wait(tracker.client().post("logged-models/search", &body)) {
        Ok(answer) => answer,
        Err(matraz_track::client::ClientError::Refused { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let models = answer.get("models").and_then(Json::as_array).into_iter().flatten();
    Ok(models.filter_map(|model| model.pointer("/info/artifact_uri")?.as_str().map(str::to_owned)).collect())
}

/// The cache's files of what a stage made, by size.
fn objects(cache: &mut Cache, made: &[&LockedItem]) -> Result<HashMap<u64, Vec<(Digest, PathBuf)>>> {
    let mut by_size: HashMap<u64, Vec<(Digest, PathBuf)>> = HashMap::new();
    for item in made.iter().filter(|item| !item.legacy) {
        let Some(digest) = item.digest else { continue };
        let digests = match digest.is_dir() {
            false => vec![digest],
            true => match cache.tree(&Object::new(digest))? {
                Some(tree) => tree.entries().iter().map(|entry| entry.digest).collect(),
                None => Vec::new(),
            },
        };
        for digest in digests {
            let path = cache.path(&Object::new(digest));
            if let Ok(meta) = fs::metadata(&path)
                && meta.len() >= SMALLEST
            {
                by_size.entry(meta.len()).or_default().push((digest, path));
            }
        }
    }
    Ok(by_size)
}

/// Puts a link to the object with the file's content in the place of the file. Returns the bytes that were freed.
fn link_if_same(file: &Path, candidates: &[(Digest, PathBuf)]) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let inode = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino(), meta.len()));
    let own = inode(file);
    if candidates.iter().any(|(_, object)| inode(object) == own) {
        return Ok(0);
    }
    let mut reader = fs::File::open(file).map_err(Error::file("read", file))?;
    let digest = Digest::file(md5::of_reader(&mut reader).map_err(Error::file("read", file))?);
    let Some((_, object)) = candidates.iter().find(|(known, _)| *known == digest) else { return Ok(0) };
    let beside = file.with_extension("matraz-link");
    // Another filesystem, or one without links: the file stays as it is.
    if fs::hard_link(object, &beside).is_err() {
        return Ok(0);
    }
    fs::rename(&beside, file).map_err(Error::file("replace", file))?;
    Ok(own.map_or(0, |(.., size)| size))
}
