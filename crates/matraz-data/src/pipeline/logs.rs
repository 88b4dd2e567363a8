//! What the commands of stages wrote and how they ended: the last few runs of every stage are kept.
//!
//! Each stage has a folder in `.dvc/tmp/matraz/logs`, and in it each run two files: `ID.log`, the output as it came, and
//! `ID.json`, a line with a [`Record`] from its start and one from its end. While a run goes on its log is locked, so that a record which says `running` cannot lie when
//! the process was killed.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use matraz_base::process::Interrupt;
use matraz_base::{Explain, Kind};
use matraz_store::Nursery;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::command::Ran;
use crate::{Error, Repo, Result};

/// How many runs of a stage are kept.
const KEPT: usize = 5;
/// How often a log that is followed is looked at.
const FOLLOW_PAUSE: Duration = Duration::from_millis(100);
/// The longest name of a stage's folder.
const LONGEST_NAME: usize = 120;

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It goes on.
    Running,
    /// It ended well, and what it made is recorded.
    Succeeded,
    /// Its command failed, or what it should have made is not there.
    Failed,
    /// The user stopped it.
    Interrupted,
    /// The program that ran it was killed.
    Lost,
}

/// One run of a stage's commands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The stage as it is named from the project's root.
    pub stage: String,
    /// What became of it.
    pub status: Status,
    /// The commands, in order.
    pub cmd: Vec<String>,
    /// When it started, in milliseconds since 1970.
    pub started_at: u64,
    /// How long its commands ran; none while they do.
    pub wall_seconds: Option<f64>,
    /// The exit code of the last command that ran.
    pub exit_code: Option<i32>,
    /// The largest resident set of a process of its commands, in bytes.
    pub peak_memory: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
    /// The process that ran it.
    pub pid: u32,
    /// Where the output is.
    #[serde(default)]
    pub log: PathBuf,
}

/// The log of a run that goes on.
#[derive(Debug)]
pub(super) struct RunLog {
    file: File,
    /// The file of records, where there is one.
    notes: Option<File>,
    record: Record,
}

impl RunLog {
    /// Starts the log of a run, and forgets the oldest ones of the stage.
    pub fn start(repo: &Repo, stage: &str, cmd: Vec<String>, nursery: &Nursery) -> Result<Self> {
        let folder = folder_of(repo, stage);
        let make = || nursery.create_dir(&folder);
        let made = make().or_else(|_| fs::create_dir_all(root_of(repo)).and_then(|()| make()));
        made.map_err(Error::io("create", &folder))?;
        forget_old(&folder);
        let started_at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        let pid = std::process::id();
        let log = folder.join(format!("{started_at:014}-{pid}.log"));
        let file = new_file(nursery, &log).map_err(Error::io("write", &log))?;
        // A file system without locks takes the log of a running stage for one that was lost.
        let _ = file.try_lock();
        let record = Record {
            stage: stage.to_owned(),
            status: Status::Running,
            cmd,
            started_at,
            wall_seconds: None,
            exit_code: None,
            peak_memory: None,
            error: None,
            pid,
            log,
        };
        // Losing a record does no harm to the run.
        let notes = new_file(nursery, &record.log.with_extension("json")).ok();
        let mut log = Self { file, notes, record };
        log.note();
        Ok(log)
    }

    /// Where the output is kept.
    pub fn path(&self) -> &Path {
        &self.record.log
    }

    /// Keeps a piece of output. A full disk must not stop the command, whose output the user sees anyway.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.file.write_all(bytes);
    }

    /// The run is over; with an error when it failed.
    pub fn end(mut self, ran: &Ran, error: Option<&Error>) {
        self.record.status = match error {
            None => Status::Succeeded,
            Some(error) if error.kind() == Kind::Interrupted => Status::Interrupted,
            Some(_) => Status::Failed,
        };
        self.record.error = error.map(ToString::to_string);
        self.record.wall_seconds = Some((ran.wall.as_secs_f64() * 1000.0).round() / 1000.0);
        self.record.exit_code = ran.exit_code;
        self.record.peak_memory = ran.peak_memory;
        self.note();
    }

    /// Adds what is known now to the file of records. Readers never see half of a line.
    fn note(&mut self) {
        if let (Some(notes), Ok(mut line)) = (&mut self.notes, serde_json::to_string(&self.record)) {
            line.push('\n');
            let _ = notes.write_all(line.as_bytes());
        }
    }
}

