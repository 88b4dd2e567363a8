//! Objects on their way into the workspace.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use matraz_base::progress::{Progress, Task};
use matraz_store::{Newborn, Nursery};

use super::{Cache, Corrupted, LinkKind, Object, absent, in_parallel};
use crate::hash::many::{self, BUFFER, Hashed, Opened, Work};
use crate::hash::md5;
use crate::hash::state::Stamp;
use crate::{Error, Repo, Result};

/// A file to put into the workspace.
#[derive(Clone, Debug)]
pub struct Placement {
    /// What.
    pub object: Object,
    /// Where: an absolute path.
    pub target: PathBuf,
    /// Its owner may execute it.
    pub executable: bool,
}

/// What became of files that were to be put into the workspace.
#[derive(Debug, Default)]
pub struct Placed {
    /// By number of the placement: the stamp of the new file; `None` when it failed.
    pub stamps: Vec<Option<Stamp>>,
    /// Objects that are missing, by number of the placement.
    pub missing: Vec<usize>,
    /// Objects that were corrupted; they are removed and count as missing too.
    pub corrupted: Vec<Corrupted>,
    /// Other failures.
    pub failed: Vec<(usize, Error)>,
}

struct Run<'a> {
    cache: &'a Cache,
    placements: &'a [Placement],
    /// The placements of this run, by number.
    numbers: Vec<usize>,
    paths: Vec<PathBuf>,
    nursery: Nursery,
    /// Placements that could not be copied without a check after all.
    doubtful: Mutex<Vec<usize>>,
    outcome: Mutex<(Placed, Vec<(Object, Stamp)>)>,
    progress: &'a dyn Progress,
    task: Task,
}

impl Cache {
    /// Puts objects into the workspace by the first kind of link that works, replacing files that are there. Copies of
    /// objects whose content was not seen to be right are checked as they are made.
    pub fn place(
        &mut self,
        repo: &Repo,
        placements: &[Placement],
        task: (&dyn Progress, Task),
        stop: &AtomicBool,
    ) -> Result<Placed> {
        let (progress, task) = task;
        let mut folders = HashSet::new();
        for placement in placements {
            if let Some(folder) = placement.target.parent()
                && folders.insert(folder)
            {
                fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
            }
        }
        let Some(first) = placements.first() else { return Ok(Placed::default()) };
        let workspace = first.target.parent().unwrap_or(&repo.root);
        let kind = LinkKind::first_that_works(self.links(), self.root(), workspace)
            .ok_or_else(|| Error::NoLinkKind { path: first.target.clone() })?;
        let outcome = Placed { stamps: vec![None; placements.len()], ..Placed::default() };
        let mut run = Run {
            cache: self,
            placements,
            paths: placements.iter().map(|placement| self.path(&placement.object)).collect(),
            numbers: Vec::new(),
            nursery: Nursery::new(&repo.state_dir()),
            doubtful: Mutex::default(),
            outcome: Mutex::new((outcome, Vec::new())),
            progress,
            task,
        };
        // Of a copy, the object is looked at when it is opened; a link has no such moment.
        let mut direct = Vec::new();
        if kind == LinkKind::Copy {
            for (number, placement) in placements.iter().enumerate() {
                let known = run.cache.known(&placement.object);
                let large = known.is_some_and(|stamp| stamp.size > BUFFER as u64);
                if large { direct.push(number) } else { run.numbers.push(number) }
            }
        } else {
            let looked_at = in_parallel(&run.paths, repo.threads(), |path| fs::metadata(path));
            for (number, looked_at) in looked_at.into_iter().enumerate() {
                match looked_at {
                    Ok(meta) => match run.cache.judge(&placements[number].object, &(&meta).into()) {
                        Some(_) => direct.push(number),
                        None => run.check_then(number, &mut direct)?,
                    },
                    Err(error) if absent(&error) => run.missing(number),
                    Err(error) => return Err(Error::io("look at", &run.paths[number])(error)),
                }
            }
        }
        run.link_all(kind, &direct, repo.threads(), stop)?;
        run.numbers.append(run.doubtful.get_mut().unwrap_or_else(PoisonError::into_inner));
        many::run(&run, run.numbers.len(), repo.threads(), stop)?;
        let (outcome, learned) = run.outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.learn(&learned);
        self.corrupted.extend(outcome.corrupted.iter().cloned());
        Ok(outcome)
    }
}

