//! The files of a data folder, listed and looked at by several threads.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir};

use crate::cache::WORTH_A_THREAD;
use crate::ignore::{Ignore, Rules};
use crate::metadata::Metadata;
use crate::repo::{DVC_DIR, DVCIGNORE};
use crate::{Error, Result};

/// A file below a folder.
#[derive(Clone, Debug)]
pub struct FoundFile {
    /// Relative to the folder, with `/`.
    pub path: String,
    /// Of the file itself; links are followed.
    pub meta: Metadata,
    /// Whether a link leads to it.
    pub is_link: bool,
}

/// All files below a folder that are not ignored, sorted by path. Links to files count as files, links to folders are
/// left out, as DVC does. A `.dvcignore` below the folder is refused: its patterns would be part of the data.
pub fn files_below(folder: &Path, ignore: &Ignore, threads: usize) -> Result<Vec<FoundFile>> {
    let queue = Queue { waiting: vec![Job::List(String::new())], busy: 0, error: None };
    // No folder below has patterns of its own.
    let rules = ignore.rules(folder)?;
    let walk = Walk { folder, rules, queue: Mutex::new(queue), changed: Condvar::new() };
    // Most folders are small: threads are started for those that turn out not to be.
    let mut parts = walk.work(threads > 1);
    if !walk.queue().waiting.is_empty() {
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| walk.work(false))).collect();
            parts.extend(walk.work(false));
            for other in others {
                parts.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
        });
    }
    if let Some(error) = walk.queue().error.take() {
        return Err(error);
    }
    // Each part is sorted, so that there is little left to do.
    parts.retain(|part| !part.is_empty());
    parts.sort_unstable_by(|a, b| a[0].path.cmp(&b[0].path));
    let mut files = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    parts.into_iter().for_each(|part| files.extend(part));
    if !files.is_sorted_by(|a: &FoundFile, b| a.path < b.path) {
        files.sort_by(|a, b| a.path.cmp(&b.path));
    }
    Ok(files)
}

struct Walk<'a> {
    folder: &'a Path,
    rules: Rules,
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    waiting: Vec<Job>,
    /// How many threads have a job.
    busy: usize,
    /// What ended the walk.
    error: Option<Error>,
}

enum Job {
    /// List a folder, which is named relative to the top, with a `/` at the end; the top has no name.
    List(String),
    /// Look at files of a folder whose name has this length.
    Look(Arc<OwnedFd>, usize, Vec<Name>),
}

/// A name in a folder.
struct Name {
    /// Relative to the top.
    path: String,
    is_link: bool,
}

