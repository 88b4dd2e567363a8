//! The trash: what `gc` removed, until it is emptied.
//!
//! A removal is a folder `.dvc/tmp/matraz/trash/NAME/` with a journal and the objects. The journal is written, and is
//! safe on the disk, before the first object moves; every object moves in one rename. So a killed removal loses
//! nothing, and undoing or emptying it may be killed and started again at any point. A cache or remote on another
//! filesystem has its part of the trash inside itself (`.matraz-trash/NAME/`), where neither DVC nor Matraz looks for
//! objects.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::{Progress, Task};
use serde::{Deserialize, Serialize};

use super::absent;
use super::gc::{Plan, object_at};
use crate::{Error, Repo, Result};

const JOURNAL: &str = "journal.jsonl";

/// Objects that were removed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Its name: when it was made.
    pub name: String,
    /// How many objects there were.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The caches and remotes that they were in.
    pub roots: Vec<PathBuf>,
}

/// What an undo did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The name of the removal.
    pub name: String,
    /// Objects that are back.
    pub restored: usize,
    /// Objects that had come back in another way.
    pub present: usize,
    /// Objects that the trash has no more.
    pub lost: usize,
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    folders: Vec<Folder>,
}

/// A place that was cleaned, and where its objects are now.
#[derive(Serialize, Deserialize)]
struct Folder {
    root: PathBuf,
    trash: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Line {
    folder: usize,
    key: String,
    size: u64,
}

struct Journal {
    path: PathBuf,
    header: Header,
    lines: Vec<Line>,
}

/// Moves the objects of a plan into the trash, under a name that is made unique.
pub(crate) fn take(
    repo: &Repo,
    plan: &Plan,
    name: &str,
    task: (&dyn Progress, Task),
    interrupt: &Interrupt,
) -> Result<Removal> {
    let (progress, task) = task;
    let name = free_name(repo, name);
    let home = trash_dir(repo).join(&name);
    fs::create_dir_all(&home).map_err(Error::io("create", &home))?;
    let mut header = Header { version: 1, folders: Vec::new() };
    let mut lines = Vec::new();
    for sweep in plan.sweeps.iter().filter(|sweep| !sweep.doomed.is_empty()) {
        let folder = match header.folders.iter().position(|folder| folder.root == sweep.root) {
            Some(known) => known,
            None => {
                let same = device(&home).is_some() && device(&home) == device(&sweep.root);
                let number = header.folders.len().to_string();
                let trash = if same {
                    home.join(number)
                } else {
                    sweep.root.join(".matraz-trash").join(&name).join(number)
                };
                header.folders.push(Folder { root: sweep.root.clone(), trash });
                header.folders.len() - 1
            }
        };
        lines.extend(sweep.doomed.iter().map(|doomed| Line {
            folder,
            key: doomed.object.key(),
            size: doomed.size,
        }));
    }
    let journal = Journal { path: home.join(JOURNAL), header, lines };
    journal.write()?;
    for line in &journal.lines {
        if interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let folder = &journal.header.folders[line.folder];
        rename(&folder.root.join(&line.key), &folder.trash.join(&line.key))?;
        progress.advance(task, 1);
    }
    Ok(journal.removal(name))
}

/// The removals in the trash, the oldest first.
pub fn list(repo: &Repo) -> Result<Vec<Removal>> {
    let mut removals = Vec::new();
    for name in names(repo)? {
        if let Some(journal) = Journal::read(repo, &name)? {
            removals.push(journal.removal(name));
        }
    }
    Ok(removals)
}

/// Brings back what a removal took, or the last one when none is named.
pub fn undo(repo: &Repo, name: Option<&str>, interrupt: &Interrupt) -> Result<Restored> {
    let (name, journal) = find(repo, name)?;
    let mut restored = Restored { name, restored: 0, present: 0, lost: 0 };
    // The files of a folder are back before its listing is.
    for line in journal.lines.iter().rev() {
        if interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let folder = &journal.header.folders[line.folder];
        let (from, to) = (folder.trash.join(&line.key), folder.root.join(&line.key));
        match (to.exists(), rename_if_there(&from, &to)?) {
            (true, _) => restored.present += 1,
            (false, true) => restored.restored += 1,
            (false, false) => restored.lost += 1,
        }
    }
    journal.discard(repo, &restored.name)?;
    Ok(restored)
}

/// Frees the space of one removal, or of all. Returns those that are gone.
pub fn empty(repo: &Repo, name: Option<&str>) -> Result<Vec<Removal>> {
    let mut emptied = Vec::new();
    if let Some(name) = name {
        let (name, journal) = find(repo, Some(name))?;
        journal.discard(repo, &name)?;
        return Ok(vec![journal.removal(name)]);
    }
    for name in names(repo)? {
        match Journal::read(repo, &name)? {
            Some(journal) => {
                journal.discard(repo, &name)?;
                emptied.push(journal.removal(name));
            }
            // Killed before anything was moved.
            None => remove_folder(&trash_dir(repo).join(&name))?,
        }
    }
    Ok(emptied)
}

fn trash_dir(repo: &Repo) -> PathBuf {
    repo.state_dir().join("trash")
}

/// The names of all removals, the oldest first.
fn names(repo: &Repo) -> Result<Vec<String>> {
    let dir = trash_dir(repo);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("read", dir)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io("read", &dir))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

fn free_name(repo: &Repo, name: &str) -> String {
    let taken = |name: &str| trash_dir(repo).join(name).exists();
    let mut free = name.to_owned();
    let mut n = 2;
    while taken(&free) {
        free = format!("{name}-{n:03}");
        n += 1;
    }
    free
}

fn find(repo: &Repo, name: Option<&str>) -> Result<(String, Journal)> {
    let known: Vec<String> = list(repo)?.into_iter().map(|removal| removal.name).collect();
    let name = match name {
        Some(name) if known.iter().any(|known| known == name) => name.to_owned(),
        Some(name) => return Err(Error::NoSuchRemoval { name: name.to_owned(), known }),
        None => known.into_iter().next_back().ok_or(Error::EmptyTrash)?,
    };
    let journal = Journal::read(repo, &name)?.ok_or(Error::EmptyTrash)?;
    Ok((name, journal))
}

impl Journal {
    fn write(&self) -> Result<()> {
        let fill = |file: &mut fs::File| {
            let mut out = std::io::BufWriter::new(file);
            serde_json::to_writer(&mut out, &self.header)?;
            for line in &self.lines {
                out.write_all(b"\n")?;
                serde_json::to_writer(&mut out, line)?;
            }
            out.write_all(b"\n")?;
            out.flush()
        };
        matraz_base::file::write_with(&self.path, fill).map_err(Error::io("write", &self.path))
    }

