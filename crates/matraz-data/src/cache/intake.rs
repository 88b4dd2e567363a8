//! Bytes on their way into the cache: hashed and written in one reading.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use matraz_base::progress::{Progress, Task};
use matraz_store::{Committed, Pending, Store};

use super::{Cache, Corrupted, Object};
use crate::hash::digest::Digest;
use crate::hash::many::{self, Hashed, Opened, Work};
use crate::hash::state::{Algorithm, Stamp};
use crate::{Error, Repo, Result};

/// A file to hash, and to store if a cache is given.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where the bytes come from.
    pub origin: Origin,
    /// Their number, when known.
    pub size: Option<u64>,
    /// What the content must be; else it is corrupted.
    pub expected: Option<Object>,
}

/// Where bytes come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file of the workspace.
    File(PathBuf),
    /// An item of a remote, by the path to show in messages and its key.
    Remote(PathBuf, String),
}

/// What became of the files.
#[derive(Debug, Default)]
pub struct Intake {
    /// The digests in the order of the sources; `None` for those that failed.
    pub digests: Vec<Option<Digest>>,
    /// Sources whose content is not what it must be. They were not stored.
    pub corrupted: Vec<Corrupted>,
    /// Sources that cannot be read.
    pub failed: Vec<Error>,
}

struct Run<'a> {
    sources: &'a [Source],
    cache: Option<&'a Cache>,
    remote: Option<&'a Store>,
    outcome: Mutex<(Intake, Vec<(Object, Stamp)>)>,
    /// Whether the last object was in the cache already. To look for each one first would take longer than to find out
    /// at the end, unless most are there.
    look_first: AtomicBool,
    progress: &'a dyn Progress,
    task: Task,
}

impl Cache {
    /// Hashes files, and stores those that are not in the cache yet when `store` is set.
    pub fn take_in(
        &mut self,
        repo: &Repo,
        sources: &[Source],
        store: bool,
        remote: Option<&Store>,
        task: (&dyn Progress, Task),
        stop: &AtomicBool,
    ) -> Result<Intake> {
        let (progress, task) = task;
        let outcome = Intake { digests: vec![None; sources.len()], ..Intake::default() };
        let run = Run {
            sources,
            cache: store.then_some(&*self),
            remote,
            outcome: Mutex::new((outcome, Vec::new())),
            look_first: AtomicBool::new(false),
            progress,
            task,
        };
        many::run(&run, sources.len(), repo.threads(), stop)?;
        let (outcome, learned) = run.outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.learn(&learned);
        Ok(outcome)
    }
}

impl Work for Run<'_> {
    type Open = Option<Pending>;

    fn path(&self, job: usize) -> &Path {
        match &self.sources[job].origin {
            Origin::File(path) | Origin::Remote(path, _) => path,
        }
    }

    fn open(&self, job: usize) -> Result<Opened<Self::Open>> {
        let source = &self.sources[job];
        Ok(match (&source.origin, self.remote) {
            (Origin::Remote(_, key), Some(remote)) => {
                let (reader, size) = remote.read(key)?;
                Opened { reader: Box::new(reader), size: Some(size), with: None }
            }
            _ => {
                let path = self.path(job);
                let reader = Box::new(File::open(path).map_err(Error::io("read", path))?);
                Opened { reader, size: source.size, with: None }
            }
        })
    }

    fn chunk(&self, job: usize, open: &mut Self::Open, bytes: &[u8]) -> Result<()> {
        let Some(cache) = self.cache else { return Ok(()) };
        let pending = match open {
            Some(pending) => pending,
            None => {
                // The final folder is not known before the digest is; any folder of the same filesystem will do.
                let near = self.sources[job]
                    .expected
                    .map_or_else(|| "files/md5/object".into(), |object| object.key());
                cache.make_folder(&near)?;
                open.insert(cache.store.start(&near, super::OBJECT_MODE)?)
            }
        };
        Ok(pending.write(bytes)?)
    }

    fn done(&self, job: usize, outcome: Result<(Self::Open, Hashed<'_>)>) -> Result<()> {
        let settle =
            |outcome: Result<(Option<Pending>, Hashed<'_>)>| -> Result<(Digest, Option<(Object, Stamp)>)> {
                let (pending, hashed) = outcome?;
                let expected = self.sources[job].expected;
                let object = match expected {
                    Some(object) => object,
                    None => Object::new(Digest::file(hashed.md5)),
                };
                let right = match object.algorithm() {
                    Algorithm::Md5 => hashed.md5 == *object.digest.bytes(),
                    Algorithm::LegacyMd5 => legacy_digest(self, job)? == *object.digest.bytes(),
                };
                if !right {
                    return Err(Error::Corrupted { path: self.path(job).to_path_buf() });
                }
                let stored = match self.cache {
                    Some(cache) => {
                        let stamp = store(cache, &object, pending, &hashed, &self.look_first)?;
                        stamp.map(|stamp| (object, stamp))
                    }
                    None => None,
                };
                Ok((object.digest, stored))
            };
        let settled = settle(outcome);
        self.progress.advance(self.task, 1);
        let mut result = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        match settled {
            Ok((digest, stored)) => {
                result.0.digests[job] = Some(digest);
                result.1.extend(stored);
            }
            Err(Error::Corrupted { path }) => result.0.corrupted.push(Corrupted { path }),
            Err(error) => result.0.failed.push(error),
        }
        Ok(())
    }
}

/// The digest of DVC 2 needs a reading of its own.
fn legacy_digest(run: &Run<'_>, job: usize) -> Result<[u8; 16]> {
    let mut opened = run.open(job)?;
    crate::hash::md5::legacy(&mut opened.reader).map_err(Error::io("read", run.path(job)))
}

/// Stores an object unless it is there; returns its stamp when its content is known to be right.
fn store(
    cache: &Cache,
    object: &Object,
    pending: Option<Pending>,
    hashed: &Hashed<'_>,
    look_first: &AtomicBool,
) -> Result<Option<Stamp>> {
    let there = || {
        let meta = std::fs::metadata(cache.path(object)).ok().filter(|meta| meta.len() == hashed.size)?;
        let checked = cache.judge(object, &(&meta).into())?;
        Some(checked.then(|| Stamp::of(&meta)))
    };
    if look_first.load(Ordering::Relaxed) || cache.known(object).is_some() {
        let found = there();
        look_first.store(found.is_some(), Ordering::Relaxed);
        if let Some(stamp) = found {
            return Ok(stamp);
        }
    }
    let (key, size) = (object.key(), Some(hashed.size));
    cache.make_folder(&key)?;
    let pending = match pending {
        Some(pending) => pending,
        None => cache.start_object(&key, hashed.whole.unwrap_or_default())?,
    };
    match pending.commit_new(&key, size)? {
        Committed::New(meta) => cache.protected(&key, &meta).map(Some),
        Committed::Present(pending) => {
            look_first.store(true, Ordering::Relaxed);
            match there() {
                Some(stamp) => Ok(stamp),
                None => cache.finish(pending, &key, size).map(Some),
            }
        }
    }
}
