//! Which processes read and write which paths: DVC's `rwlock` file. It outlives the file lock, so that a stage's
//! command can run while others work elsewhere in the project.
//!
//! DVC knows a holder by its process number alone, which another process may have by now (in a container nearly all
//! are 1). Ours keep a lock of the system on a file of their own as well, under `matraz/holders`, which the commands
//! they start inherit: whether that lock is held is the truth.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::process::{is_younger_than, runs};
use super::{Holder, LockError, acquire, flock};
use crate::file;

/// Paths that this process reads and writes; free again when this is dropped.
#[derive(Debug)]
pub struct PathLocks {
    table: PathBuf,
    me: Entry,
    number: u64,
    read: Vec<String>,
    write: Vec<String>,
    proof: Option<(PathBuf, File)>,
}

/// Who uses a path, in DVC's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    pid: u32,
    cmd: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    write: IndexMap<String, Entry>,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    read: IndexMap<String, Vec<Entry>>,
}

/// What this process holds, so that of two stages that read a path the first to end does not free it.
static OURS: Mutex<Vec<Ours>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

struct Ours {
    number: u64,
    table: PathBuf,
    me: Entry,
    read: Vec<String>,
    write: Vec<String>,
}

fn ours() -> MutexGuard<'static, Vec<Ours>> {
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PathLocks {
    /// Enters paths into the table in `folder` (`.dvc/tmp`): other processes may read what we read, and none may use what
    /// we write. Entries of processes that no longer run are removed.
    pub fn enter(
        folder: &Path,
        cmd: &str,
        read: Vec<String>,
        write: Vec<String>,
        stop: &AtomicBool,
    ) -> Result<Self, LockError> {
        Self::enter_as(Entry { pid: std::process::id(), cmd: cmd.to_owned() }, folder, read, write, stop)
    }

    fn enter_as(
        me: Entry,
        folder: &Path,
        read: Vec<String>,
        write: Vec<String>,
        stop: &AtomicBool,
    ) -> Result<Self, LockError> {
        let table = folder.join("rwlock");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut proof = None;
        edit(&table, stop, |entries, written| {
            let holders = Holders::find(folder);
            let is_live = |entry: &Entry| holders.hold(entry, written);
            entries.write.retain(|_, entry| is_live(entry));
            entries.read.retain(|_, list| {
                list.retain(is_live);
                !list.is_empty()
            });
            let name = |entry: &Entry| holders.name(entry);
            for path in read.iter().chain(&write) {
                let others =
                    entries.write.iter().filter(|(used, entry)| entry.pid != me.pid && overlap(used, path));
                refuse(path, others.map(|(_, entry)| name(entry)).collect(), &table)?;
            }
            for path in &write {
                let others = entries.read.iter().filter(|(used, _)| overlap(used, path));
                let others = others.flat_map(|(_, list)| list.iter().filter(|entry| entry.pid != me.pid));
                refuse(path, others.map(name).collect(), &table)?;
            }
            proof = prove(folder, &me, number);
            for path in &read {
                let list = entries.read.entry(path.clone()).or_default();
                if !list.contains(&me) {
                    list.push(me.clone());
                }
            }
            for path in &write {
                entries.write.insert(path.clone(), me.clone());
            }
            Ok(())
        })?;
        ours().push(Ours {
            number,
            table: table.clone(),
            me: me.clone(),
            read: read.clone(),
            write: write.clone(),
        });
        Ok(Self { table, me, number, read, write, proof })
    }
}

impl Drop for PathLocks {
    fn drop(&mut self) {
        let never = AtomicBool::new(false);
        let _ = edit(&self.table, &never, |entries, _| {
            let mut ours = ours();
            ours.retain(|other| other.number != self.number);
            let is_mine = |other: &&Ours| other.table == self.table && other.me == self.me;
            let others: Vec<&Ours> = ours.iter().filter(is_mine).collect();
            for path in &self.write {
                let kept = others.iter().any(|other| other.write.contains(path));
                if !kept && entries.write.get(path) == Some(&self.me) {
                    entries.write.shift_remove(path);
                }
            }
            for path in &self.read {
                let kept = others.iter().any(|other| other.read.contains(path));
                if let (false, Some(list)) = (kept, entries.read.get_mut(path)) {
                    list.retain(|entry| *entry != self.me);
                    if list.is_empty() {
                        entries.read.shift_remove(path);
                    }
                }
            }
            if let Some((path, file)) = self.proof.take() {
                let _ = fs::remove_file(path);
                // What a command left running in the background has the file open too.
                let _ = flock(&file, libc::LOCK_UN);
            }
            Ok(())
        });
    }
}

