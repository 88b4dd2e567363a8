//! The watcher of a reproduction that writes runs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use indexmap::IndexMap;
use matraz_base::{Explain, Progress};
use matraz_data::cache::Cache;
use matraz_data::index::Index;
use matraz_data::pipeline::{Outcome, Watcher};
use matraz_data::stage::address::{join, relative};
use matraz_data::stage::{Address, LockEntry, LockedItem, Stage};
use matraz_data::{Repo, compare};
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::artifacts;
use super::facts::{Context, Facts, pair};
use super::plots::{self, Plot};
use super::write::{self, OpenRun, Point};
use crate::error::Result;
use crate::run::tag;
use crate::settings::Settings;
use crate::tracker::{Target, Tracker};

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
    repo: &'r Repo,
    settings: &'r Settings,
    target: Target,
    experiment: String,
    context: Context,
    progress: &'r dyn Progress,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stages: Vec<Known>,
    recording: Option<Recording>,
    /// The store failed; the warning was given, and nothing more is tried.
    lost: bool,
}

/// A stage of the pipeline as far as it is known by now.
struct Known {
    address: Address,
    name: String,
    stage: Stage,
    /// With paths that count from the project's root.
    entry: Option<LockEntry>,
    row: Row,
}

/// A line of `matraz/stages.json`.
#[derive(Clone, Debug, Default, Serialize)]
struct Row {
    stage: String,
    /// `unchanged`, `ran`, `cached`, `failed`, `frozen` or `waiting`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
}

struct Recording {
    tracker: Tracker,
    experiment_id: String,
    facts: Facts,
    pipeline: OpenRun,
    open: HashMap<Address, OpenRun>,
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
        Self { repo, settings, target, experiment, context, progress, state: Mutex::default() }
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
            Ok(recorded) => Some(recorded),
            Err(error) => {
                self.warn(&error);
                None
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        let tracker = Tracker::open(self.target.clone())?;
        let facts = Facts::gather(self.repo);
        let experiment_id = write::experiment(&tracker, &self.experiment)?;
        let mut tags = facts.tags(&self.context);
        tags.push(pair(tag::KIND, "pipeline"));
        let pipeline = write::create(&tracker, &experiment_id, None, SystemTime::now(), tags)?;
        if !facts.diff.is_empty() {
            artifacts::text(&tracker, &pipeline, "matraz/uncommitted.diff", &facts.diff)?;
        }
        state.recording = Some(Recording { tracker, experiment_id, facts, pipeline, open: HashMap::new() });
        Ok(())
    }

    /// The open run of a stage, which is created when there is none.
    fn stage_run(&self, recording: &mut Recording, stage: &Stage) -> Result<OpenRun> {
        if let Some(run) = recording.open.get(&stage.address) {
            return Ok(run.clone());
        }
        let name = stage.address.display(&self.repo.root);
        let mut tags = recording.facts.tags(&self.context);
        tags.push(pair(tag::KIND, "stage"));
        tags.push(pair(tag::STAGE, &name));
        tags.push(pair(tag::PARENT, &recording.pipeline.id));
        let run = write::create(
            &recording.tracker,
            &recording.experiment_id,
            Some(&name),
            SystemTime::now(),
            tags,
        )?;
        recording.open.insert(stage.address.clone(), run.clone());
        Ok(run)
    }

    fn script_environment(
        &self,
        recording: &Recording,
        stage: &Stage,
        run: &OpenRun,
    ) -> Result<Vec<(String, String)>> {
        let context = json!({
            tag::PARENT: run.id,
            tag::STAGE: stage.address.display(&self.repo.root),
            tag::KIND: "script",
        });
        Ok(vec![
            ("MLFLOW_TRACKING_URI".into(), recording.tracker.address()?.to_owned()),
            ("MLFLOW_EXPERIMENT_NAME".into(), self.experiment.clone()),
            ("MLFLOW_RUN_CONTEXT".into(), context.to_string()),
        ])
    }