    /// The journal of a removal; `None` when nothing was moved yet.
    fn read(repo: &Repo, name: &str) -> Result<Option<Self>> {
        let path = trash_dir(repo).join(name).join(JOURNAL);
        let text = matraz_base::file::read_if_present(&path);
        let Some(text) = text.map_err(Error::io("read", &path))? else { return Ok(None) };
        let bad = |reason: String| Error::BadJournal { path: path.clone(), reason };
        let mut rows = text.lines();
        let header: Header =
            serde_json::from_str(rows.next().unwrap_or_default()).map_err(|error| bad(error.to_string()))?;
        if header.version != 1 {
            return Err(bad(format!("version {}", header.version)));
        }
        let mut lines = Vec::new();
        for row in rows {
            let line: Line = serde_json::from_str(row).map_err(|error| bad(error.to_string()))?;
            if object_at(&line.key).is_none() || line.folder >= header.folders.len() {
                return Err(bad(format!("'{}' is no object", line.key)));
            }
            lines.push(line);
        }
        Ok(Some(Self { path: path.clone(), header, lines }))
    }

    fn removal(&self, name: String) -> Removal {
        Removal {
            name,
            objects: self.lines.len(),
            bytes: self.lines.iter().map(|line| line.size).sum(),
            roots: self.header.folders.iter().map(|folder| folder.root.clone()).collect(),
        }
    }

    /// Removes what is left of the removal: the objects, and the journal last.
    fn discard(&self, repo: &Repo, name: &str) -> Result<()> {
        for folder in &self.header.folders {
            remove_folder(&folder.trash)?;
            // The folders above it that the trash made in a foreign place.
            for above in folder.trash.ancestors().skip(1).take(2) {
                if folder.trash.starts_with(&folder.root) && fs::remove_dir(above).is_err() {
                    break;
                }
            }
        }
        remove_folder(&trash_dir(repo).join(name))
    }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    rename_if_there(from, to).map(|_| ())
}

/// Moves a file unless something is at its target; whether there was one to move.
fn rename_if_there(from: &Path, to: &Path) -> Result<bool> {
    if to.exists() || !from.exists() {
        return Ok(false);
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    match fs::rename(from, to) {
        Ok(()) => Ok(true),
        Err(error) if absent(&error) => Ok(false),
        Err(error) => Err(Error::io("move", from)(error)),
    }
}

fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if !absent(&error) => Err(Error::io("remove", folder)(error)),
        _ => Ok(()),
    }
}

/// The filesystem that a path is on, or would be.
fn device(path: &Path) -> Option<u64> {
    path.ancestors().find_map(|folder| fs::metadata(folder).ok()).map(|meta| meta.dev())
}
