//! Locks between processes that wait, and name their owner.
//!
//! Two kinds, both shared with DVC: a file that one process holds ([`acquire`]), and a table of paths that
//! processes read or write while the file lock is free ([`PathLocks`]).

mod holder;
mod paths;
mod process;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use holder::{Holder, host};
pub use paths::PathLocks;
pub use process::command_line;

use crate::{Explain, Kind, file};

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process kept it for longer than we wait.
    #[error("unable to acquire lock: it is held by {}", owner_text(owner.as_deref()))]
    Busy {
        /// Who, when it can be told.
        owner: Option<Box<Holder>>,
    },
    /// Other processes use paths that we need.
    #[error("'{path}' is busy, it is being blocked by {}", owners_text(owners))]
    PathBusy {
        /// The path that we need.
        path: String,
        /// Who uses it.
        owners: Vec<Holder>,
        /// The file with the table.
        table: PathBuf,
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

fn owner_text(owner: Option<&Holder>) -> String {
    owner.map_or_else(|| "another process".into(), Holder::to_string)
}

fn owners_text(owners: &[Holder]) -> String {
    owners.iter().map(Holder::to_string).collect::<Vec<_>>().join(", ")
}

impl Explain for LockError {
    fn kind(&self) -> Kind {
        match self {
            Self::Busy { .. } | Self::PathBusy { .. } => Kind::Unreachable,
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
            Self::Io { path, source } => match source.kind() {
                io::ErrorKind::StorageFull => Some("free some space on that disk".into()),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Some(format!(
                    "commands that change the project need to write in {}",
                    path.parent().unwrap_or(path).display()
                )),
                _ => None,
            },
            Self::Interrupted => None,
        }
    }
}

/// A held lock; it is free again when this is dropped or the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    file: File,
    note: Option<PathBuf>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(note) = &self.note {
            let _ = fs::remove_file(note);
        }
        let _ = flock(&self.file, libc::LOCK_UN);
    }
}

/// What the holder of a lock tells others of itself.
#[derive(Clone, Debug)]
pub struct Note {
    /// The file that says who it is; it is there for as long as the lock is held, and after that when the holder was
    /// killed.
    pub path: PathBuf,
    /// The folders in which temporary files of the holder may be.
    pub writes: Vec<PathBuf>,
}

/// Adds a folder to the note of this process, before it writes there.
pub fn also_writes(note: &Path, folder: &Path) {
    if let Some(mut holder) = Holder::read(note)
        && holder.mark == file::mark()
        && !holder.writes.iter().any(|there| folder.starts_with(there))
    {
        holder.writes.push(folder.to_path_buf());
        holder.write(note);
    }
}

/// Takes the lock on the file at `path`, waiting for at most `patience`.
///
/// `waiting` is called once if the lock is not free at first, with the owner when it can be told. The file holds the
/// number of the owner's process, as that of DVC does; the note says more. A note that is there though the lock is free
/// is that of a process that was killed: its temporary files are removed.
pub fn acquire(
    path: &Path,
    note: Option<Note>,
    patience: Duration,
    stop: &AtomicBool,
    waiting: &mut dyn FnMut(Option<&Holder>),
) -> Result<Lock, LockError> {
    let fail = |source| LockError::Io { path: path.to_path_buf(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW);
    let mut file = options.open(path).map_err(fail)?;
    let start = Instant::now();
    let mut told = false;
    loop {
        match flock(&file, libc::LOCK_EX | libc::LOCK_NB) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(fail(error)),
        }
        let owner = owner_of(&mut file, note.as_ref());
        if stop.load(Ordering::Relaxed) {
            return Err(LockError::Interrupted);
        }
        if start.elapsed() >= patience {
            return Err(LockError::Busy { owner: owner.map(Box::new) });
        }
        if !told {
            told = true;
            waiting(owner.as_ref());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // Who cannot write its number (on a full disk) still holds the lock, and may be about to make room.
    let text = format!(" {}\n", std::process::id());
    let _ = file
        .rewind()
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.set_len(text.len() as u64));
    if let Some(note) = &note {
        if let Some(dead) = Holder::read(&note.path).filter(|dead| dead.mark != file::mark()) {
            for folder in &dead.writes {
                file::sweep(folder, &dead.mark);
            }
        }
        let cmd = command_line(std::process::id()).unwrap_or_else(|| "matraz".into());
        Holder::me(cmd, note.writes.clone()).write(&note.path);
    }
    Ok(Lock { file, note: note.map(|note| note.path) })
}

#[expect(unsafe_code, reason = "the standard library has no flock with an interruptible wait")]
fn flock(file: &File, operation: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `file` lives.
    match unsafe { libc::flock(file.as_raw_fd(), operation) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn owner_of(file: &mut File, note: Option<&Note>) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(64).read_to_string(&mut text).ok()?;
    let pid = text.trim().parse().ok()?;
    let noted = note.and_then(|note| Holder::read(&note.path)).filter(|holder| holder.pid == pid);
    Some(noted.unwrap_or_else(|| Holder::of_pid(pid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_waits_and_learns_for_whom() {
        let never = AtomicBool::new(false);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let note = Note { path: folder.path().join("note"), writes: Vec::new() };
        let me = std::process::id();
        let first = acquire(&path, Some(note.clone()), Duration::ZERO, &never, &mut |_| {}).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!(" {me}\n"));
        let mut told = None;
        let tell = &mut |owner: Option<&Holder>| told = owner.cloned();
        let outcome = acquire(&path, Some(note.clone()), Duration::from_millis(120), &never, tell);
        assert!(matches!(outcome, Err(LockError::Busy { owner: Some(owner) }) if owner.pid == me));
        let told = told.unwrap();
        assert!(told.pid == me && told.since.is_some() && told.host == host(), "{told:?}");
        // One that says nothing of itself, as DVC does, has only its number.
        fs::remove_file(&note.path).unwrap();
        let outcome = acquire(&path, Some(note.clone()), Duration::ZERO, &never, &mut |_| {});
        assert!(matches!(outcome, Err(LockError::Busy { owner: Some(owner) }) if owner.since.is_none()));
        assert!(matches!(
            acquire(&path, None, Duration::from_secs(60), &AtomicBool::new(true), &mut |_| {}),
            Err(LockError::Interrupted)
        ));
        drop(first);
        acquire(&path, None, Duration::ZERO, &never, &mut |_| panic!("nobody holds it")).unwrap();
    }

    #[test]
    fn the_next_taker_sweeps_up_after_one_that_was_killed() {
        let never = AtomicBool::new(false);
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("work/sub")).unwrap();
        let dead =
            Holder { mark: "dead".into(), writes: vec![path("work"), path("gone")], ..Holder::default() };
        dead.write(&path("note"));
        for name in ["work/.matraz-dead-1.tmp", "work/sub/.matraz-dead-2.tmp", "work/.matraz-live-1.tmp"] {
            fs::write(path(name), "half").unwrap();
        }
        let note = Note { path: path("note"), writes: vec![path("work")] };
        let held = acquire(&path("lock"), Some(note), Duration::ZERO, &never, &mut |_| {}).unwrap();
        also_writes(&path("note"), &path("remote"));
        also_writes(&path("note"), &path("work/sub"));
        assert_eq!(Holder::read(&path("note")).unwrap().writes, [path("work"), path("remote")]);
        drop(held);
        assert!(!path("note").exists());
        assert!(!path("work/.matraz-dead-1.tmp").exists() && !path("work/sub/.matraz-dead-2.tmp").exists());
        assert!(path("work/.matraz-live-1.tmp").exists());
    }
}