impl Run<'_> {
    fn missing(&self, number: usize) {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).0.missing.push(number);
    }

    /// Hashes an object that cannot be trusted before it is linked.
    fn check_then(&self, number: usize, direct: &mut Vec<usize>) -> Result<()> {
        let path = &self.paths[number];
        let object = &self.placements[number].object;
        let md5 = many::of_files(&[(path.clone(), object.legacy)], 1, &AtomicBool::new(false))?;
        if md5[0] == *object.digest.bytes() {
            super::protect(path)?;
            direct.push(number);
            return Ok(());
        }
        self.corrupted(number)
    }

    fn corrupted(&self, number: usize) -> Result<()> {
        let path = self.paths[number].clone();
        super::discard(&path)?;
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.0.corrupted.push(Corrupted { path });
        outcome.0.missing.push(number);
        Ok(())
    }

    /// Links objects, or copies them without a check, on several threads.
    fn link_all(&self, kind: LinkKind, numbers: &[usize], threads: usize, stop: &AtomicBool) -> Result<()> {
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(&number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                match self.link_one(kind, number, stop) {
                    Ok(None) => self.doubtful.lock().unwrap_or_else(PoisonError::into_inner).push(number),
                    Ok(Some(stamp)) => self.settle(number, Ok(stamp)),
                    Err(error) => self.settle(number, Err(error)),
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.min(numbers.len()) {
                scope.spawn(work);
            }
            work();
        });
        if stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Links an object, or copies it if it is the one whose content was seen to be right.
    fn link_one(&self, kind: LinkKind, number: usize, stop: &AtomicBool) -> Result<Option<Stamp>> {
        let placement = &self.placements[number];
        let object = &self.paths[number];
        if kind == LinkKind::Copy {
            let mut from = match File::open(object) {
                Err(error) if absent(&error) => return Ok(None),
                other => other.map_err(Error::io("read", object))?,
            };
            let meta = from.metadata().map_err(Error::io("look at", object))?;
            if self.cache.judge(&placement.object, &(&meta).into()) != Some(true) {
                return Ok(None);
            }
            let mut temp = self.temp(placement)?;
            let made = copy(&mut from, &mut temp.file, stop).and_then(|()| backdate(&temp.file));
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            return reveal(temp, &placement.target, made).map(Some);
        }
        let temp = temp_beside(&placement.target);
        let made = kind.make(object, &temp).and_then(|()| {
            if kind == LinkKind::Reflink {
                let to = File::options().write(true).open(&temp).or_else(|_| File::open(&temp))?;
                let folder = placement.target.parent().unwrap_or(Path::new("/"));
                let bits = (0o666 & !umask(folder)) | if placement.executable { 0o100 } else { 0 };
                to.set_permissions(fs::Permissions::from_mode(bits))?;
                return backdate(&to);
            }
            let meta = fs::metadata(&temp)?;
            if placement.executable && meta.permissions().mode() & 0o100 == 0 {
                let bits = meta.permissions().mode() | 0o100;
                fs::set_permissions(&temp, fs::Permissions::from_mode(bits))?;
            }
            Ok(Stamp::of(&meta))
        });
        let revealed = made.and_then(|stamp| {
            show(&placement.target, || fs::rename(&temp, &placement.target))?;
            Ok(Some(stamp))
        });
        revealed.map_err(|error| {
            let _ = fs::remove_file(&temp);
            Error::io("write", &placement.target)(error)
        })
    }

    /// A file that becomes the placement's.
    fn temp(&self, placement: &Placement) -> Result<Newborn> {
        let bits = if placement.executable { 0o766 } else { 0o666 };
        let folder = placement.target.parent().unwrap_or(Path::new("/"));
        self.nursery.create(folder, bits).map_err(Error::io("write", folder))
    }

    fn settle(&self, number: usize, settled: Result<Stamp>) {
        self.progress.advance(self.task, 1);
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        match settled {
            Ok(stamp) => outcome.0.stamps[number] = Some(stamp),
            Err(error) => outcome.0.failed.push((number, error)),
        }
    }
}

