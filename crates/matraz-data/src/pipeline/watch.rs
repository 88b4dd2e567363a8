//! What the runner tells while it works.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::stage::{LockEntry, Stage};

/// Follows a reproduction; runs are recorded through it. Methods are called from one thread, also when several stages
/// run at once: then the calls for one stage come between those for others.
pub trait Watcher {
    /// The stages that are looked at, in their order.
    fn pipeline_started(&self, _planned: &[&Stage]) {}
    /// The command of a stage is about to run. The pairs go into its environment.
    fn stage_started(&self, _stage: &Stage) -> Vec<(String, String)> {
        Vec::new()
    }
    /// The stage is done with.
    fn stage_ended(&self, _stage: &Stage, _outcome: &Outcome) {}
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watcher for Unwatched {}

/// What became of a stage.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is up to date.
    Unchanged,
    /// It is frozen, and what it made is there.
    Frozen,
    /// Its outputs were brought back instead of being made again.
    Restored {
        /// What the lock file says now.
        entry: LockEntry,
        /// The name of what it read and how it made what it makes.
        run_cache_key: String,
        /// The name of the run that made the outputs.
        run_cache_value: String,
        /// How long that run took, when this machine did it.
        saved: Option<Duration>,
    },
    /// Its command ran.
    Ran {
        /// What the lock file says now.
        entry: LockEntry,
        /// How long the command took.
        wall: Duration,
        /// The largest resident set of a process of the command, in bytes.
        peak_memory: Option<u64>,
        /// When it started.
        started_at: SystemTime,
        /// Where its output is kept.
        log: PathBuf,
        /// The name of this run in the run cache; none when it was not stored there.
        run_cache_value: Option<String>,
    },
    /// It failed.
    Failed {
        /// The exit code of its command, when that is what failed.
        exit_code: Option<i32>,
        /// Where the command's output is kept.
        log: Option<PathBuf>,
        /// How long the command took.
        wall: Duration,
        /// What went wrong.
        message: String,
        /// Whether the user stopped it.
        interrupted: bool,
    },
    /// It would act, were this no dry run.
    Planned,
}
