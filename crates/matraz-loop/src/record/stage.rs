//! A stage run: opened when the stage acts, filled when it has ended.

use std::path::Path;
use std::time::SystemTime;

use indexmap::IndexMap;
use matraz_data::cache::Cache;
use matraz_data::stage::{LockEntry, Stage};
use serde_json::{Value as Json, json};

use super::artifacts;
use super::facts::pair;
use super::once;
use super::recorder::{Recorder, Recording};
use super::results::Results;
use super::script::{self, Logged};
use super::write::{self, OpenRun};
use crate::error::Result;
use crate::run::{Run, artifact, tag};

impl Recorder<'_> {
    /// The open run of a stage, which is created when there is none.
    pub(super) fn stage_run(&self, recording: &mut Recording, stage: &Stage) -> Result<OpenRun> {
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

    pub(super) fn script_environment(
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

    pub(super) fn stage_succeeded(
        &self,
        recording: &mut Recording,
        stage: &Stage,
        entry: &LockEntry,
        tags: &[Json],
        log: Option<&Path>,
        origin: Option<&Run>,
    ) -> Result<OpenRun> {
        let run = self.stage_run(recording, stage)?;
        recording.open.remove(&stage.address);
        let mut tags = tags.to_vec();
        let params = write::params(entry);
        let scripts = script::runs_below(&recording.tracker, &recording.experiment_id, &run.id)?;
        let contradictions = script::contradictions(&scripts, &params);
        if !contradictions.is_empty() {
            for line in &contradictions {
                let stage = stage.address.display(&self.repo.root);
                self.progress
                    .warn(&format!("the script of stage {stage} logged a parameter otherwise: {line}"));
            }
            tags.push(pair(tag::PARAM_MISMATCH, &contradictions.join("\n")));
            recording.mismatches.extend(contradictions);
        }
        let mut logged = Logged::below(&run, &scripts);
        origin.into_iter().for_each(|origin| logged.take_over(origin));
        recording.logged.extend(&logged);
        let tracker = &recording.tracker;
        let Results { mut points, plots, .. } =
            self.results(|path| stage.outs.iter().any(|out| path.starts_with(&out.path)))?;
        logged.join(&mut points, &mut tags);
        let (params, points) = script::not_yet_logged(tracker, &run, params, points)?;
        write::log(tracker, &run, &params, &points, &tags)?;
        let rooted = self.rooted(stage, entry);
        let (read, made): (Vec<_>, Vec<_>) = (rooted.deps.iter().collect(), rooted.outs.iter().collect());
        let uncommitted = self.uncommitted(&recording.facts, &read)?;
        write::datasets(tracker, &run.id, &read, &made, &uncommitted)?;
        self.place_outputs(tracker, &run, &made, |_| true)?;
        once::share(tracker, &mut Cache::open(self.repo), &scripts, &made)?;
        self.place_plots(tracker, &run, &plots)?;
        artifacts::text(tracker, &run, artifact::LOCK, &matraz_base::yaml::write(&entry.to_value()))?;
        if let Some(log) = log.filter(|log| log.is_file()) {
            artifacts::file(tracker, &run, artifact::LOG, log)?;
        }
        write::end(tracker, &run, "FINISHED")?;
        Ok(run)
    }

    pub(super) fn stage_failed(
        &self,
        recording: &mut Recording,
        stage: &Stage,
        status: &str,
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
            artifacts::file(&recording.tracker, &run, artifact::LOG, log)?;
        }
        write::end(&recording.tracker, &run, status)?;
        Ok(run)
    }
}
