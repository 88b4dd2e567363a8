//! The trash of `runs gc`: what is marked as deleted keeps its rows, and its artifacts lie beside the artifact folder,
//! until the trash is emptied or the removal is undone.
//!
//! A removal is a folder `ARTIFACTS.trash/NAME/` with a journal and one folder per run or model. The journal is on the disk
//! before the first folder moves, and every folder moves in one rename, so that what is killed can be done again.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use matraz_base::Explain;
use serde::{Deserialize, Serialize};

use super::{Doomed, Kind, folder_of, is_named_after, remove_rows, tidy};
use crate::db::gc;
use crate::service::Service;

const JOURNAL: &str = "journal.json";

/// Runs, models and experiments that went together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// Its name: when it was made.
    pub name: String,
    /// What went.
    pub items: Vec<Item>,
}

impl Removal {
    /// The bytes of all artifacts.
    pub fn bytes(&self) -> u64 {
        self.items.iter().map(|item| item.bytes).sum()
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Where its artifacts were; `None` when it has none on this machine.
    pub folder: Option<PathBuf>,
    /// The bytes of its artifacts.
    pub bytes: u64,
}

/// What an undo did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The name of the removal.
    pub name: String,
    /// What has its artifacts again. It is still marked as deleted; `runs restore` takes that back.
    pub restored: Vec<Item>,
    /// What stays in the trash: its rows are gone, or there are other artifacts in its place.
    pub stays: Vec<Item>,
}

/// What came of emptying the trash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Emptied {
    /// What is gone for good.
    pub removed: Vec<Item>,
    /// What was restored meanwhile and has its artifacts again.
    pub restored: Vec<Item>,
}

/// Why the trash cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrashError {
    /// There is nothing in the trash.
    #[error("the trash is empty")]
    Empty,
    /// No removal has this name.
    #[error("there is no removal '{name}' in the trash")]
    NoSuchRemoval {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The journal of a removal cannot be read.
    #[error("the journal of a removal, '{}', is not understood", path.display())]
    BadJournal {
        /// The file.
        path: PathBuf,
    },
    /// Artifacts cannot be moved into the trash by a rename.
    #[error("'{}' is on another filesystem than the trash at '{}'", folder.display(), trash.display())]
    OtherFilesystem {
        /// The artifacts.
        folder: PathBuf,
        /// The trash.
        trash: PathBuf,
    },
    /// A file or folder cannot be used.
    #[error("cannot {action} '{}'", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// The store fails.
    #[error(transparent)]
    Store(#[from] crate::Error),
}

impl TrashError {
    fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { action, path: path.to_path_buf(), source }
    }
}

