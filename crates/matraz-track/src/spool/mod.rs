//! A spool: takes what a training logs when the tracking server is away, and delivers it once the server is there again.
//!
//! It is an address of this machine that answers a stock MLflow client. As long as the server answers, calls pass
//! through. When it does not, a local store answers in its place ([`shadow`]), and every call that changes something is
//! on the disk ([`log`]) before its client hears so. Calls wait in the order in which they came, and no call passes one that
//! waits. A run gets its id from the spool (in the tag [`TAG`]): a server that is Matraz keeps that id, any other one
//! chooses its own, which takes the place of the spool's in all that follows ([`ids`]). A call whose answer was lost is
//! sent again; what it makes is looked for by its tag first, and all else may be done twice without harm.

mod calls;
mod deliver;
mod door;
mod error;
mod ids;
mod log;
mod lost;
mod remote;
mod shadow;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::client::RemoteOptions;
use crate::service::Service;

pub use deliver::{Delivery, Refused};
pub use error::SpoolError;
use ids::{Ids, Known};
use log::{Log, Place, Record};
use remote::Remote;

/// The tag by which a run or a logged model is found again: the id that the spool gave it.
pub const TAG: &str = "matraz.spool";

/// The file with the calls that wait.
const EVENTS: &str = "events.log";
/// The file with what became of them.
const DELIVERED: &str = "delivered.log";
/// The file with those that the server refused.
const REFUSED: &str = "refused.log";
/// The folder of files that wait.
const FILES: &str = "files";
/// The file with the address of the server.
const SERVER: &str = "server";
/// The file on which the process that uses the spool holds a lock.
const LOCK: &str = "lock";

/// How a spool works.
#[derive(Clone, Debug)]
pub struct SpoolOptions {
    /// The tracking server.
    pub url: String,
    /// Credentials.
    pub remote: RemoteOptions,
    /// How many bytes may wait, files included.
    pub limit: u64,
}

/// A call that waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Event {
    seq: u64,
    /// Milliseconds since 1970.
    time: i64,
    method: String,
    /// Path and query as the client sent them.
    target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
    /// The id that the spool gave to what the call makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    local: Option<String>,
    /// The name of its file and its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<(String, u64)>,
    /// The server may have got it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    maybe_sent: bool,
}

/// What became of a call, or the state after many.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Outcome {
    /// This and all before are done.
    seq: u64,
    /// Ids that the server gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ids: Vec<(String, Known)>,
}

/// An open spool. Clones share it.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    limit: u64,
    remote: Remote,
    store: Service,
    events: Log,
    queue: Mutex<Queue>,
    /// Rung when a call begins to wait.
    bell: Notify,
    /// Held by whoever delivers.
    delivering: tokio::sync::Mutex<Log>,
    _lock: File,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    /// Calls that wait in their order; without a place while they are being written.
    waiting: BTreeMap<u64, Option<Place>>,
    /// Bytes of their files.
    files: u64,
    /// Why the server is away, as far as known.
    away: Option<String>,
    /// The call that may have been sent before by a process that was killed.
    maybe_sent: Option<u64>,
    ids: Arc<Ids>,
    delivered: u64,
    refused: u64,
}

/// How a spool stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    /// Calls that wait.
    pub waiting: u64,
    /// Bytes that wait.
    pub bytes: u64,
    /// Calls delivered since the spool was opened.
    pub delivered: u64,
    /// Calls that the server refused and that are kept, all in all.
    pub refused: u64,
    /// Why the server is away.
    pub away: Option<String>,
}

impl Spool {
    /// Opens the spool in `dir`, which is made when it is not there.
    ///
    /// # Errors
    /// A spool that another process uses, and one in which calls wait for another server.
    pub async fn open(dir: &Path, options: SpoolOptions) -> Result<Self, SpoolError> {
        let remote = Remote::new(&options.url, options.remote)?;
        let files = dir.join(FILES);
        fs::create_dir_all(&files).map_err(|error| SpoolError::file("make", &files, error))?;
        let lock = lock(dir)?;
        let mut queue = Queue::default();
        let mut done = 0;
        let delivered = Log::open(&dir.join(DELIVERED), |record, _| {
            let outcome: Outcome = parse(&record, dir, DELIVERED)?;
            done = done.max(outcome.seq);
            for (local, known) in outcome.ids {
                Arc::make_mut(&mut queue.ids).insert(&local, known);
            }
            Ok(())
        })?;
        queue.next = done + 1;
        let events = Log::open(&dir.join(EVENTS), |record, place| {
            let event: Event = parse(&record, dir, EVENTS)?;
            queue.next = queue.next.max(event.seq + 1);
            if event.seq > done {
                queue.files += event.file.map_or(0, |(_, size)| size);
                queue.waiting.insert(event.seq, Some(place));
            }
            Ok(())
        })?;
        queue.maybe_sent = queue.waiting.keys().next().copied();
        queue.refused = log::records(&dir.join(REFUSED))?.len() as u64;
        let server = dir.join(SERVER);
        if !queue.waiting.is_empty()
            && let Ok(named) = fs::read_to_string(&server)
            && named.trim() != remote.url()
        {
            return Err(SpoolError::OtherServer {
                dir: dir.to_path_buf(),
                waiting: queue.waiting.len() as u64,
                server: named.trim().to_owned(),
                asked: remote.url().to_owned(),
            });
        }
        matraz_base::file::write(&server, format!("{}\n", remote.url()).as_bytes())
            .map_err(|error| SpoolError::file("write", &server, error))?;
        let spool = Self(Arc::new(Inner {
            dir: dir.to_path_buf(),
            limit: options.limit,
            remote,
            store: shadow::open(dir).await?,
            events,
            queue: Mutex::new(queue),
            bell: Notify::new(),
            delivering: tokio::sync::Mutex::new(delivered),
            _lock: lock,
        }));
        spool.sweep_files()?;
        Ok(spool)
    }

