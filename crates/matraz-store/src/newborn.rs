//! A file that nobody sees before it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use matraz_base::file;
use rustix::fs::{AtFlags, CWD, OFlags, RenameFlags};

/// A new file. Where the filesystem can do that it has no name at all, and a killed process leaves nothing behind; else
/// it has a temporary one. Dropped before it is shown, it is gone.
#[derive(Debug)]
pub struct Newborn {
    /// Open for writing.
    pub file: File,
    /// The temporary name; `None` when there is none, or none any more.
    name: Option<PathBuf>,
}

impl Newborn {
    /// Makes a file in `folder`, with the permission bits `mode` less the umask. `nameless` says whether the filesystem
    /// may have files without a name, and is cleared when it turns out not to.
    pub(crate) fn create(folder: &Path, mode: u32, nameless: &AtomicBool) -> io::Result<Self> {
        if nameless.load(Ordering::Relaxed) {
            let flags = OFlags::TMPFILE.bits() as i32;
            let made = OpenOptions::new().read(true).write(true).custom_flags(flags).mode(mode).open(folder);
            match made {
                Ok(file) => return Ok(Self { file, name: None }),
                Err(error) if error.kind() == ErrorKind::NotFound => return Err(error),
                Err(_) => nameless.store(false, Ordering::Relaxed),
            }
        }
        let name = folder.join(file::temporary_name());
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(&name)?;
        Ok(Self { file, name: Some(name) })
    }

    /// Gives the finished file its place, replacing what is there. When that fails, it can be tried again.
    pub fn show(&mut self, target: &Path) -> io::Result<()> {
        self.settle(target, true).map(drop)
    }

    /// Gives the finished file its place if that is free; says whether it was.
    pub fn show_new(&mut self, target: &Path) -> io::Result<bool> {
        self.settle(target, false)
    }

    fn settle(&mut self, target: &Path, replace: bool) -> io::Result<bool> {
        let settled = match &self.name {
            None => self.link(target).or_else(|error| match error.kind() {
                ErrorKind::AlreadyExists if replace => {
                    let beside = target.with_file_name(file::temporary_name());
                    self.link(&beside)?;
                    fs::rename(&beside, target).inspect_err(|_| drop(fs::remove_file(&beside)))
                }
                _ => Err(error),
            }),
            Some(name) if replace => fs::rename(name, target),
            Some(name) => match rustix::fs::renameat_with(CWD, name, CWD, target, RenameFlags::NOREPLACE) {
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if !target.exists() => {
                    fs::rename(name, target)
                }
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                    Err(ErrorKind::AlreadyExists.into())
                }
                other => other.map_err(io::Error::from),
            },
        };
        match settled {
            Ok(()) => {
                self.name = None;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists && !replace => Ok(false),
            // Another filesystem, or one that shows no file that was born without a name.
            Err(error)
                if error.kind() == ErrorKind::CrossesDevices
                    || (self.name.is_none()
                        && target.parent().is_some_and(Path::is_dir)
                        && !target.is_dir()) =>
            {
                if !replace && target.exists() {
                    return Ok(false);
                }
                self.copy(target).map(|()| true)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives a file without a name one.
    fn link(&self, target: &Path) -> io::Result<()> {
        match rustix::fs::linkat(&self.file, "", CWD, target, AtFlags::EMPTY_PATH) {
            // Systems before Linux 6.10 want a privilege for that, and say that there is no such file.
            Err(rustix::io::Errno::NOENT) => {
                let open = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                Ok(rustix::fs::linkat(CWD, open, CWD, target, AtFlags::SYMLINK_FOLLOW)?)
            }
            other => Ok(other?),
        }
    }

    fn copy(&mut self, target: &Path) -> io::Result<()> {
        let beside = target.with_file_name(file::temporary_name());
        let meta = self.file.metadata()?;
        self.file.rewind()?;
        let copied = (|| {
            let mut to = File::create_new(&beside)?;
            io::copy(&mut self.file, &mut to)?;
            to.set_permissions(meta.permissions())?;
            to.set_modified(meta.modified()?)?;
            fs::rename(&beside, target)
        })();
        if copied.is_err() {
            let _ = fs::remove_file(&beside);
        } else if let Some(name) = self.name.take() {
            let _ = fs::remove_file(name);
        }
        copied
    }
}

impl Drop for Newborn {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = fs::remove_file(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    fn born(folder: &Path, nameless: bool, content: &str) -> Newborn {
        let mut newborn = Newborn::create(folder, 0o440, &AtomicBool::new(nameless)).unwrap();
        newborn.file.write_all(content.as_bytes()).unwrap();
        newborn
    }

    #[test]
    fn nobody_sees_a_file_before_it_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for nameless in [true, false] {
            let mut one = born(folder.path(), nameless, "one");
            assert!(!at("x").exists());
            assert!(one.show_new(&at("x")).unwrap());
            let mut two = born(folder.path(), nameless, "two");
            assert!(!two.show_new(&at("x")).unwrap());
            assert_eq!(fs::read(at("x")).unwrap(), b"one");
            two.show(&at("x")).unwrap();
            assert_eq!(fs::read(at("x")).unwrap(), b"two");
            assert_eq!(fs::metadata(at("x")).unwrap().permissions().mode() & 0o7777, 0o440);
            drop(born(folder.path(), nameless, "never"));
            drop((one, two));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            fs::remove_file(at("x")).unwrap();
        }
    }

    #[test]
    fn what_failed_can_be_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("sub");
        for nameless in [true, false] {
            let mut newborn = born(folder.path(), nameless, "x");
            assert_eq!(newborn.show(&place.join("x")).unwrap_err().kind(), ErrorKind::NotFound);
            fs::create_dir(&place).unwrap();
            assert!(newborn.show(&place).is_err());
            newborn.show(&place.join("x")).unwrap();
            assert_eq!(fs::read(place.join("x")).unwrap(), b"x");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            fs::remove_dir_all(&place).unwrap();
        }
        let absent = Newborn::create(&place, 0o600, &AtomicBool::new(true));
        assert_eq!(absent.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn files_reach_other_filesystems() {
        let (here, there) = (tempfile::tempdir().unwrap(), Path::new("/dev/shm"));
        let Ok(there) = tempfile::tempdir_in(there) else { return };
        for nameless in [true, false] {
            let target = there.path().join("x");
            let mut newborn = born(here.path(), nameless, "x");
            assert!(newborn.show_new(&target).unwrap());
            let mut second = born(here.path(), nameless, "y");
            assert!(!second.show_new(&target).unwrap());
            second.show(&target).unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"y");
            assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o7777, 0o440);
            fs::remove_file(&target).unwrap();
        }
        assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0);
        assert_eq!(fs::read_dir(there.path()).unwrap().count(), 0);
    }
}