fn new_file(nursery: &Nursery, path: &Path) -> io::Result<File> {
    let mut newborn = nursery.create(path.parent().unwrap_or(path), 0o666)?;
    newborn.show(path)?;
    newborn.file.try_clone()
}

impl Record {
    /// The last of the records in a file.
    fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let mut record: Self = text.lines().rev().find_map(|line| serde_json::from_str(line).ok())?;
        record.log = path.with_extension("log");
        Some(record)
    }

    fn load(path: &Path) -> Option<Self> {
        let mut record = Self::read(path)?;
        if record.status == Status::Running && !is_locked(&record.log) {
            // It may have ended since it was read.
            record = Self::read(path)?;
            if record.status == Status::Running {
                record.status = Status::Lost;
            }
        }
        Some(record)
    }
}

/// Hands out what a run has written by now.
pub fn read(record: &Record, output: &mut dyn FnMut(&[u8])) -> Result<()> {
    let over = Record { status: Status::Lost, ..record.clone() };
    follow(&over, &Interrupt::new(), output)
}

/// Hands out what a run has written, and while it goes on what it writes, until it ends or the user interrupts.
pub fn follow(record: &Record, interrupt: &Interrupt, output: &mut dyn FnMut(&[u8])) -> Result<()> {
    let fail = || Error::io("read", &record.log);
    let mut file = File::open(&record.log).map_err(fail())?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        // Asked before reading, so that nothing is missed that was written last.
        let goes_on = record.status == Status::Running && is_locked(&record.log);
        loop {
            match file.read(&mut buffer).map_err(fail())? {
                0 => break,
                length => output(&buffer[..length]),
            }
        }
        if !goes_on || interrupt.is_raised() {
            return Ok(());
        }
        thread::sleep(FOLLOW_PAUSE);
    }
}

/// The name of a stage from the project's root, as the logs know it. `target` is a name, or `file:name`, as seen from
/// `cwd`; the stage need not be there any more.
pub fn stage_name(repo: &Repo, target: &str, cwd: &Path) -> String {
    crate::index::address_of(target, cwd).display(&repo.root)
}

fn is_locked(log: &Path) -> bool {
    File::open(log).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The newest run of every stage that ever ran here, by the names of the stages.
pub fn newest(repo: &Repo) -> Result<Vec<Record>> {
    let root = root_of(repo);
    let mut records = Vec::new();
    for folder in entries(&root)? {
        if let Some(record) = records_in(&folder)?.into_iter().next() {
            records.push(record);
        }
    }
    records.sort_by(|a, b| a.stage.cmp(&b.stage));
    Ok(records)
}

/// The runs of a stage that are kept, the newest first. `stage` is its name as seen from the project's root.
pub fn of_stage(repo: &Repo, stage: &str) -> Result<Vec<Record>> {
    records_in(&folder_of(repo, stage))
}

fn records_in(folder: &Path) -> Result<Vec<Record>> {
    let mut files: Vec<PathBuf> =
        entries(folder)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    Ok(files.iter().rev().filter_map(|path| Record::load(path)).collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(Error::io("read", folder)(error)),
    }
}

/// Leaves room for one more run.
fn forget_old(folder: &Path) {
    let Ok(files) = entries(folder) else { return };
    let mut runs: Vec<PathBuf> = files.iter().map(|path| path.with_extension("")).collect();
    runs.sort();
    runs.dedup();
    let old = runs.len().saturating_sub(KEPT - 1);
    for run in &runs[..old] {
        for ending in ["json", "log"] {
            let _ = fs::remove_file(run.with_extension(ending));
        }
    }
}

fn root_of(repo: &Repo) -> PathBuf {
    repo.state_dir().join("logs")
}

/// Two stages never share a folder: what a file name cannot hold is written as its code, and a name that is too long is
/// cut and gets its digest.
fn folder_of(repo: &Repo, stage: &str) -> PathBuf {
    let mut name = String::new();
    for byte in stage.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'@' | b'.' => {
                name.push(char::from(byte))
            }
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.len() > LONGEST_NAME {
        let digest = Sha256::digest(stage.as_bytes());
        let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        name.truncate(LONGEST_NAME - 17);
        name = format!("{name}%{short}");
    }
    // No stage may be `.` or `..`.
    root_of(repo).join(format!("s-{name}"))
}