    fn stage_succeeded(
        &self,
        recording: &mut Recording,
        stage: &Stage,
        entry: &LockEntry,
        tags: &[Json],
        log: Option<&Path>,
    ) -> Result<OpenRun> {
        let run = self.stage_run(recording, stage)?;
        recording.open.remove(&stage.address);
        let tracker = &recording.tracker;
        let (points, plots) =
            self.results(|path| stage.outs.iter().any(|out| path.starts_with(&out.path)))?;
        write::log(tracker, &run, &write::params(entry), &points, tags)?;
        let rooted = self.rooted(stage, entry);
        let (read, made): (Vec<_>, Vec<_>) = (rooted.deps.iter().collect(), rooted.outs.iter().collect());
        write::datasets(tracker, &run, &read, &made)?;
        self.place_outputs(tracker, &run, &made, |_| true)?;
        self.place_plots(tracker, &run, &plots)?;
        artifacts::text(tracker, &run, "matraz/lock.yaml", &matraz_base::yaml::write(&entry.to_value()))?;
        if let Some(log) = log.filter(|log| log.is_file()) {
            artifacts::file(tracker, &run, "matraz/stage.log", log)?;
        }
        write::end(tracker, &run, "FINISHED")?;
        Ok(run)
    }

    fn stage_failed(
        &self,
        recording: &mut Recording,
        stage: &Stage,
        exit_code: Option<i32>,
        message: &str,
        log: Option<&Path>,
    ) -> Result<OpenRun> {
        let run = self.stage_run(recording, stage)?;
        recording.open.remove(&stage.address);
        let mut tags = vec![pair(tag::ERROR, message)];
        if let Some(code) = exit_code {
            tags.push(pair(tag::EXIT_CODE, &code.to_string()));
        }
        write::log(&recording.tracker, &run, &IndexMap::new(), &[], &tags)?;
        if let Some(log) = log.filter(|log| log.is_file()) {
            artifacts::file(&recording.tracker, &run, "matraz/stage.log", log)?;
        }
        write::end(&recording.tracker, &run, "FAILED")?;
        Ok(run)
    }

    /// The metrics and plots of the project that lie in the work tree at paths that `wanted` takes.
    fn results(&self, wanted: impl Fn(&Path) -> bool) -> Result<(Vec<Point>, Vec<(Plot, PathBuf)>)> {
        let index = Index::load(self.repo)?;
        let mut points = Vec::new();
        for file in compare::metrics::load_from(&index)? {
            if let (true, Ok(value)) = (wanted(&file.path), &file.values) {
                points.extend(write::metrics(value));
            }
        }
        let mut found = Vec::new();
        for definition in compare::plots::definitions_from(&index, &self.repo.root) {
            for (plot, path) in plots::plots(&definition, &self.repo.root) {
                if wanted(&path) {
                    points.extend(plots::curves(&plot, &path));
                    found.push((plot, path));
                }
            }
        }
        Ok((points, found))
    }

    /// Puts outputs that `wanted` names by path below the run, by link where possible; what would have to be
    /// uploaded is only the model.
    fn place_outputs(
        &self,
        tracker: &Tracker,
        run: &OpenRun,
        made: &[&LockedItem],
        wanted: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let mut cache = Cache::open(self.repo);
        for item in made.iter().filter(|item| wanted(&item.path)) {
            if !artifacts::link(tracker, run, &mut cache, item)? && self.is_model(&item.path) {
                artifacts::upload_tree(tracker, run, &item.path, &self.repo.root.join(&item.path))?;
            }
        }
        Ok(())
    }

    /// The entry with paths that count from the project's root instead of the stage's own folder.
    fn rooted(&self, stage: &Stage, entry: &LockEntry) -> LockEntry {
        let mut entry = entry.clone();
        for item in entry.deps.iter_mut().chain(&mut entry.outs) {
            item.path = relative(&join(&stage.wdir, &item.path), &self.repo.root);
        }
        entry
    }

    fn is_model(&self, path: &str) -> bool {
        self.settings.model.as_ref().is_some_and(|model| model.path == path)
    }

    fn place_plots(&self, tracker: &Tracker, run: &OpenRun, plots: &[(Plot, PathBuf)]) -> Result<()> {
        if plots.is_empty() {
            return Ok(());
        }
        for (plot, path) in plots {
            artifacts::file(tracker, run, &plot.file, path)?;
        }
        let list: Vec<&Plot> = plots.iter().map(|(plot, _)| plot).collect();
        artifacts::text(tracker, run, "matraz/plots.json", &json!(list).to_string())
    }

