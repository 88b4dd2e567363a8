//! Locks between processes that wait, and name their owner.
//!
//! Two kinds, both shared with DVC: a file that one process holds ([`acquire`]), and a table of paths that
//! processes read or write while the file lock is free ([`PathLocks`]).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{Explain, Kind};

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The number of the process.
    pub pid: u32,
    /// Its command line.
    pub cmd: String,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (PID {})", self.cmd, self.pid)
    }
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process kept it for longer than we wait.
    #[error("unable to acquire lock: it is held by {}", owner_text(owner.as_ref()))]
    Busy {
        /// Who, when it can be told.
        owner: Option<Owner>,
    },
    /// Other processes use paths that we need.
    #[error("'{path}' is busy, it is being blocked by {}", owners_text(owners))]
    PathBusy {
        /// The path that we need.
        path: String,
        /// Who uses it.
        owners: Vec<Owner>,
        /// The file with the table.
        table: PathBuf,
    },
    /// The table of paths cannot be read.
    #[error("the lock file {} is broken: {reason}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system does not let us use the file.
    #[error("cannot use the lock file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The user interrupted the waiting.
    #[error("interrupted")]
    Interrupted,
}

fn owner_text(owner: Option<&Owner>) -> String {
    owner.map_or_else(|| "another process".into(), Owner::to_string)
}

fn owners_text(owners: &[Owner]) -> String {
    owners.iter().map(Owner::to_string).collect::<Vec<_>>().join(", ")
}

impl Explain for LockError {
    fn kind(&self) -> Kind {
        match self {
            Self::Busy { .. } | Self::PathBusy { .. } => Kind::Unreachable,
            Self::Broken { .. } => Kind::Corrupt,
            Self::Io { .. } => Kind::Denied,
            Self::Interrupted => Kind::Interrupted,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Busy { .. } => Some("wait for that command to end, or end it".into()),
            Self::PathBusy { table, .. } => {
                Some(format!("if there is no such process, remove {} and try again", table.display()))
            }
            Self::Broken { path, .. } => Some(format!("remove {} and try again", path.display())),
            Self::Io { .. } | Self::Interrupted => None,
        }
    }
}

/// A held lock; it is free again when this is dropped or the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = flock(&self.file, libc::LOCK_UN);
    }
}

/// Takes the lock on the file at `path`, waiting for at most `patience`.
///
/// `waiting` is called once if the lock is not free at first, with the owner when it can be told. The file holds the
/// number of the owner's process, as that of DVC does.
pub fn acquire(
    path: &Path,
    patience: Duration,
    stop: &AtomicBool,
    mut waiting: impl FnMut(Option<&Owner>),
) -> Result<Lock, LockError> {
    let fail = |source| LockError::Io { path: path.to_path_buf(), source };
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(fail)?;
    let start = Instant::now();
    let mut told = false;
    loop {
        match flock(&file, libc::LOCK_EX | libc::LOCK_NB) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(fail(error)),
        }
        let owner = owner_of(&mut file);
        if stop.load(Ordering::Relaxed) {
            return Err(LockError::Interrupted);
        }
        if start.elapsed() >= patience {
            return Err(LockError::Busy { owner });
        }
        if !told {
            told = true;
            waiting(owner.as_ref());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let text = format!(" {}\n", std::process::id());
    file.rewind()
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.set_len(text.len() as u64))
        .map_err(fail)?;
    Ok(Lock { file })
}

#[expect(unsafe_code, reason = "the standard library has no flock with an interruptible wait")]
fn flock(file: &File, operation: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `file` lives.
    match unsafe { libc::flock(file.as_raw_fd(), operation) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn owner_of(file: &mut File) -> Option<Owner> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(64).read_to_string(&mut text).ok()?;
    let pid = text.trim().parse().ok()?;
    Some(Owner { pid, cmd: command_line(pid).unwrap_or_else(|| "a process".into()) })
}

/// The command line of a running process, where the system shows it.
pub fn command_line(pid: u32) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> =
        bytes.split(|b| *b == 0).filter(|w| !w.is_empty()).map(|w| String::from_utf8_lossy(w)).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Whether a process with this number runs.
#[expect(unsafe_code, reason = "the standard library cannot ask whether a process exists")]
fn runs(pid: u32) -> bool {
    if has_ended(pid) {
        return false;
    }
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: signal 0 is only a question.
    let answer = unsafe { libc::kill(pid, 0) };
    answer == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

/// Whether it has ended and only its parent has not asked yet how; in a container without an init process that stays
/// so for good.
fn has_ended(pid: u32) -> bool {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The name stands in parentheses and may hold any character; the state follows it.
    let state = text.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    matches!(state, Some('Z' | 'X'))
}

/// Which processes read and write which paths: DVC's `rwlock` file. It outlives the file lock, so that a stage's
/// command can run while others work elsewhere in the project.
#[derive(Debug)]
pub struct PathLocks {
    table: PathBuf,
    me: Owner,
    read: Vec<String>,
    write: Vec<String>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, skip_serializing_if = "indexmap::IndexMap::is_empty")]
    write: indexmap::IndexMap<String, Owner>,
    #[serde(default, skip_serializing_if = "indexmap::IndexMap::is_empty")]
    read: indexmap::IndexMap<String, Vec<Owner>>,
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
        Self::enter_as(Owner { pid: std::process::id(), cmd: cmd.to_owned() }, folder, read, write, stop)
    }

    fn enter_as(
        me: Owner,
        folder: &Path,
        read: Vec<String>,
        write: Vec<String>,
        stop: &AtomicBool,
    ) -> Result<Self, LockError> {
        let table = folder.join("rwlock");
        edit(&table, stop, |entries| {
            entries.write.retain(|_, owner| runs(owner.pid));
            entries.read.retain(|_, owners| {
                owners.retain(|owner| runs(owner.pid));
                !owners.is_empty()
            });
            for path in read.iter().chain(&write) {
                let others =
                    entries.write.iter().filter(|(used, owner)| owner.pid != me.pid && overlap(used, path));
                refuse(path, others.map(|(_, owner)| owner.clone()).collect(), &table)?;
            }
            for path in &write {
                let others = entries.read.iter().filter(|(used, _)| overlap(used, path));
                let others =
                    others.flat_map(|(_, owners)| owners.iter().filter(|owner| owner.pid != me.pid).cloned());
                refuse(path, others.collect(), &table)?;
            }
            for path in &read {
                let owners = entries.read.entry(path.clone()).or_default();
                if !owners.contains(&me) {
                    owners.push(me.clone());
                }
            }
            for path in &write {
                entries.write.insert(path.clone(), me.clone());
            }
            Ok(())
        })?;
        Ok(Self { table, me, read, write })
    }
}