impl Explain for TrashError {
    fn kind(&self) -> matraz_base::Kind {
        use matraz_base::Kind;
        match self {
            Self::Empty | Self::NoSuchRemoval { .. } => Kind::Missing,
            Self::BadJournal { .. } => Kind::Corrupt,
            Self::OtherFilesystem { .. } => Kind::Conflict,
            Self::File { .. } => Kind::Failed,
            Self::Store(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchRemoval { known, .. } if !known.is_empty() => {
                Some(format!("there are: {}", known.join(", ")))
            }
            Self::OtherFilesystem { .. } => Some("remove it at once, without the trash: `--delete`".into()),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Journal {
    version: u32,
    items: Vec<Item>,
}

/// What is in the trash already.
pub fn held(service: &Service) -> Result<BTreeSet<String>, TrashError> {
    Ok(list(service)?.into_iter().flat_map(|removal| removal.items).map(|item| item.id).collect())
}

/// Moves the artifacts of a plan into the trash. Rows stay, marked as they are.
pub async fn take(service: &Service, plan: &[Doomed], name: &str) -> Result<Removal, TrashError> {
    let trash = folder(service);
    let home = free_name(&trash, name);
    let mut items = Vec::new();
    for doomed in plan {
        let place = folder_of(service, doomed).filter(|place| is_named_after(place, &doomed.id));
        let place = place.filter(|place| place.symlink_metadata().is_ok_and(|found| found.is_dir()));
        if let Some(place) = place.as_ref().filter(|place| device(place) != device(&trash)) {
            return Err(TrashError::OtherFilesystem { folder: place.clone(), trash });
        }
        let bytes = place.as_deref().map_or(0, bytes_below);
        items.push(Item { kind: doomed.kind, id: doomed.id.clone(), folder: place, bytes });
    }
    fs::create_dir_all(&home).map_err(TrashError::file("make", &home))?;
    write(&home, &items)?;
    for item in &items {
        if let Some(place) = &item.folder {
            fs::rename(place, home.join(&item.id)).map_err(TrashError::file("move", place))?;
            tidy(place);
        }
    }
    Ok(Removal { name: name_of(&home), items })
}

/// The removals in the trash, the oldest first.
pub fn list(service: &Service) -> Result<Vec<Removal>, TrashError> {
    let trash = folder(service);
    let mut removals = Vec::new();
    for entry in fs::read_dir(&trash).into_iter().flatten().flatten() {
        // Without a journal it was killed before anything moved.
        if let Some(items) = read(&entry.path())? {
            removals.push(Removal { name: name_of(&entry.path()), items });
        }
    }
    removals.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(removals)
}

/// Brings back what a removal took, or the last one when none is named.
pub async fn undo(service: &Service, name: Option<&str>) -> Result<Restored, TrashError> {
    let removal = find(service, name)?;
    let home = folder(service).join(&removal.name);
    let (mut restored, mut stays) = (Vec::new(), Vec::new());
    for item in removal.items {
        let is_back = is_marked(service, &item).await?.is_some() && bring_back(&home, &item)?;
        if is_back { restored.push(item) } else { stays.push(item) }
    }
    if stays.is_empty() {
        discard(&home)?;
    } else {
        write(&home, &stays)?;
    }
    Ok(Restored { name: removal.name, restored, stays })
}

/// Removes for good what a removal took, or all of them, rows too. What was restored meanwhile gets its artifacts back.
pub async fn empty(service: &Service, name: Option<&str>) -> Result<Emptied, TrashError> {
    let removals = match name {
        Some(name) => vec![find(service, Some(name))?],
        None => list(service)?,
    };
    let mut emptied = Emptied::default();
    for removal in removals {
        let home = folder(service).join(&removal.name);
        let mut stays = Vec::new();
        for item in removal.items {
            match is_marked(service, &item).await? {
                Some(true) => {
                    discard(&home.join(&item.id))?;
                    let doomed = Doomed { kind: item.kind, id: item.id.clone(), artifacts: None };
                    remove_rows(service, &doomed).await?;
                    emptied.removed.push(item);
                }
                Some(false) if bring_back(&home, &item)? => emptied.restored.push(item),
                Some(false) => stays.push(item),
                // Somebody else removed its rows.
                None => {
                    discard(&home.join(&item.id))?;
                    emptied.removed.push(item);
                }
            }
        }
        if stays.is_empty() {
            discard(&home)?;
        } else {
            write(&home, &stays)?;
        }
    }
    let _ = fs::remove_dir(folder(service));
    Ok(emptied)
}

/// Whether something is marked as deleted, itself or with its experiment; `None` when it has no rows any more.
async fn is_marked(service: &Service, item: &Item) -> crate::Result<Option<bool>> {
    let mut session = service.db().read().await?;
    let found = match item.kind {
        Kind::Run => gc::run(&mut session, &item.id).await?,
        Kind::LoggedModel => gc::model(&mut session, &item.id).await?,
        Kind::Experiment => gc::experiment(&mut session, item.id.parse().unwrap_or_default()).await?,
    };
    let Some(found) = found else { return Ok(None) };
    let experiment = gc::experiment(&mut session, found.experiment).await?;
    let is_deleted = |candidate: &gc::Candidate| candidate.stage == "deleted";
    Ok(Some(is_deleted(&found) || experiment.as_ref().is_some_and(is_deleted)))
}

/// Moves artifacts to where they were; false when others are there.
fn bring_back(home: &Path, item: &Item) -> Result<bool, TrashError> {
    let Some(place) = &item.folder else { return Ok(true) };
    let held = home.join(&item.id);
    if !held.exists() {
        // A killed undo has done it.
        return Ok(true);
    }
    if !is_named_after(place, &item.id) || place.exists() {
        return Ok(false);
    }
    if let Some(owner) = place.parent() {
        fs::create_dir_all(owner).map_err(TrashError::file("make", owner))?;
    }
    fs::rename(&held, place).map_err(TrashError::file("move", &held))?;
    Ok(true)
}

/// `mlartifacts.trash` beside `mlartifacts`.
fn folder(service: &Service) -> PathBuf {
    let root = service.artifacts().proxy().map_or(Path::new("mlartifacts"), |root| root.folder());
    let mut name = root.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".trash");
    root.with_file_name(name)
}

fn free_name(trash: &Path, name: &str) -> PathBuf {
    let mut free = trash.join(name);
    let mut number = 2;
    while free.exists() {
        free = trash.join(format!("{name}-{number:03}"));
        number += 1;
    }
    free
}

fn name_of(home: &Path) -> String {
    home.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn find(service: &Service, name: Option<&str>) -> Result<Removal, TrashError> {
    let mut removals = list(service)?;
    let Some(name) = name else { return removals.pop().ok_or(TrashError::Empty) };
    match removals.iter().position(|removal| removal.name == name) {
        Some(place) => Ok(removals.swap_remove(place)),
        None => {
            let known = removals.into_iter().map(|removal| removal.name).collect();
            Err(TrashError::NoSuchRemoval { name: name.to_owned(), known })
        }
    }
}

fn write(home: &Path, items: &[Item]) -> Result<(), TrashError> {
    let path = home.join(JOURNAL);
    let journal = serde_json::json!({"version": 1, "items": items});
    matraz_base::file::write(&path, journal.to_string().as_bytes()).map_err(TrashError::file("write", &path))
}

fn read(home: &Path) -> Result<Option<Vec<Item>>, TrashError> {
    let path = home.join(JOURNAL);
    let text = matraz_base::file::read_if_present(&path).map_err(TrashError::file("read", &path))?;
    let Some(text) = text else { return Ok(None) };
    // An id is a name of a folder in the trash.
    let is_name = |item: &Item| !item.id.is_empty() && !item.id.contains('/') && !item.id.starts_with('.');
    match serde_json::from_str::<Journal>(&text) {
        Ok(journal) if journal.version == 1 && journal.items.iter().all(is_name) => Ok(Some(journal.items)),
        _ => Err(TrashError::BadJournal { path }),
    }
}

fn discard(folder: &Path) -> Result<(), TrashError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TrashError::file("remove", folder)(error))
        }
        _ => Ok(()),
    }
}

/// The filesystem that a path is on, or would be.
fn device(path: &Path) -> Option<u64> {
    path.ancestors().find_map(|folder| fs::metadata(folder).ok()).map(|found| found.dev())
}

/// The bytes of all files below a folder; links count nothing.
pub fn bytes_below(folder: &Path) -> u64 {
    let mut bytes = 0;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) if found.is_file() => bytes += found.len(),
                _ => {}
            }
        }
    }
    bytes
}