    fn complete(&self, recording: &Recording, stages: &[Known], end: End) -> Result<Recorded> {
        let (tracker, run) = (&recording.tracker, &recording.pipeline);
        for open in recording.open.values() {
            write::end(tracker, open, if end == End::Interrupted { "KILLED" } else { "FAILED" })?;
        }
        let current = || stages.iter().filter(|known| known.is_current());
        let mut params = IndexMap::new();
        for known in current() {
            params.extend(known.entry.as_ref().map(write::params).unwrap_or_default());
        }
        // What an unfinished stage left in the work tree is not a result.
        let stale: Vec<&Path> = stages
            .iter()
            .filter(|known| !known.is_current())
            .flat_map(|known| known.stage.outs.iter().map(|out| out.path.as_path()))
            .collect();
        let (points, plots) = self.results(|path| !stale.iter().any(|out| path.starts_with(out)))?;
        let mut tags = Vec::new();
        if let Some(failed) = stages.iter().find(|known| known.row.status == "failed") {
            tags.push(pair(tag::ERROR, &format!("stage {} failed", failed.name)));
        }
        write::log(tracker, run, &params, &points, &tags)?;
        let made: Vec<&LockedItem> = entries(current()).flat_map(|entry| &entry.outs).collect();
        let sources: Vec<&LockedItem> = entries(current())
            .flat_map(|entry| &entry.deps)
            .filter(|dep| !made.iter().any(|out| inside(&dep.path, &out.path)))
            .collect();
        write::datasets(tracker, run, &sources, &made)?;
        self.place_outputs(tracker, run, &made, |path| self.is_model(path))?;
        self.place_plots(tracker, run, &plots)?;
        for lock in lock_files(stages) {
            let name = relative(&lock, &self.repo.root);
            if lock.is_file() {
                artifacts::file(tracker, run, &name, &lock)?;
            }
        }
        let rows: Vec<&Row> = stages.iter().map(|known| &known.row).collect();
        artifacts::text(tracker, run, "matraz/stages.json", &json!(rows).to_string())?;
        let status = match end {
            End::Finished => "FINISHED",
            End::Failed => "FAILED",
            End::Interrupted => "KILLED",
        };
        write::end(tracker, run, status)?;
        let metrics =
            points.into_iter().filter(|point| point.step == 0).map(|point| (point.key, point.value));
        Ok(Recorded {
            run_id: run.id.clone(),
            run_name: run.name.clone(),
            experiment: self.experiment.clone(),
            end,
            metrics: metrics.collect(),
        })
    }
}

impl Known {
    /// Whether what lies in the work tree is what the stage made.
    fn is_current(&self) -> bool {
        matches!(self.row.status, "unchanged" | "ran" | "cached" | "frozen")
    }
}

fn entries<'k>(stages: impl Iterator<Item = &'k Known>) -> impl Iterator<Item = &'k LockEntry> {
    stages.filter_map(|known| known.entry.as_ref())
}

/// Whether `path` is `folder` or lies below it, or the reverse.
fn inside(path: &str, folder: &str) -> bool {
    let below =
        |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below(path, folder) || below(folder, path)
}

fn lock_files(stages: &[Known]) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        stages.iter().map(|known| known.address.folder().join(matraz_data::stage::LOCK_FILE)).collect();
    files.sort();
    files.dedup();
    files
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
                    this.stage_succeeded(recording, stage, entry, &tags, Some(log)).map(Some)
                });
                self.note(stage, "ran", Some(entry), run.flatten(), Some(seconds(wall)));
            }
            Outcome::Restored { entry, run_cache_value, saved, .. } => {
                let run = self.with(|this, state| {
                    let Some(recording) = state.recording.as_mut() else { return Ok(None) };
                    let mut tags = vec![pair(tag::CACHED, "true"), pair(tag::RUN_CACHE, run_cache_value)];
                    let origin =
                        write::origin(&recording.tracker, &recording.experiment_id, run_cache_value)?;
                    if let Some(origin) = origin {
                        let saved_there = crate::run::get(&recording.tracker, &origin)?;
                        if let Some(cost) = saved_there.tag(tag::WALL_SECONDS) {
                            tags.push(pair(tag::CACHED_SAVED, cost));
                        }
                        tags.push(pair(tag::CACHED_FROM, &origin));
                    }
                    this.stage_succeeded(recording, stage, entry, &tags, None).map(Some)
                });
                self.note(stage, "cached", Some(entry), run.flatten(), saved.as_ref().map(seconds));
            }
            Outcome::Failed { exit_code, log, wall, message } => {
                let run = self.with(|this, state| {
                    let Some(recording) = state.recording.as_mut() else { return Ok(None) };
                    this.stage_failed(recording, stage, *exit_code, message, log.as_deref()).map(Some)
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
