//! Data of imports that the cache does not have: they come from where they were imported.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::{Progress, Unit};

use super::Source;
use super::bring::copy_all;
use super::objects::{open_recorded, request_of};
use super::partial::{self, is_partial};
use super::tree::below;
use crate::cache::{Cache, Object, Origin, Source as Intake};
use crate::hash::tree::Tree;
use crate::remote::fetch::Report;
use crate::stage::Stage;
use crate::{Error, Repo, Result};

/// An import, or a part of it.
#[derive(Clone, Debug)]
pub(crate) struct Imported {
    /// The stage of a `.dvc` file.
    pub stage: Stage,
    /// Only what is at or below this path inside its output; empty for all.
    pub part: String,
}

/// Brings what the cache lacks of imports from other repositories, and of those that wait for their first look: of a
/// folder its listing and the files that are wanted.
pub(crate) fn fetch(
    repo: &Repo,
    cache: &mut Cache,
    imports: &[Imported],
    cwd: &Path,
    report: &mut Report,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut sources: HashMap<String, Source> = HashMap::new();
    for import in imports {
        if is_partial(&import.stage) {
            partial::fetch(repo, &import.stage, cwd, report, progress, interrupt)?;
            continue;
        }
        let out = &import.stage.outs[0];
        let (Some(digest), Some(request)) = (out.digest, request_of(&import.stage.deps[0])) else { continue };
        let object = Object { digest, legacy: out.legacy };
        if is_whole(repo, cache, &object, &import.part, interrupt)? {
            continue;
        }
        let key = format!("{request:?}");
        if !sources.contains_key(&key) {
            let own = Some(repo.cache_dir());
            match open_recorded(&request, &import.stage, cwd, &repo.places, own) {
                Ok(source) => drop(sources.insert(key.clone(), source)),
                // The other data need not wait for a source that cannot be reached.
                Err(error @ Error::CloneFailed { .. }) => {
                    progress.warn(&error.to_string());
                    report.missing.push(object);
                    continue;
                }
                Err(error) => return Err(error),
            }
        }
        let Some(source) = sources.get(&key) else { continue };
        let start = source.name_from_root(&import.stage.deps[0].def_path)?;
        let mut one = One { repo, cache, source, progress, interrupt, report };
        match one.bring(&object, &start, &import.part) {
            // What the source has lost is missing, like what a remote has lost.
            Err(Error::NoSuchPath { .. } | Error::NotInSource { .. } | Error::MissingTree { .. }) => {
                one.report.missing.push(object);
            }
            other => other?,
        }
    }
    Ok(())
}

/// Whether the cache has all that is wanted of an object.
fn is_whole(
    repo: &Repo,
    cache: &mut Cache,
    object: &Object,
    part: &str,
    interrupt: &Interrupt,
) -> Result<bool> {
    let mut objects = vec![*object];
    if object.digest.is_dir() {
        let Some(tree) = cache.tree(object)? else { return Ok(false) };
        objects.extend(tree.below(part).map(|entry| object.file_of(entry.digest)));
    }
    let (presence, _) = cache.survey(repo, &objects, interrupt.flag())?;
    Ok(presence.iter().all(|presence| presence.is_present()))
}

/// One import on its way into the cache.
struct One<'o> {
    repo: &'o Repo,
    cache: &'o mut Cache,
    source: &'o Source,
    progress: &'o dyn Progress,
    interrupt: &'o Interrupt,
    report: &'o mut Report,
}

impl One<'_> {
    fn bring(&mut self, object: &Object, start: &str, part: &str) -> Result<()> {
        if !object.digest.is_dir() {
            return self.files(&[(start.to_owned(), *object)]);
        }
        let tree = match self.cache.tree(object)? {
            Some(tree) => tree,
            None => self.listing(object, start)?,
        };
        let wanted = tree.below(part).map(|entry| (below(start, &entry.path), object.file_of(entry.digest)));
        self.files(&wanted.collect::<Vec<_>>())
    }

    /// The listing of a folder, made from what the source has there.
    fn listing(&mut self, object: &Object, start: &str) -> Result<Tree> {
        let tree = self.source.tree_of(start)?;
        if tree.digest() != object.digest {
            let path = self.cache.path(object);
            return Err(Error::MissingTree { folder: PathBuf::from(start), path });
        }
        self.cache.save_tree(&tree)?;
        Ok(tree)
    }

    /// Copies files of the source to a temporary folder, and from there into the cache, where their content is checked.
    fn files(&mut self, wanted: &[(String, Object)]) -> Result<()> {
        let objects: Vec<Object> = wanted.iter().map(|(_, object)| *object).collect();
        let (presence, _) = self.cache.survey(self.repo, &objects, self.interrupt.flag())?;
        let folder = tempfile::Builder::new()
            .prefix("import-")
            .tempdir_in(self.repo.state_dir())
            .map_err(Error::io("create", self.repo.state_dir()))?;
        let mut jobs = Vec::new();
        let mut sources = Vec::new();
        let absent = wanted.iter().zip(presence).filter(|(_, presence)| !presence.is_present());
        for (number, ((path, object), _)) in absent.enumerate() {
            let temp = folder.path().join(number.to_string());
            jobs.push(self.source.job(path, &self.source.existing(path)?, temp.clone())?);
            sources.push(Intake { origin: Origin::File(temp), size: None, expected: Some(*object) });
        }
        if jobs.is_empty() {
            return Ok(());
        }
        copy_all(&jobs, self.repo.threads(), self.progress, self.interrupt)?;
        for intake in &mut sources {
            if let Origin::File(path) = &intake.origin {
                intake.size = fs::metadata(path).ok().map(|meta| meta.len());
            }
        }
        let task = self.progress.begin("adding to the cache", sources.len() as u64, Unit::Files);
        let stop = self.interrupt.flag();
        let intake = self.cache.take_in(self.repo, &sources, true, None, (self.progress, task), stop);
        self.progress.end(task);
        let intake = intake?;
        self.report.fetched += intake.digests.iter().flatten().count();
        self.report.rejected += intake.corrupted.len();
        self.report.corrupted.extend(intake.corrupted);
        self.report.failed.extend(intake.failed);
        Ok(())
    }
}
