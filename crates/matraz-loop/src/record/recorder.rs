//! The watcher of a reproduction that writes runs.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use indexmap::IndexMap;
use matraz_base::{Explain, Progress};
use matraz_data::Repo;
use matraz_data::index::Index;
use matraz_data::pipeline::{Outcome, Watcher};
use matraz_data::stage::{Address, LockEntry, LockedItem, Stage};
use serde::Serialize;

use super::artifacts;
use super::committed::Committed;
use super::facts::{Context, Facts, UNCOMMITTED, pair};
use super::script::Logged;
use super::unfinished::{self, Sign};
use super::write::{self, OpenRun};
use crate::environment::Environment;
use crate::error::Result;
use crate::run::{artifact, tag};
use crate::settings::Settings;
use crate::tracker::{SPOOL, Target, Tracker};

/// How many files that are not kept with a run are named.
const MOST_LEFT_OUT: usize = 10;

/// How a reproduction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Every stage is up to date now.
    Finished,
    /// A stage failed.
    Failed,
    /// The user stopped it.
    Interrupted,
}

/// The run that a reproduction left.
#[derive(Clone, Debug, Serialize)]
pub struct Recorded {
    /// The pipeline run's id.
    pub run_id: String,
    /// The pipeline run's name.
    pub run_name: String,
    /// The experiment's name.
    pub experiment: String,
    /// How the reproduction ended.
    pub end: End,
    /// The metrics of the pipeline, in the order of their files.
    pub metrics: IndexMap<String, f64>,
}

/// Writes what the pipeline runner reports as runs of a tracking store.
pub struct Recorder<'r> {
    pub(super) repo: &'r Repo,
    pub(super) settings: &'r Settings,
    pub(super) target: Target,
    pub(super) experiment: String,
    pub(super) context: Context,
    pub(super) progress: &'r dyn Progress,
    pub(super) index: OnceLock<Index>,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    stages: Vec<Known>,
    recording: Option<Recording>,
    /// The store failed; the warning was given, and nothing more is tried.
    lost: bool,
}

/// A stage of the pipeline as far as it is known by now.
pub(super) struct Known {
    pub(super) address: Address,
    pub(super) name: String,
    pub(super) stage: Stage,
    /// With paths that count from the project's root.
    pub(super) entry: Option<LockEntry>,
    pub(super) row: Row,
}

/// A line of `matraz/stages.json`.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Row {
    pub(super) stage: String,
    /// `unchanged`, `ran`, `cached`, `failed`, `frozen` or `waiting`.
    pub(super) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seconds: Option<f64>,
}

pub(super) struct Recording {
    pub(super) tracker: Tracker,
    pub(super) experiment_id: String,
    pub(super) facts: Facts,
    pub(super) pipeline: OpenRun,
    pub(super) open: HashMap<Address, OpenRun>,
    pub(super) environment: Environment,
    /// Parameters that scripts logged otherwise than the files have them.
    pub(super) mismatches: Vec<String>,
    /// Metrics that scripts logged and the pipeline run shows.
    pub(super) logged: Logged,
    pub(super) sign: Option<Sign>,
}