impl Walk<'_> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes jobs until there are none, or, when `alone`, until several threads are worth starting.
    fn work(&self, alone: bool) -> Vec<Vec<FoundFile>> {
        let mut parts = Vec::new();
        let mut seen = 0;
        let mut room = Vec::new();
        while !(alone && seen >= WORTH_A_THREAD)
            && let Some(job) = self.next()
        {
            let done = match job {
                Job::List(name) => self.list(name, &mut room),
                Job::Look(handle, prefix, names) => self.look(&handle, prefix, names).map(Some),
            };
            let mut queue = self.queue();
            queue.busy -= 1;
            match done {
                Ok(part) => {
                    seen += part.as_ref().map_or(0, Vec::len) + queue.waiting.len();
                    parts.extend(part);
                }
                Err(error) => {
                    queue.waiting.clear();
                    queue.error.get_or_insert(error);
                }
            }
            drop(queue);
            self.changed.notify_all();
        }
        parts
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.waiting.pop() {
                queue.busy += 1;
                return Some(job);
            }
            if queue.busy == 0 {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn add(&self, jobs: impl IntoIterator<Item = Job>) {
        let mut queue = self.queue();
        if queue.error.is_none() {
            queue.waiting.extend(jobs);
        }
    }

    /// Lists a folder. Looks at its files when they are few, and leaves that to all when they are many.
    fn list(&self, folder: String, room: &mut Vec<u8>) -> Result<Option<Vec<FoundFile>>> {
        let at = self.folder.join(&folder);
        let failed = |error: rustix::io::Errno| Error::io("read", &at)(error.into());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(CWD, &at, flags, Mode::empty()).map_err(failed)?;
        let mut names = Vec::new();
        let mut folders = Vec::new();
        room.reserve(64 * 1024);
        // The standard library's reader makes three allocations a name.
        let mut entries = RawDir::new(&handle, room.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(failed)?;
            let bytes = entry.file_name().to_bytes();
            if matches!(bytes, b"." | b"..") {
                continue;
            }
            let Ok(name) = std::str::from_utf8(bytes) else {
                return Err(Error::NotUnicode { path: at.join(std::ffi::OsStr::from_bytes(bytes)) });
            };
            let kind = match entry.file_type() {
                // Some filesystems do not tell.
                FileType::Unknown => {
                    let stat =
                        rustix::fs::statat(&handle, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
                    FileType::from_raw_mode(stat.st_mode)
                }
                kind => kind,
            };
            // A project inside the project is not ours.
            if name == DVC_DIR && !folder.is_empty() && at.join(name).is_dir() {
                return Ok(None);
            }
            if kind == FileType::Directory {
                if !self.rules.matches(&at.join(name), true) {
                    folders.push(Job::List(format!("{folder}{name}/")));
                }
                continue;
            }
            if name == DVCIGNORE && !self.rules.matches(&at.join(name), false) {
                return Err(Error::IgnoreFileInData { folder: at });
            }
            // What a killed process left half-written is no data.
            let litter = matraz_base::file::is_temporary(name);
            let ignored =
                (self.rules.has_patterns() || name == ".git") && self.rules.matches(&at.join(name), false);
            if !litter && !ignored {
                let mut path = String::with_capacity(folder.len() + name.len());
                path.push_str(&folder);
                path.push_str(name);
                names.push(Name { path, is_link: kind == FileType::Symlink });
            }
        }
        self.add(folders);
        names.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        if names.len() <= 2 * WORTH_A_THREAD {
            return self.look(&handle, folder.len(), names).map(Some);
        }
        let handle = Arc::new(handle);
        let mut jobs = Vec::new();
        while !names.is_empty() {
            let rest = names.split_off(names.len().saturating_sub(2 * WORTH_A_THREAD));
            jobs.push(Job::Look(Arc::clone(&handle), folder.len(), rest));
        }
        self.add(jobs);
        Ok(Some(Vec::new()))
    }

    /// Looks at files through the handle of their folder: 0.7 µs a file instead of 1.4, as the system does not walk the
    /// whole path each time.
    fn look(&self, handle: &OwnedFd, prefix: usize, names: Vec<Name>) -> Result<Vec<FoundFile>> {
        let mut files = Vec::with_capacity(names.len());
        for Name { path, is_link } in names {
            let stat = rustix::fs::statat(handle, &path[prefix..], AtFlags::empty());
            let meta = match stat {
                Ok(stat) => Metadata::from(&stat),
                Err(error) => return Err(Error::io("read", self.folder.join(&path))(error.into())),
            };
            if meta.is_file() {
                files.push(FoundFile { path, meta, is_link });
            } else if !(is_link && meta.is_dir()) {
                return Err(Error::NotData { path: self.folder.join(&path) });
            }
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn walks_follow_links_to_files_and_leave_out_what_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for dir in ["d/s", "d/e", "d/.git", "d/sub/.dvc"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        for file in ["d/a", "d/s/b", "d/a.x", "d/c.tmp", "d/.git/x", "d/sub/y"] {
            fs::write(root.join(file), file).unwrap();
        }
        std::os::unix::fs::symlink("a", root.join("d/link")).unwrap();
        std::os::unix::fs::symlink("s", root.join("d/dirlink")).unwrap();
        fs::write(root.join(DVCIGNORE), "*.tmp\n").unwrap();
        let ignore = Ignore::new(root);
        let found = files_below(&root.join("d"), &ignore, 2).unwrap();
        let names: Vec<_> = found.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(names, ["a", "a.x", "link", "s/b"]);
        std::os::unix::fs::symlink("nowhere", root.join("d/broken")).unwrap();
        assert!(files_below(&root.join("d"), &ignore, 2).is_err());
        fs::remove_file(root.join("d/broken")).unwrap();
        fs::write(root.join("d/s/.dvcignore"), "x").unwrap();
        assert!(matches!(files_below(&root.join("d"), &ignore, 2), Err(Error::IgnoreFileInData { .. })));
    }

    #[test]
    fn several_threads_find_what_one_finds() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for n in 0..3000 {
            let place = match n % 3 {
                0 => root.join("flat"),
                1 => root.join(format!("deep/{}/{}", n % 40, n % 7)),
                _ => root.join(format!("deep/{}-x", n % 40)),
            };
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join(format!("{n}")), n.to_string()).unwrap();
        }
        let ignore = Ignore::new(root);
        let paths = |threads| -> Vec<String> {
            files_below(root, &ignore, threads).unwrap().into_iter().map(|file| file.path).collect()
        };
        let one = paths(1);
        assert_eq!(one.len(), 3000);
        assert!(one.is_sorted());
        for threads in [2, 5] {
            assert_eq!(paths(threads), one);
        }
        fs::write(root.join("deep/5/0/.dvcignore"), "x").unwrap_or_default();
        fs::write(root.join("deep/4-x/.dvcignore"), "x").unwrap_or_default();
        fs::write(root.join("flat/.dvcignore"), "x").unwrap();
        for threads in [1, 2, 5] {
            assert!(matches!(files_below(root, &ignore, threads), Err(Error::IgnoreFileInData { .. })));
        }
    }
}
