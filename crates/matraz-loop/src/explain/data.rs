//! What two runs read: files, and the rows and columns of tables.

use std::path::{Path, PathBuf};

use matraz_data::cache::{Cache, Object};
use matraz_data::stage::address::join;
use matraz_data::{Digest, Repo};

use super::table::{self, TableChange};
use super::{About, Change, Section};
use crate::error::Result;
use crate::run::{DatasetUse, Run, tag};

/// Endings of files that programs are made of.
const CODE: [&str; 19] = [
    "py", "pyi", "pyx", "ipynb", "sh", "bash", "r", "jl", "sql", "rs", "c", "cc", "cpp", "h", "js", "ts",
    "toml", "cfg", "ini",
];
/// Files of a folder that are named.
const SHOWN: usize = 8;
/// Tables of a folder that are compared.
const TABLES: usize = 20;

/// Compares what the runs read. Code that stages name is left to the section of code.
pub(super) fn section(repo: Option<&Repo>, a: &Run, b: &Run, key: &[String]) -> Result<Section> {
    let inputs = |run: &Run| -> Vec<DatasetUse> {
        let read = run.datasets.iter().filter(|item| !item.is_output() && !is_code(Path::new(&item.name)));
        read.cloned().collect()
    };
    let (old, new) = (inputs(a), inputs(b));
    let mut names: Vec<&String> = old.iter().chain(&new).map(|item| &item.name).collect();
    names.sort();
    names.dedup();
    let mut contents = Contents { repo, cache: repo.map(Cache::open) };
    let commits = (a.tag(tag::COMMIT), b.tag(tag::COMMIT));
    let mut changes = Vec::new();
    for name in names {
        let find = |items: &[DatasetUse]| items.iter().find(|item| item.name == *name).cloned();
        let sides = (find(&old), find(&new));
        let digest = |side: &Option<DatasetUse>| side.as_ref().map(|item| item.digest.clone());
        if digest(&sides.0) == digest(&sides.1) {
            continue;
        }
        let mut change =
            Change { what: name.clone(), old: digest(&sides.0), new: digest(&sides.1), ..Change::default() };
        if let (Some(old), Some(new)) = sides {
            let sizes = old.size.zip(new.size).map(|(old, new)| format!("{old} → {new} bytes"));
            change.details.extend(sizes);
            contents.compare(&mut change, (&old, commits.0), (&new, commits.1), key)?;
        }
        changes.push(change);
    }
    Ok(Section { about: About::Data, changes, unknown: None })
}

/// Whether a file is part of a program by its name.
fn is_code(path: &Path) -> bool {
    path.extension().is_some_and(|ending| CODE.contains(&ending.to_string_lossy().to_lowercase().as_str()))
}

struct Contents<'r> {
    repo: Option<&'r Repo>,
    cache: Option<Cache>,
}

impl Contents<'_> {
    fn compare(
        &mut self,
        change: &mut Change,
        old: (&DatasetUse, Option<&str>),
        new: (&DatasetUse, Option<&str>),
        key: &[String],
    ) -> Result<()> {
        let (Some(a), Some(b)) = (Digest::parse(&old.0.digest), Digest::parse(&new.0.digest)) else {
            return Ok(());
        };
        if a.is_dir() && b.is_dir() {
            return self.folders(change, a, b, key);
        }
        let path = Path::new(&change.what);
        if !table::is_table(path) {
            return Ok(());
        }
        let (a, b) = (self.place(&a, path, old.1)?, self.place(&b, path, new.1)?);
        match (a, b) {
            (Some(a), Some(b)) => match table::compare(path, a.path(), b.path(), key) {
                Ok(found) => change.table = Some(found),
                Err(why) => change.details.push(why),
            },
            _ => {
                change.details.push("the rows are not compared: the cache does not have both contents".into())
            }
        }
        Ok(())
    }

    /// The content of a digest: in the cache, or as git has it.
    fn place(&mut self, digest: &Digest, path: &Path, commit: Option<&str>) -> Result<Option<Place>> {
        let Some(repo) = self.repo else { return Ok(None) };
        if let Some(cache) = &self.cache {
            let object = cache.path(&Object::new(*digest));
            if object.is_file() {
                return Ok(Some(Place::Cached(object)));
            }
        }
        let absolute = join(&repo.root, &path.to_string_lossy());
        let same = |bytes: &[u8]| Digest::file(matraz_data::hash::md5::of_bytes(bytes)) == *digest;
        let mut found = std::fs::read(&absolute).ok().filter(|bytes| same(bytes));
        if found.is_none()
            && let (Some(git), Some(commit)) = (&repo.git, commit)
            && git.resolve(commit).is_some()
        {
            found = git.read_at(commit, &absolute)?.filter(|bytes| same(bytes));
        }
        let Some(bytes) = found else { return Ok(None) };
        let Ok(file) = tempfile::NamedTempFile::new() else { return Ok(None) };
        Ok(std::fs::write(file.path(), bytes).is_ok().then_some(Place::Copied(file)))
    }

    fn folders(&mut self, change: &mut Change, a: Digest, b: Digest, key: &[String]) -> Result<()> {
        let Some(cache) = &mut self.cache else { return Ok(()) };
        let (old, new) = (cache.tree(&Object::new(a))?, cache.tree(&Object::new(b))?);
        let (Some(old), Some(new)) = (old, new) else {
            change.details.push("the files are not compared: the cache does not have both listings".into());
            return Ok(());
        };
        let mut lines: Vec<(char, String)> = Vec::new();
        let mut tables: Vec<(String, Digest, Digest)> = Vec::new();
        for entry in old.entries() {
            match new.get(&entry.path) {
                None => lines.push(('−', entry.path.clone())),
                Some(digest) if *digest != entry.digest => {
                    lines.push(('~', entry.path.clone()));
                    if table::is_table(Path::new(&entry.path)) {
                        tables.push((entry.path.clone(), entry.digest, *digest));
                    }
                }
                Some(_) => {}
            }
        }
        let added = new.entries().iter().filter(|entry| old.get(&entry.path).is_none());
        lines.extend(added.map(|entry| ('+', entry.path.clone())));
        let count = |sign: char| lines.iter().filter(|(own, _)| *own == sign).count();
        let (added, changed, removed) = (count('+'), count('~'), count('−'));
        change.details.push(format!("files: {added} added, {changed} changed, {removed} removed"));
        change.details.extend(lines.iter().take(SHOWN).map(|(sign, path)| format!("{sign} {path}")));
        if lines.len() > SHOWN {
            change.details.push(format!("and {} more", lines.len() - SHOWN));
        }
        let mut sum: Option<TableChange> = None;
        for (path, a, b) in tables.into_iter().take(TABLES) {
            let path = PathBuf::from(path);
            let (Some(a), Some(b)) = (self.place(&a, &path, None)?, self.place(&b, &path, None)?) else {
                continue;
            };
            if let Ok(found) = table::compare(&path, a.path(), b.path(), key) {
                change.details.push(format!("{}: {}", path.display(), found.line()));
                sum = Some(match sum {
                    Some(sum) => sum.and(&found),
                    None => found,
                });
            }
        }
        change.table = sum;
        Ok(())
    }
}

/// Where a content can be read.
enum Place {
    Cached(PathBuf),
    Copied(tempfile::NamedTempFile),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::Cached(path) => path,
            Self::Copied(file) => file.path(),
        }
    }
}