impl Drop for PathLocks {
    fn drop(&mut self) {
        let never = AtomicBool::new(false);
        let _ = edit(&self.table, &never, |entries| {
            for path in &self.write {
                if entries.write.get(path) == Some(&self.me) {
                    entries.write.shift_remove(path);
                }
            }
            for path in &self.read {
                if let Some(owners) = entries.read.get_mut(path) {
                    owners.retain(|owner| *owner != self.me);
                    if owners.is_empty() {
                        entries.read.shift_remove(path);
                    }
                }
            }
            Ok(())
        });
    }
}

fn refuse(path: &str, owners: Vec<Owner>, table: &Path) -> Result<(), LockError> {
    if owners.is_empty() {
        return Ok(());
    }
    Err(LockError::PathBusy { path: path.to_owned(), owners, table: table.to_path_buf() })
}

fn edit(
    table: &Path,
    stop: &AtomicBool,
    change: impl FnOnce(&mut Table) -> Result<(), LockError>,
) -> Result<(), LockError> {
    let fail = |source| LockError::Io { path: table.to_path_buf(), source };
    let _guard = acquire(&table.with_extension("lock"), Duration::from_secs(3), stop, |_| {})?;
    let mut entries: Table = match crate::file::read_if_present(table).map_err(fail)? {
        Some(text) => serde_json::from_str(&text)
            .map_err(|error| LockError::Broken { path: table.to_path_buf(), reason: error.to_string() })?,
        None => Table::default(),
    };
    change(&mut entries)?;
    let text = serde_json::to_string(&entries)
        .map_err(|error| LockError::Broken { path: table.to_path_buf(), reason: error.to_string() })?;
    std::fs::write(table, text).map_err(fail)
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

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_has_ended_holds_nothing() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(runs(child.id()));
        child.kill().unwrap();
        // Nobody has waited for it: the system still knows its number.
        let end = Instant::now() + Duration::from_secs(20);
        while !has_ended(child.id()) {
            assert!(Instant::now() < end, "the child does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!runs(child.id()));
        child.wait().unwrap();
        assert!(!runs(child.id()));
    }

    #[test]
    fn a_second_taker_waits_and_learns_for_whom() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = acquire(&path, Duration::ZERO, &never(), |_| {}).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!(" {}\n", std::process::id()));
        let mut told = None;
        let outcome = acquire(&path, Duration::from_millis(120), &never(), |owner| told = owner.cloned());
        assert!(
            matches!(outcome, Err(LockError::Busy { owner: Some(owner) }) if owner.pid == std::process::id())
        );
        assert_eq!(told.unwrap().pid, std::process::id());
        assert!(matches!(
            acquire(&path, Duration::from_secs(60), &AtomicBool::new(true), |_| {}),
            Err(LockError::Interrupted)
        ));
        drop(first);
        acquire(&path, Duration::ZERO, &never(), |_| panic!("nobody holds it")).unwrap();
    }

    #[test]
    fn paths_block_what_overlaps_them() {
        let folder = tempfile::tempdir().unwrap();
        let enter = |pid: u32, read: &[&str], write: &[&str]| {
            let own = |paths: &[&str]| paths.iter().map(|p| (*p).to_owned()).collect();
            let me = Owner { pid, cmd: "some command".into() };
            PathLocks::enter_as(me, folder.path(), own(read), own(write), &never())
        };
        // Two processes that run for as long as this one.
        let (one, two) = (std::process::id(), std::os::unix::process::parent_id());
        let writer = enter(one, &["/p/in"], &["/p/out"]).unwrap();
        assert!(enter(two, &["/p/in"], &[]).is_ok());
        for (read, write) in [(vec!["/p/out/a"], vec![]), (vec![], vec!["/p/out"]), (vec![], vec!["/p/in"])] {
            assert!(matches!(enter(two, &read, &write), Err(LockError::PathBusy { .. })));
        }
        assert!(enter(two, &[], &["/p/out2"]).is_ok());
        drop(writer);
        assert_eq!(std::fs::read_to_string(folder.path().join("rwlock")).unwrap(), "{}");
        let dead = "{\"write\": {\"/p/x\": {\"pid\": 999999999, \"cmd\": \"gone\"}}, \"read\": {}}";
        std::fs::write(folder.path().join("rwlock"), dead).unwrap();
        assert!(enter(two, &["/p/x"], &[]).is_ok());
    }
}
