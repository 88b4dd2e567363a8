//! Copies files and folders of a source to a place on this machine.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use matraz_base::process::Interrupt;
use matraz_base::progress::{Progress, Unit};
use matraz_store::{Location, Store};

use super::tree::{Listing, Node, Origin, below};
use super::{Source, objects::Place};
use crate::cache::Object;
use crate::git::{CommitFile, Git};
use crate::hash::digest::Digest;
use crate::hash::md5;
use crate::hash::tree::{Entry, Tree};
use crate::{Error, Result};

/// A file to copy.
pub(super) struct Job {
    /// Where to.
    pub target: PathBuf,
    /// Where from.
    pub from: From,
}

/// Where a file is copied from.
pub(super) enum From {
    /// A file of this machine.
    Disk(PathBuf),
    /// A file of a commit.
    Commit(Arc<Git>, CommitFile),
    /// An object, and the places that may have it.
    Object(Object, Arc<Vec<Place>>),
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// How many files.
    pub files: usize,
    /// Whether it is a folder.
    pub is_dir: bool,
}

/// How much is copied at a time.
const PIECE: usize = 1 << 20;

impl Source {
    /// Copies what is at `path` to `target`: a file is replaced, a folder is laid over what is there.
    pub(crate) fn bring(
        &self,
        path: &str,
        target: &Path,
        threads: usize,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<Brought> {
        let node = self.existing(path)?;
        let mut jobs = Vec::new();
        if node.is_dir {
            fs::create_dir_all(target).map_err(Error::io("create", target))?;
            for (inside, node) in self.walk(path, Listing::default())? {
                let to = target.join(&inside);
                if node.is_dir {
                    fs::create_dir_all(&to).map_err(Error::io("create", &to))?;
                } else {
                    jobs.push(self.job(&below(path, &inside), &node, to)?);
                }
            }
        } else {
            jobs.push(self.job(path, &node, target.to_path_buf())?);
        }
        copy_all(&jobs, threads, progress, interrupt)?;
        Ok(Brought { files: jobs.len(), is_dir: node.is_dir })
    }

    /// How to copy a file.
    pub(super) fn job(&self, path: &str, node: &Node, target: PathBuf) -> Result<Job> {
        let from = match (&node.origin, &self.git) {
            (Origin::WorkTree(path), _) => From::Disk(path.clone()),
            (Origin::Commit(file), Some(git)) => From::Commit(Arc::clone(git), *file),
            (Origin::Object(object), _) => return self.object_job(path, *object, target),
            _ => return Err(self.no_such_path(path)),
        };
        Ok(Job { target, from })
    }

    /// A copy of data that are not in the work tree.
    fn object_job(&self, path: &str, object: Object, target: PathBuf) -> Result<Job> {
        let lost = || Error::NotInSource { path: path.to_owned(), url: self.url.clone() };
        let (project, inside) = self.project(path)?.ok_or_else(lost)?;
        let (name, _) = project.holding(&inside).ok_or_else(lost)?;
        let places = self.places(&project, &name);
        let key = object.key();
        for place in places.found.iter() {
            if place.store.exists(&key)? {
                return Ok(Job { target, from: From::Object(object, Arc::clone(&places.found)) });
            }
        }
        if let Some((other, start)) = self.origin_of(&project, &name)? {
            let path = below(&start, inside[name.len()..].trim_start_matches('/'));
            let node = other.existing(&path)?;
            return other.job(&path, &node, target);
        }
        Err(places.trouble(&project).unwrap_or_else(lost))
    }

    /// The listing of a folder: of data as recorded, of other files by their content.
    pub(super) fn tree_of(&self, path: &str) -> Result<Tree> {
        let mut entries = Vec::new();
        for (inside, node) in self.walk(path, Listing::default())? {
            if node.is_dir {
                continue;
            }
            let digest = match (&node.origin, node.digest) {
                (Origin::Object(object), _) => object.digest,
                (_, Some(digest)) if self.commit.is_some() => digest,
                (Origin::Commit(file), _) => match &self.git {
                    Some(git) => Digest::file(md5::of_bytes(&git.content(file)?)),
                    None => continue,
                },
                (Origin::WorkTree(file), _) => {
                    Digest::file(md5::of_bytes(&fs::read(file).map_err(Error::io("read", file))?))
                }
                (Origin::Nowhere, _) => continue,
            };
            entries.push(Entry { path: inside, digest });
        }
        Ok(Tree::new(entries))
    }
}

/// Copies many files at a time. The first failure ends the work.
pub(super) fn copy_all(
    jobs: &[Job],
    threads: usize,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let task = progress.begin("copying", jobs.len() as u64, Unit::Files);
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let work = || {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = if interrupt.is_raised() { Err(Error::Interrupted) } else { copy(job, interrupt) };
            if let Err(error) = outcome {
                next.store(jobs.len(), Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                return;
            }
            progress.advance(task, 1);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(jobs.len()) {
            scope.spawn(work);
        }
        work();
    });
    progress.end(task);
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn copy(job: &Job, interrupt: &Interrupt) -> Result<()> {
    match &job.from {
        From::Disk(path) => {
            let mut file = File::open(path).map_err(Error::io("read", path))?;
            write(&job.target, &mut file, path, interrupt, None).map(|_| ())
        }
        From::Commit(git, file) => {
            let content = git.content(file)?;
            write(&job.target, &mut content.as_slice(), &job.target, interrupt, None).map(|_| ())
        }
        From::Object(object, places) => {
            let key = object.key();
            let mut corrupted = None;
            for place in places.iter() {
                if !place.store.exists(&key)? {
                    continue;
                }
                let (mut reader, _) = place.store.read(&key)?;
                let path = place.root.join(&key);
                if write(&job.target, &mut reader, &path, interrupt, Some(object))? {
                    return Ok(());
                }
                corrupted = Some(path);
            }
            Err(Error::Corrupted { path: corrupted.unwrap_or_else(|| job.target.clone()) })
        }
    }
}

/// Writes a file that appears whole or not at all. False, and nothing is written, when its content is not that of the
/// object that it should be.
fn write(
    target: &Path,
    from: &mut dyn Read,
    shown: &Path,
    interrupt: &Interrupt,
    expected: Option<&Object>,
) -> Result<bool> {
    let missing = || Error::NothingThere { path: target.to_path_buf() };
    let name = target.file_name().and_then(|name| name.to_str()).ok_or_else(missing)?;
    let folder = Store::open(&Location::Local(target.parent().ok_or_else(missing)?.to_path_buf()));
    let mut pending = folder.start(name, 0o666)?;
    let mut piece = vec![0; PIECE];
    let mut hasher = fast_md5::Md5::new();
    loop {
        if interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let length = match from.read(&mut piece) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io("read", shown)(error)),
        };
        if length == 0 {
            break;
        }
        if expected.is_some() {
            hasher.update(&piece[..length]);
        }
        pending.write(&piece[..length])?;
    }
    if let Some(object) = expected {
        let found = if object.legacy {
            let mut file = File::open(shown).map_err(Error::io("read", shown))?;
            md5::legacy(&mut file).map_err(Error::io("read", shown))?
        } else {
            hasher.finalize()
        };
        if found != *object.digest.bytes() {
            return Ok(false);
        }
    }
    pending.commit(name, None)?;
    Ok(true)
}
