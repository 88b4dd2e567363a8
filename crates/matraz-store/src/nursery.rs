//! Folders in which new files are made quickly.
//!
//! ext4 without a journal (the disk of many virtual machines and CI runners) does not give an inode away again within
//! some minutes of its removal, and looks at every such inode, from the first of its region on, for every new file.
//! Where 20,000 files were just removed, making one takes 100 to 600 µs instead of 9. A region is made of sixteen
//! block groups, a file is born in the region of its folder, and the folders in one with the attribute `T` are spread
//! over all regions. So when birth turns out to be slow beside its place, a file is born in such a folder and shown in
//! its place: 15 µs for everything (20,000 files of 4 KiB, two threads; `bench/floor` repeats it). Folders are made
//! the same way. On any other filesystem, and while birth is quick, files are made beside their place.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use matraz_base::file;
use rustix::fs::{CWD, IFlags, Mode, OFlags, RenameFlags};

use crate::Newborn;

/// The folder below the root that holds the folders of all processes.
pub(crate) const HOME: &str = ".matraz-new";
/// How many births are judged together, by the quickest of them: the others may just have been interrupted.
const SAMPLE: u32 = 4;
/// A birth that takes longer than this is slow.
const PATIENCE: Duration = Duration::from_micros(35);
/// How many folders are tried before the best of them has to do.
const MOST_FOLDERS: usize = 64;
/// How many births must have been slow before another folder is tried, which costs as much as some of them.
const BIRTHS_TO_A_FOLDER: usize = 16;
/// What a killed process left behind goes after this time.
const LITTER_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Of `statfs`.
const EXT4_MAGIC: u64 = 0xEF53;

/// Makes new files for one filesystem. May be used by several threads.
#[derive(Debug)]
pub struct Nursery {
    root: PathBuf,
    patience: Duration,
    /// The place of each thread that is not making a file right now.
    slots: Mutex<Vec<Slot>>,
    /// Whether files need no name before they are shown, as far as is known.
    nameless: AtomicBool,
    /// How many folders were made.
    folders: AtomicUsize,
    /// How many births were judged.
    judged: AtomicUsize,
    /// The quickest birth so far, and the folder of it.
    best: Mutex<Option<(Duration, Option<PathBuf>)>>,
    /// Our part of the home, once it is needed; `None` when the filesystem is of another kind.
    own: Mutex<Option<Option<PathBuf>>>,
}

#[derive(Debug, Default)]
struct Slot {
    /// Where files are born; `None`: beside their place.
    folder: Option<PathBuf>,
    births: u32,
    quickest: Option<Duration>,
}

impl Nursery {
    /// A nursery for files that will lie on the filesystem of the folder `root`. Nothing is touched yet.
    pub fn new(root: &Path) -> Self {
        Self::with_patience(root, PATIENCE)
    }

    fn with_patience(root: &Path, patience: Duration) -> Self {
        Self {
            root: root.to_path_buf(),
            patience,
            slots: Mutex::default(),
            nameless: AtomicBool::new(true),
            folders: AtomicUsize::new(0),
            judged: AtomicUsize::new(0),
            best: Mutex::default(),
            own: Mutex::default(),
        }
    }

    /// Makes a file that will go to the folder `beside`, with the permission bits `mode` less the umask.
    pub fn create(&self, beside: &Path, mode: u32) -> io::Result<Newborn> {
        self.bear(beside, |folder| Newborn::create(folder, mode, &self.nameless))
    }

