//! `dataset add` and `dataset update`: names for data elsewhere, locked to what they are now.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;
use matraz_base::{Map, Value, yaml};

use crate::index::Index;
use crate::source::{Request, Source, url};
use crate::stage::address::relative;
use crate::stage::dataset::{Dataset, Kind, Standing};
use crate::stage::{LockFile, PIPELINE_FILE, document};
use crate::workspace::{self, Target};
use crate::{Error, Repo, Result};

/// A dataset before and after an update.
#[derive(Clone, Debug)]
pub struct Updated {
    /// What it was locked to; none when it was not, or when `dvc.yaml` was changed since.
    pub before: Option<Map>,
    /// As it is defined now.
    pub dataset: Dataset,
    /// What it is locked to now.
    pub lock: Map,
    /// Whether anything was written for it.
    pub changed: bool,
    /// Files for git that were written.
    pub files: Vec<PathBuf>,
}

/// Adds a dataset to the `dvc.yaml` of the folder `cwd` and locks it. `force` replaces one of the same name.
pub fn add(
    repo: &Repo,
    dataset: Dataset,
    force: bool,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Updated> {
    let index = Index::load(repo)?;
    if !force && let Some((file, _)) = index.dataset(&dataset.name) {
        let file = relative(&file.document.path, cwd);
        let message = format!("{} already exists in {file}, use the --force to overwrite", dataset.name);
        return Err(Error::BadDataset { message });
    }
    let manifest = cwd.join(PIPELINE_FILE);
    let lock = look(repo, &dataset, &manifest, cwd, progress, interrupt)?;
    let mut updated = Updated { before: None, dataset, lock, changed: true, files: Vec::new() };
    write_definition(&index, &manifest, &updated.dataset, &mut updated.files)?;
    write_lock(&manifest, &updated.lock, &mut updated.files)?;
    repo.stage_for_git(&updated.files)?;
    Ok(updated)
}

/// Locks a dataset to what it is now. `rev` is the revision to follow from now on.
pub fn update(
    repo: &Repo,
    name: &str,
    rev: Option<&str>,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Updated> {
    let index = Index::load(repo)?;
    let Some((file, entry)) = index.dataset(name) else {
        return Err(Error::NoSuchDataset { name: name.to_owned(), close: close_to(&index, name) });
    };
    let manifest = file.document.path.clone();
    let old = Dataset::read(entry).map_err(|message| Error::BadDataset { message })?;
    if old.kind == Kind::Url && rev.is_some() {
        let message = "cannot update version/revision for a url".to_owned();
        return Err(Error::BadDataset { message });
    }
    let mut dataset = old.clone();
    if old.kind == Kind::Dvc
        && let Some(rev) = rev
    {
        dataset.rev = Some(rev.to_owned());
    }
    let before = match index.dataset_standing(name) {
        Standing::Locked(lock) => Some(lock),
        _ => None,
    };
    let lock = look(repo, &dataset, &manifest, cwd, progress, interrupt)?;
    let changed = dataset != old || before.as_ref() != Some(&lock);
    let mut updated = Updated { before, dataset, lock, changed, files: Vec::new() };
    if updated.dataset != old {
        write_definition(&index, &manifest, &updated.dataset, &mut updated.files)?;
    }
    if changed {
        write_lock(&manifest, &updated.lock, &mut updated.files)?;
    }
    repo.stage_for_git(&updated.files)?;
    Ok(updated)
}

/// The known name that most likely was meant.
fn close_to(index: &Index, name: &str) -> Option<String> {
    let entries = index.pipelines.iter().flat_map(|file| &file.datasets);
    let known: Vec<&str> = entries.filter_map(|entry| entry.get("name").and_then(Value::as_str)).collect();
    document::nearest(name, &known).map(str::to_owned)
}

/// What a dataset is now, as the lock file says it.
fn look(
    repo: &Repo,
    dataset: &Dataset,
    manifest: &Path,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Map> {
    let folder = manifest.parent().unwrap_or(cwd);
    let mut lock = dataset.to_map();
    match dataset.kind {
        Kind::Dvc => {
            let request =
                Request { url: dataset.url.clone(), rev: dataset.rev.clone(), ..Request::default() };
            let source = Source::open(&request, folder, &repo.places, Some(&repo.cache_dir()))?;
            lock.insert("rev_lock".into(), Value::Str(source.commit()?));
        }
        Kind::Url => {
            let path = url::locate(&dataset.url, &repo.config, folder)?;
            lock.insert("meta".into(), Value::Map(meta_of(repo, &path, progress, interrupt)?));
        }
        Kind::DataChain => {
            let message = format!(
                "dataset '{}' is one of DataChain, which only DataChain's own catalog can look up",
                dataset.name
            );
            return Err(Error::BadDataset { message });
        }
    }
    Ok(lock)
}

/// Size and the like of a file or folder, with DVC's keys.
fn meta_of(repo: &Repo, path: &Path, progress: &dyn Progress, interrupt: &Interrupt) -> Result<Map> {
    let mut map = Map::new();
    let whole = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
    let found = workspace::hash_many(repo, &[Target::new(path)], progress, interrupt.flag())?;
    let Some(content) = found.into_iter().next().flatten() else {
        return Err(Error::NoSuchFile { path: path.to_path_buf() });
    };
    if content.digest.is_dir() {
        map.insert("isdir".into(), Value::Bool(true));
    }
    for (key, count) in [("size", content.meta.size), ("nfiles", content.meta.nfiles)] {
        map.extend(count.map(|count| (key.to_owned(), whole(count))));
    }
    if content.meta.isexec {
        map.insert("isexec".into(), Value::Bool(true));
    }
    if !content.digest.is_dir() {
        let meta = std::fs::metadata(path).map_err(Error::io("look at", path))?;
        map.insert("inode".into(), whole(meta.ino()));
        // Seconds as Python counts them.
        let mtime = meta.mtime() as f64 + meta.mtime_nsec() as f64 * 1e-9;
        map.insert("mtime".into(), Value::Float(mtime));
    }
    Ok(map)
}

/// Puts the definition into the file, which keeps its comments.
fn write_definition(index: &Index, file: &Path, dataset: &Dataset, files: &mut Vec<PathBuf>) -> Result<()> {
    let before = document::read(file)?;
    let mut root = match &before {
        Some(document) => document.parse()?.to_value(),
        None => Value::Null,
    };
    if root == Value::Null {
        root = Value::Map(Map::new());
    }
    let wanted = Value::Map(dataset.to_map());
    let resolved = index.pipelines.iter().find(|known| known.document.path == file);
    let resolved = resolved.map_or(&[][..], |known| &known.datasets);
    let place = resolved.iter().position(|entry| entry.get("name") == wanted.get("name"));
    if let Value::Map(root) = &mut root {
        let entries = root.entry("datasets".to_owned()).or_insert_with(|| Value::List(Vec::new()));
        if *entries == Value::Null {
            *entries = Value::List(Vec::new());
        }
        if let Value::List(entries) = entries {
            match place.and_then(|n| Some((entries.get_mut(n)?, resolved.get(n)?))) {
                Some((raw, resolved)) if raw != resolved => {
                    let message = "cannot update a parametrized dataset entry".to_owned();
                    return Err(Error::BadDataset { message });
                }
                Some((raw, _)) => *raw = wanted,
                None => entries.push(wanted),
            }
        }
    }
    let text = match &before {
        Some(document) if !document.text.trim().is_empty() => {
            yaml::edit(&document.text, &root).unwrap_or_else(|_| yaml::write(&root))
        }
        _ => yaml::write(&root),
    };
    matraz_base::file::write(file, text.as_bytes()).map_err(Error::io("write", file))?;
    files.push(file.to_path_buf());
    Ok(())
}

fn write_lock(manifest: &Path, entry: &Map, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut lock = LockFile::beside(manifest)?;
    lock.set_dataset(entry.clone());
    if lock.save()? {
        files.push(lock.path);
    }
    Ok(())
}
