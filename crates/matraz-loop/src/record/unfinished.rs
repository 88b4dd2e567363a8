//! Runs that a killed reproduction left open.
//!
//! A reproduction that records keeps a file under `.dvc/tmp/matraz/recordings` with a lock of the system on it. When
//! the file is there and the lock is not, the process is dead, and its runs are ended as killed.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::facts::pair;
use super::write::milliseconds;
use crate::error::Result;
use crate::run::{self, Run, Runs, tag};
use crate::tracker::{Target, Tracker};

/// What the file says.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// The pipeline run.
    run: String,
    /// The name of its experiment.
    experiment: String,
    /// The store that has the run.
    store: String,
}

/// The sign that a pipeline run is being recorded. It stays when the process is killed.
#[derive(Debug)]
pub(super) struct Sign {
    path: PathBuf,
    _file: File,
}

fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("recordings")
}

impl Sign {
    /// Puts the sign up; `None` where that is impossible, which only costs the tidying up.
    pub fn put(state_dir: &Path, run: &str, experiment: &str, target: &Target) -> Option<Self> {
        let folder = folder(state_dir);
        fs::create_dir_all(&folder).ok()?;
        let path = folder.join(run);
        let file = File::create(&path).ok()?;
        file.try_lock().ok()?;
        let note = Note { run: run.into(), experiment: experiment.into(), store: target.address() };
        fs::write(&path, serde_json::to_string(&note).ok()?).ok()?;
        Some(Self { path, _file: file })
    }

    /// Takes the sign down: the run has ended.
    pub fn take_down(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Ends the runs of reproductions whose process is dead. Returns the ids of the pipeline runs.
pub fn end_unfinished(tracker: &Tracker, target: &Target, state_dir: &Path) -> Result<Vec<String>> {
    let mut ended = Vec::new();
    for entry in fs::read_dir(folder(state_dir)).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(file) = File::open(&path) else { continue };
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            continue;
        }
        let note = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok());
        // A note that cannot be read was being written: its run has no stages yet, and nobody knows its name.
        if let Some(note) = note {
            if note.store != target.address() {
                continue;
            }
            if end(tracker, &note)? {
                ended.push(note.run);
            }
        }
        let _ = fs::remove_file(&path);
    }
    Ok(ended)
}

/// Ends a pipeline run and all that is open below it. Whether it was open.
fn end(tracker: &Tracker, note: &Note) -> Result<bool> {
    let Some(runs) = Runs::of(tracker, &note.experiment)? else { return Ok(false) };
    let pipeline = match run::get(tracker, &note.run) {
        Err(crate::Error::Tracking(error)) if error.is_missing() => return Ok(false),
        found => found?,
    };
    let mut pending = vec![pipeline];
    let mut was_open = false;
    while let Some(run) = pending.pop() {
        let filter = format!("tags.`{}` = '{}'", tag::PARENT, run.id);
        pending.extend(runs.search(&filter, 1000)?);
        was_open |= kill(tracker, &run)? && run.id == note.run;
    }
    Ok(was_open)
}

fn kill(tracker: &Tracker, run: &Run) -> Result<bool> {
    if run.status != "RUNNING" {
        return Ok(false);
    }
    let tags = [pair(tag::ERROR, "the process was killed")];
    tracker.wait(tracker.client().post("runs/log-batch", &json!({"run_id": run.id, "tags": tags})))?;
    let now = milliseconds(SystemTime::now());
    let body = json!({"run_id": run.id, "status": "KILLED", "end_time": now});
    tracker.wait(tracker.client().post("runs/update", &body))?;
    Ok(true)
}