    /// Writes a whole file: it appears complete or not at all, and one that is replaced leaves its permission bits. The
    /// folder must exist.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut newborn = self.create(path.parent().unwrap_or(path), 0o666)?;
        newborn.file.write_all(bytes)?;
        if let Ok(old) = fs::metadata(path) {
            newborn.file.set_permissions(old.permissions())?;
        }
        newborn.file.sync_all()?;
        newborn.show(path)
    }

    /// Makes a folder. It is no error when there is one already; that above it must exist.
    pub fn create_dir(&self, path: &Path) -> io::Result<()> {
        let beside = path.parent().unwrap_or(path);
        let make = |folder: &Path| {
            let born =
                if folder == beside { path.to_path_buf() } else { folder.join(file::temporary_name()) };
            fs::create_dir(&born).map(|()| born)
        };
        let made = self.bear(beside, make).and_then(|born| {
            if born == path {
                return Ok(());
            }
            // A plain rename would replace the empty folder that another thread has just made and is about to fill.
            let moved = rustix::fs::renameat_with(CWD, &born, CWD, path, RenameFlags::NOREPLACE);
            moved.map_err(|error| {
                let _ = fs::remove_dir(&born);
                error.into()
            })
        });
        made.or_else(|error| if path.is_dir() { Ok(()) } else { Err(error) })
    }

    /// Makes something in a folder of ours, or in `beside` while birth is quick there.
    fn bear<T>(&self, beside: &Path, make: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        let mut slot = lock(&self.slots).pop().unwrap_or_default();
        let start = Instant::now();
        let made = make(slot.folder.as_deref().unwrap_or(beside));
        let spent = start.elapsed();
        if made.is_ok() {
            slot.births += 1;
            slot.quickest = Some(slot.quickest.map_or(spent, |quickest| quickest.min(spent)));
        }
        if let (Some(quickest), true) = (slot.quickest, slot.births >= SAMPLE) {
            self.judge(&mut slot, quickest);
        }
        lock(&self.slots).push(slot);
        made
    }

    /// Moves a slot on when birth is slow where it is.
    fn judge(&self, slot: &mut Slot, quickest: Duration) {
        let mut best = lock(&self.best);
        if best.as_ref().is_none_or(|(known, _)| quickest < *known) {
            *best = Some((quickest, slot.folder.clone()));
        }
        if quickest > self.patience {
            let known = best.as_ref().and_then(|(_, folder)| folder.clone());
            drop(best);
            let judged = self.judged.fetch_add(slot.births as usize, Ordering::Relaxed);
            let affordable = self.folders.load(Ordering::Relaxed) * BIRTHS_TO_A_FOLDER <= judged;
            slot.folder = affordable.then(|| self.next_folder()).flatten().or(known);
        }
        slot.births = 0;
        slot.quickest = None;
    }

    /// A folder in another region; `None` when there is no such thing.
    fn next_folder(&self) -> Option<PathBuf> {
        let number = self.folders.fetch_add(1, Ordering::Relaxed);
        if number >= MOST_FOLDERS {
            return None;
        }
        let mut own = lock(&self.own);
        let own = own.get_or_insert_with(|| settle_in(&self.root).ok()).as_ref()?;
        // The region follows from the name.
        let folder = own.join(format!("{:016x}", random()));
        // The folder is as private as the files in it may have to be.
        fs::DirBuilder::new().mode(0o700).create(&folder).ok()?;
        Some(folder)
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        if let Some(Some(own)) = self.own.get_mut().unwrap_or_else(PoisonError::into_inner) {
            let _ = fs::remove_dir_all(&own);
            // Fails while another process has its part.
            let _ = own.parent().map(fs::remove_dir);
        }
    }
}

/// Makes our part of the home below `root`, where that is of use.
fn settle_in(root: &Path) -> io::Result<PathBuf> {
    if rustix::fs::statfs(root)?.f_type as u64 != EXT4_MAGIC {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let home = root.join(HOME);
    fs::create_dir_all(&home)?;
    for entry in fs::read_dir(&home)?.flatten() {
        let age = entry.metadata()?.modified()?;
        if SystemTime::now().duration_since(age).is_ok_and(|age| age > LITTER_AGE) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let own = home.join(format!("{}-{:016x}", std::process::id(), random()));
    fs::create_dir(&own)?;
    let opened =
        rustix::fs::openat(CWD, &own, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = rustix::fs::ioctl_getflags(&opened)?;
    rustix::fs::ioctl_setflags(&opened, flags | IFlags::TOPDIR)?;
    Ok(own)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number that other processes do not get.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_an_impatient_nursery_reach_their_place_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("place");
        fs::create_dir(&place).unwrap();
        for patience in [Duration::ZERO, Duration::MAX] {
            let nursery = Nursery::with_patience(folder.path(), patience);
            for _ in 0..3 {
                nursery.create_dir(&place.join("folder")).unwrap();
            }
            std::thread::scope(|scope| {
                for thread in 0..3 {
                    let (nursery, place) = (&nursery, &place);
                    scope.spawn(move || {
                        for n in 0..3 * MOST_FOLDERS {
                            let mut newborn = nursery.create(place, 0o600).unwrap();
                            newborn.file.write_all(n.to_string().as_bytes()).unwrap();
                            newborn.show(&place.join(format!("{thread}-{n}"))).unwrap();
                        }
                    });
                }
            });
            drop(nursery);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            assert_eq!(fs::read_dir(&place).unwrap().count(), 9 * MOST_FOLDERS + 1);
            assert_eq!(fs::read_dir(place.join("folder")).unwrap().count(), 0);
            assert_eq!(fs::read(place.join("2-17")).unwrap(), b"17");
        }
    }

    #[test]
    fn a_folder_that_is_being_filled_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let nursery = Nursery::with_patience(folder.path(), Duration::ZERO);
        for round in 0..200 {
            let place = folder.path().join(round.to_string());
            std::thread::scope(|scope| {
                for thread in 0..2 {
                    let (nursery, place) = (&nursery, &place);
                    scope.spawn(move || {
                        nursery.create_dir(place).unwrap();
                        let mut newborn = nursery.create(place, 0o600).unwrap();
                        newborn.show(&place.join(thread.to_string())).unwrap();
                    });
                }
            });
            assert_eq!(fs::read_dir(&place).unwrap().count(), 2);
        }
    }

    #[test]
    fn a_new_file_has_the_bits_that_were_asked_for() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let nursery = Nursery::new(folder.path());
        let newborn = nursery.create(folder.path(), 0o400).unwrap();
        assert_eq!(newborn.file.metadata().unwrap().permissions().mode() & 0o7777, 0o400);
        assert!(nursery.create(&folder.path().join("missing"), 0o400).is_err());
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(nursery.create_dir(&folder.path().join("file")).is_err());
    }
}