    /// The server for which calls wait in `dir`.
    pub fn server_of(dir: &Path) -> Result<String, SpoolError> {
        let missing = |_| SpoolError::NoSpool { dir: dir.to_path_buf() };
        Ok(fs::read_to_string(dir.join(SERVER)).map_err(missing)?.trim().to_owned())
    }

    /// Says that the server for which calls wait in `dir` has another address now.
    pub fn move_server(dir: &Path, url: &str) -> Result<(), SpoolError> {
        Self::server_of(dir)?;
        let _lock = lock(dir)?;
        let path = dir.join(SERVER);
        let line = format!("{}\n", url.trim_end_matches('/'));
        matraz_base::file::write(&path, line.as_bytes())
            .map_err(|error| SpoolError::file("write", &path, error))
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// How it stands.
    pub fn state(&self) -> State {
        let queue = self.queue();
        State {
            waiting: queue.waiting.len() as u64,
            bytes: if queue.waiting.is_empty() { 0 } else { self.0.events.size() + queue.files },
            delivered: queue.delivered,
            refused: queue.refused,
            away: queue.away.clone(),
        }
    }

    /// Closes the local store. What waits stays on the disk; a spool in which nothing waits and nothing was refused is
    /// removed.
    pub async fn close(self) -> Result<State, SpoolError> {
        let state = self.state();
        self.0.store.close().await;
        if state.waiting == 0 && state.refused == 0 {
            let dir = &self.0.dir;
            for folder in [FILES, shadow::ARTIFACTS] {
                let _ = fs::remove_dir_all(dir.join(folder));
            }
            let torn = format!("{EVENTS}.torn");
            let database = shadow::DATABASE;
            for file in [SERVER, EVENTS, DELIVERED, &torn, database, LOCK] {
                let _ = fs::remove_file(dir.join(file));
            }
            // A folder that holds anything else stays.
            let _ = fs::remove_dir(dir);
        }
        Ok(state)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a call into the log; it is on the disk when this comes back.
    async fn wait_in_line(&self, mut event: Event, body: &[u8]) -> Result<(), SpoolError> {
        let size = event.file.as_ref().map_or(0, |(_, size)| *size);
        let (seq, written) = {
            let mut queue = self.queue();
            let held = self.0.events.size() + queue.files + body.len() as u64 + size;
            if held > self.0.limit {
                return Err(SpoolError::Full { dir: self.0.dir.clone(), limit: self.0.limit });
            }
            event.seq = queue.next;
            queue.next += 1;
            queue.files += size;
            queue.waiting.insert(event.seq, None);
            // Handed over under the lock, so that the log has them in the order of their numbers.
            (event.seq, self.0.events.append(Record::new(&event, body), true))
        };
        let written = written.await;
        let mut queue = self.queue();
        match written {
            Ok(place) => {
                queue.waiting.insert(seq, Some(place));
            }
            Err(error) => {
                queue.waiting.remove(&seq);
                queue.files -= size;
                return Err(error);
            }
        }
        drop(queue);
        self.0.bell.notify_one();
        Ok(())
    }

    /// Removes files that no call waits with: of a process that was killed before its call was written, or after it was
    /// delivered.
    fn sweep_files(&self) -> Result<(), SpoolError> {
        let mut wanted = std::collections::HashSet::new();
        let places: Vec<Place> = self.queue().waiting.values().flatten().copied().collect();
        for place in places {
            let event: Event = parse(&self.0.events.read(place)?, &self.0.dir, EVENTS)?;
            wanted.extend(event.file.map(|(name, _)| name));
        }
        for record in log::records(&self.0.dir.join(REFUSED))? {
            let refused: Refused = parse(&record, &self.0.dir, REFUSED)?;
            wanted.extend(refused.file());
        }
        for entry in fs::read_dir(self.0.dir.join(FILES)).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|name| !wanted.contains(name)) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

fn lock(dir: &Path) -> Result<File, SpoolError> {
    let path = dir.join(LOCK);
    let file = File::create(&path).map_err(|error| SpoolError::file("make", &path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SpoolError::InUse { dir: dir.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(SpoolError::file("lock", &path, error)),
    }
}

fn parse<'r, T: Deserialize<'r>>(record: &'r Record, dir: &Path, name: &str) -> Result<T, SpoolError> {
    serde_json::from_slice(&record.head).map_err(|_| SpoolError::Damaged { path: dir.join(name) })
}