fn holders_folder(folder: &Path) -> PathBuf {
    folder.join("matraz/holders")
}

/// Takes a lock of the system that lives as long as this process and the commands that it starts. Where that is
/// impossible, the process number has to do, as it has for DVC.
fn prove(folder: &Path, me: &Entry, number: u64) -> Option<(PathBuf, File)> {
    let folder = holders_folder(folder);
    fs::create_dir_all(&folder).ok()?;
    let path = folder.join(format!("{}-{}-{number}", me.pid, file::mark()));
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).ok()?;
    flock(&file, libc::LOCK_EX | libc::LOCK_NB).ok()?;
    inherit(&file);
    Holder { pid: me.pid, ..Holder::me(me.cmd.clone(), Vec::new()) }.write(&path);
    Some((path, file))
}

#[expect(unsafe_code, reason = "the standard library closes every file in children")]
fn inherit(file: &File) {
    // SAFETY: the descriptor is open; the call changes a flag of it.
    unsafe {
        libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0);
    }
}

/// What our own kind says of itself: who holds, and who died and did not clean up.
struct Holders {
    live: Vec<Holder>,
    dead: Vec<Holder>,
}

impl Holders {
    /// Looks at all holders and forgets the dead. Called with the table locked.
    fn find(folder: &Path) -> Self {
        let mut found = Self { live: Vec::new(), dead: Vec::new() };
        let Ok(entries) = fs::read_dir(holders_folder(folder)) else { return found };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(file) = File::open(&path) else { continue };
            let holder = Holder::read(&path);
            let held = matches!(
                flock(&file, libc::LOCK_EX | libc::LOCK_NB),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock
            );
            if !held {
                let _ = fs::remove_file(&path);
            }
            match (holder, held) {
                (Some(holder), true) => found.live.push(holder),
                (Some(holder), false) => found.dead.push(holder),
                (None, _) => {}
            }
        }
        found
    }

    /// Whether an entry of the table, last written at `written`, is that of a process that still works.
    fn hold(&self, entry: &Entry, written: SystemTime) -> bool {
        let is_it = |holder: &&Holder| holder.pid == entry.pid && holder.cmd == entry.cmd;
        if self.live.iter().any(|holder| is_it(&holder)) {
            return true;
        }
        if self.dead.iter().any(|holder| is_it(&holder)) {
            return false;
        }
        if entry.pid == std::process::id() {
            // Another process had our number before, unless it is an entry of ours that could not be proved.
            return !ours().is_empty();
        }
        runs(entry.pid) && !is_younger_than(entry.pid, written)
    }

    fn name(&self, entry: &Entry) -> Holder {
        let known = self.live.iter().find(|holder| holder.pid == entry.pid && holder.cmd == entry.cmd);
        known.cloned().unwrap_or_else(|| Holder {
            pid: entry.pid,
            cmd: entry.cmd.clone(),
            ..Holder::default()
        })
    }
}

fn refuse(path: &str, owners: Vec<Holder>, table: &Path) -> Result<(), LockError> {
    if owners.is_empty() {
        return Ok(());
    }
    Err(LockError::PathBusy { path: path.to_owned(), owners, table: table.to_path_buf() })
}