impl<'r> Recorder<'r> {
    /// A recorder that opens the store when the first stage has to act.
    pub fn new(
        repo: &'r Repo,
        settings: &'r Settings,
        target: Target,
        experiment: &str,
        context: Context,
        progress: &'r dyn Progress,
    ) -> Self {
        let experiment = experiment.to_owned();
        Self {
            repo,
            settings,
            target,
            experiment,
            context,
            progress,
            index: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    /// Completes the pipeline run. `None` when nothing had to act, or the store was lost.
    pub fn finish(self, end: End) -> Option<Recorded> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        if state.lost {
            return None;
        }
        let recording = state.recording.as_ref()?;
        match self.complete(recording, &state.stages, end) {
            Ok(recorded) => {
                self.warn_of_waiting(&recording.tracker);
                Some(recorded)
            }
            Err(error) => {
                self.warn(&error);
                None
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what could not be delivered, and how it will be.
    fn warn_of_waiting(&self, tracker: &Tracker) {
        let Some(state) = tracker.settle() else { return };
        if state.refused > 0 {
            let count = state.refused;
            let line = format!("the tracking server refused {count} calls: `matraz sync --dry` shows them");
            self.progress.warn(&line);
        }
        if state.waiting == 0 {
            return;
        }
        let (server, waiting, why) = (self.target.address(), state.waiting, state.away.unwrap_or_default());
        self.progress.warn(&format!(
            "the tracking server {server} is away ({why}): {waiting} calls of this run wait in {SPOOL}; `matraz sync` delivers \
             them, and so does the next `matraz repro`"
        ));
    }

    fn warn(&self, error: &crate::Error) {
        let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        self.progress.warn(&format!("this run is not recorded: {error}{hint}"));
    }

    /// Runs `act` with the recording, which is started when there is none yet; a failure ends all recording.
    fn with<T>(&self, act: impl FnOnce(&Self, &mut State) -> Result<T>) -> Option<T> {
        let mut state = self.state();
        if state.lost {
            return None;
        }
        let done = self.start(&mut state).and_then(|()| act(self, &mut state));
        match done {
            Ok(value) => Some(value),
            Err(error) => {
                state.lost = true;
                self.warn(&error);
                None
            }
        }
    }

    fn start(&self, state: &mut State) -> Result<()> {
        if state.recording.is_some() {
            return Ok(());
        }
        let tracker = Tracker::open_spooled(self.target.clone(), &self.repo.root.join(SPOOL))?;
        // What a killed reproduction left open is no business of this one: a failure is none either.
        let _ = unfinished::end_unfinished(&tracker, &self.target, &self.repo.state_dir());
        let planned: Vec<&Stage> = state.stages.iter().map(|known| &known.stage).collect();
        let facts = Facts::gather(self.repo, &planned);
        let experiment_id = write::experiment(&tracker, &self.experiment)?;
        let mut tags = facts.tags(&self.context);
        tags.push(pair(tag::KIND, "pipeline"));
        let pipeline = write::create(&tracker, &experiment_id, None, SystemTime::now(), tags)?;
        let sign = Sign::put(&self.repo.state_dir(), &pipeline.id, &self.experiment, &self.target);
        self.keep_uncommitted(&tracker, &pipeline, &facts)?;
        state.recording = Some(Recording {
            tracker,
            experiment_id,
            facts,
            pipeline,
            open: HashMap::new(),
            environment: Environment::of_project(&self.repo.root),
            mismatches: Vec::new(),
            logged: Logged::default(),
            sign,
        });
        Ok(())
    }

    /// Keeps the code that no commit has with the run, but for what must not leave the machine.
    fn keep_uncommitted(&self, tracker: &Tracker, run: &OpenRun, facts: &Facts) -> Result<()> {
        let mut left_out = facts.untracked.left_out.clone();
        match facts.patch() {
            Ok("") => {}
            Ok(patch) => artifacts::text(tracker, run, artifact::DIFF, patch)?,
            Err(why) => left_out.push((UNCOMMITTED.into(), why)),
        }
        for (name, path) in &facts.untracked.files {
            artifacts::file(tracker, run, &format!("{}/{name}", artifact::UNTRACKED), path)?;
        }
        let named = left_out.iter().take(MOST_LEFT_OUT).map(|(name, why)| format!("{name}: {why}"));
        let mut lines: Vec<String> = named.collect();
        if left_out.len() > MOST_LEFT_OUT {
            lines.push(format!("{} more files", left_out.len() - MOST_LEFT_OUT));
        }
        for line in &lines {
            self.progress.warn(&format!("not kept with the run: {line}"));
        }
        if lines.is_empty() {
            return Ok(());
        }
        write::log(tracker, run, &IndexMap::new(), &[], &[pair(tag::WITHHELD, &lines.join("\n"))])
    }

    /// Those of the data that a stage or the pipeline read which the commit does not have.
    pub(super) fn uncommitted(&self, facts: &Facts, read: &[&LockedItem]) -> Result<Vec<String>> {
        let Some(commit) = &facts.commit else { return Ok(Vec::new()) };
        let index = self.index()?;
        let mut committed = Committed::default();
        let lacks =
            |item: &&&LockedItem| !committed.has(self.repo, index, commit, item, |path| facts.changed(path));
        Ok(read.iter().filter(lacks).map(|item| item.path.clone()).collect())
    }
}

impl Watcher for Recorder<'_> {
    fn pipeline_started(&self, planned: &[&Stage]) {
        let known = |stage: &&Stage| {
            let name = stage.address.display(&self.repo.root);
            Known {
                address: stage.address.clone(),
                row: Row { stage: name.clone(), status: "waiting", ..Row::default() },
                name,
                stage: (*stage).clone(),
                entry: stage.lock.as_ref().map(|entry| self.rooted(stage, entry)),
            }
        };
        self.state().stages = planned.iter().filter(|stage| stage.cmd.is_some()).map(known).collect();
    }

    fn stage_started(&self, stage: &Stage) -> Vec<(String, String)> {
        let environment = self.with(|this, state| {
            let Some(recording) = state.recording.as_mut() else { return Ok(Vec::new()) };
            let run = this.stage_run(recording, stage)?;
            let commands = stage.cmd.as_ref().map(matraz_data::stage::Cmd::lines).unwrap_or_default();
            let search = this.context.search_path.as_deref();
            recording.environment.add_python(&commands, &stage.wdir, search);
            this.script_environment(recording, stage, &run)
        });
        environment.unwrap_or_default()
    }

    fn stage_ended(&self, stage: &Stage, outcome: &Outcome) {
        let seconds = |time: &Duration| (time.as_secs_f64() * 1000.0).round() / 1000.0;
        match outcome {
            Outcome::Unchanged => self.note(stage, "unchanged", None, None, None),
            Outcome::Frozen => self.note(stage, "frozen", None, None, None),
            Outcome::Planned => {}
            Outcome::Ran { entry, wall, peak_memory, log, run_cache_value, .. } => {
                let mut tags = vec![pair(tag::WALL_SECONDS, &seconds(wall).to_string())];
                if let Some(bytes) = peak_memory {
                    tags.push(pair(tag::PEAK_MEMORY, &bytes.to_string()));
                }
                if let Some(value) = run_cache_value {
                    tags.push(pair(tag::RUN_CACHE, value));
                }
                let run = self.with(|this, state| {
                    let Some(recording) = state.recording.as_mut() else { return Ok(None) };
                    this.stage_succeeded(recording, stage, entry, &tags, Some(log), None).map(Some)
                });
                self.note(stage, "ran", Some(entry), run.flatten(), Some(seconds(wall)));
            }
            Outcome::Restored { entry, run_cache_value, saved, .. } => {
                let run = self.with(|this, state| {
                    let Some(recording) = state.recording.as_mut() else { return Ok(None) };
                    let mut tags = vec![pair(tag::CACHED, "true"), pair(tag::RUN_CACHE, run_cache_value)];
                    let origin =
                        write::origin(&recording.tracker, &recording.experiment_id, run_cache_value)?;
                    if let Some(origin) = &origin {
                        if let Some(cost) = origin.tag(tag::WALL_SECONDS) {
                            tags.push(pair(tag::CACHED_SAVED, cost));
                        }
                        tags.push(pair(tag::CACHED_FROM, &origin.id));
                    }
                    this.stage_succeeded(recording, stage, entry, &tags, None, origin.as_ref()).map(Some)
                });
                self.note(stage, "cached", Some(entry), run.flatten(), saved.as_ref().map(seconds));
            }
            Outcome::Failed { exit_code, log, wall, message, interrupted } => {
                let status = if *interrupted { "KILLED" } else { "FAILED" };
                let run = self.with(|this, state| {
                    let Some(recording) = state.recording.as_mut() else { return Ok(None) };
                    this.stage_failed(recording, stage, status, *exit_code, message, log.as_deref()).map(Some)
                });
                self.note(stage, "failed", None, run.flatten(), Some(seconds(wall)));
            }
        }
    }
}

impl Recorder<'_> {
    fn note(
        &self,
        stage: &Stage,
        status: &'static str,
        entry: Option<&LockEntry>,
        run: Option<OpenRun>,
        seconds: Option<f64>,
    ) {
        let mut state = self.state();
        let Some(known) = state.stages.iter_mut().find(|known| known.address == stage.address) else {
            return;
        };
        known.row.status = status;
        known.row.run_id = run.map(|run| run.id);
        known.row.seconds = seconds;
        if let Some(entry) = entry {
            known.entry = Some(self.rooted(stage, entry));
        }
    }
}