/// Copies with a check of the content.
impl Work for Run<'_> {
    type Open = (Option<Newborn>, Stamp);

    fn path(&self, job: usize) -> &Path {
        &self.paths[self.numbers[job]]
    }

    fn open(&self, job: usize) -> Result<Opened<Self::Open>> {
        let path = self.path(job);
        let file = File::open(path).map_err(Error::io("read", path))?;
        let stamp = Stamp::of(&file.metadata().map_err(Error::io("read", path))?);
        Ok(Opened { reader: Box::new(file), size: Some(stamp.size), with: (None, stamp) })
    }

    fn chunk(&self, job: usize, open: &mut Self::Open, bytes: &[u8]) -> Result<()> {
        let placement = &self.placements[self.numbers[job]];
        let temp = match &mut open.0 {
            Some(there) => there,
            none => none.insert(self.temp(placement)?),
        };
        temp.file.write_all(bytes).map_err(Error::io("write", &placement.target))
    }

    fn done(&self, job: usize, outcome: Result<(Self::Open, Hashed<'_>)>) -> Result<()> {
        let number = self.numbers[job];
        let placement = &self.placements[number];
        let ((written, stamp), hashed) = match outcome {
            Ok(outcome) => outcome,
            Err(Error::Io { source, .. }) if absent(&source) && !self.path(job).exists() => {
                self.missing(number);
                return Ok(());
            }
            Err(error) => {
                self.settle(number, Err(error));
                return Ok(());
            }
        };
        let md5 = if placement.object.legacy {
            let path = self.path(job);
            let mut file = File::open(path).map_err(Error::io("read", path))?;
            md5::legacy(&mut file).map_err(Error::io("read", path))?
        } else {
            hashed.md5
        };
        if md5 != *placement.object.digest.bytes() {
            drop(written);
            return self.corrupted(number);
        }
        let settled = match written {
            Some(temp) => {
                let made = backdate(&temp.file);
                reveal(temp, &placement.target, made)
            }
            None => self.temp(placement).and_then(|mut temp| {
                let content = hashed.whole.unwrap_or_default();
                let made = temp.file.write_all(content).and_then(|()| backdate(&temp.file));
                reveal(temp, &placement.target, made)
            }),
        };
        if self.cache.judge_protected(&placement.object, stamp) {
            self.outcome.lock().unwrap_or_else(PoisonError::into_inner).1.push((placement.object, stamp));
        }
        self.settle(number, settled);
        Ok(())
    }
}

impl Cache {
    /// Whether it is news that an object with this stamp is right.
    fn judge_protected(&self, object: &Object, stamp: Stamp) -> bool {
        self.known(object) != Some(stamp)
    }
}

/// Shows a finished file in its place.
fn reveal(mut file: Newborn, target: &Path, made: io::Result<Stamp>) -> Result<Stamp> {
    let shown = made.and_then(|stamp| show(target, || file.show(target)).map(|()| stamp));
    shown.map_err(Error::io("write", target))
}

/// Shows something in a place where an emptied folder may be in the way.
fn show(target: &Path, mut act: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    match act() {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            fs::remove_dir(target)?;
            act()
        }
        other => other,
    }
}

fn temp_beside(target: &Path) -> PathBuf {
    target.with_file_name(matraz_base::file::temporary_name())
}

/// Copies a file inside the kernel, piece by piece, so that an interrupt is heard.
fn copy(from: &mut File, to: &mut File, stop: &AtomicBool) -> io::Result<()> {
    const PIECE: u64 = 64 << 20;
    while !stop.load(Ordering::Relaxed) {
        if io::copy(&mut Read::by_ref(from).take(PIECE), to)? < PIECE {
            break;
        }
    }
    Ok(())
}

/// Sets the time of a new file a moment back, so that any later write is sure to change it (see
/// [`Stamp::settled_before`]), and returns its stamp.
fn backdate(file: &File) -> io::Result<Stamp> {
    let moment = SystemTime::now() - Duration::from_millis(25);
    file.set_modified(moment)?;
    Ok(Stamp::of(&file.metadata()?))
}

/// The umask of this process, learnt from a new file in `folder`: the system has no harmless way to ask.
pub(crate) fn umask(folder: &Path) -> u32 {
    static UMASK: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *UMASK.get_or_init(|| {
        let temp = temp_beside(&folder.join("umask"));
        let made = OpenOptions::new().write(true).create_new(true).mode(0o666).open(&temp);
        let bits = made.ok().and_then(|file| file.metadata().ok()).map(|meta| meta.permissions().mode());
        let _ = fs::remove_file(&temp);
        bits.map_or(0o022, |bits| 0o666 & !bits)
    })
}