fn edit(
    table: &Path,
    stop: &AtomicBool,
    change: impl FnOnce(&mut Table, SystemTime) -> Result<(), LockError>,
) -> Result<(), LockError> {
    let fail = |source| LockError::Io { path: table.to_path_buf(), source };
    let _guard = acquire(&table.with_extension("lock"), None, Duration::from_secs(30), stop, &mut |_| {})?;
    let written = fs::metadata(table).and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    // A table that cannot be read is that of a process that was killed as it wrote.
    let mut entries: Table = match fs::read(table) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Table::default(),
        Err(error) => return Err(fail(error)),
    };
    change(&mut entries, written)?;
    let text = serde_json::to_string(&entries).map_err(|error| fail(error.into()))?;
    fs::write(table, text).map_err(fail)
}

/// Whether one path is the other or lies below it.
fn overlap(a: &str, b: &str) -> bool {
    Path::new(a).starts_with(b) || Path::new(b).starts_with(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> AtomicBool {
        AtomicBool::new(false)
    }

    fn enter(folder: &Path, pid: u32, read: &[&str], write: &[&str]) -> Result<PathLocks, LockError> {
        let own = |paths: &[&str]| paths.iter().map(|p| (*p).to_owned()).collect();
        let me = Entry { pid, cmd: "some command".into() };
        PathLocks::enter_as(me, folder, own(read), own(write), &never())
    }

    #[test]
    fn paths_block_what_overlaps_them() {
        let folder = tempfile::tempdir().unwrap();
        let enter = |pid: u32, read: &[&str], write: &[&str]| enter(folder.path(), pid, read, write);
        let (one, two) = (std::process::id(), std::os::unix::process::parent_id());
        let writer = enter(one, &["/p/in"], &["/p/out"]).unwrap();
        assert!(enter(two, &["/p/in"], &[]).is_ok());
        for (read, write) in [(vec!["/p/out/a"], vec![]), (vec![], vec!["/p/out"]), (vec![], vec!["/p/in"])] {
            assert!(matches!(enter(two, &read, &write), Err(LockError::PathBusy { .. })));
        }
        assert!(enter(two, &[], &["/p/out2"]).is_ok());
        drop(writer);
        assert_eq!(fs::read_to_string(folder.path().join("rwlock")).unwrap(), "{}");
        assert_eq!(fs::read_dir(folder.path().join("matraz/holders")).unwrap().count(), 0);
    }

    #[test]
    fn the_first_of_two_readers_that_ends_does_not_free_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let (me, other) = (std::process::id(), std::os::unix::process::parent_id());
        let first = enter(folder.path(), me, &["/p/in"], &["/p/a"]).unwrap();
        let second = enter(folder.path(), me, &["/p/in"], &["/p/b"]).unwrap();
        drop(first);
        assert!(matches!(enter(folder.path(), other, &[], &["/p/in"]), Err(LockError::PathBusy { .. })));
        drop(second);
        assert!(enter(folder.path(), other, &[], &["/p/in"]).is_ok());
    }

    #[test]
    fn the_dead_hold_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let other = std::os::unix::process::parent_id();
        let table = folder.path().join("rwlock");
        let entry = |pid: u32| format!("{{\"write\": {{\"/p/x\": {{\"pid\": {pid}, \"cmd\": \"gone\"}}}}}}");
        fs::write(&table, entry(999_999_999)).unwrap();
        drop(enter(folder.path(), other, &["/p/x"], &[]).unwrap());
        // Its number was given to another process since.
        fs::write(&table, entry(1)).unwrap();
        assert!(matches!(enter(folder.path(), other, &["/p/x"], &[]), Err(LockError::PathBusy { .. })));
        File::options().write(true).open(&table).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        drop(enter(folder.path(), other, &["/p/x"], &[]).unwrap());
        // One of ours that was killed, whose number lives on.
        fs::write(&table, entry(1)).unwrap();
        let dead = Holder { pid: 1, cmd: "gone".into(), ..Holder::default() };
        let note = folder.path().join("matraz/holders/1-x-0");
        dead.write(&note);
        drop(enter(folder.path(), other, &["/p/x"], &[]).unwrap());
        assert!(!note.exists());
        // One that was killed as it wrote the table.
        fs::write(&table, "{\"write\": {\"/p/x\":").unwrap();
        drop(enter(folder.path(), other, &["/p/x"], &[]).unwrap());
    }
}
