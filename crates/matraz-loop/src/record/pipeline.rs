//! The pipeline run, completed when the reproduction has ended.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use matraz_data::stage::address::relative;
use matraz_data::stage::{LockEntry, LockedItem};
use serde_json::json;

use super::artifacts;
use super::facts::pair;
use super::recorder::{End, Known, Recorded, Recorder, Recording, Row};
use super::results::Results;
use super::script;
use super::write;
use crate::error::Result;
use crate::run::{artifact, tag};

impl Recorder<'_> {
    pub(super) fn complete(&self, recording: &Recording, stages: &[Known], end: End) -> Result<Recorded> {
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
        let results = self.results(|path| !stale.iter().any(|out| path.starts_with(out)))?;
        self.warn_of_unread(&results);
        let Results { mut points, plots, .. } = results;
        let mut tags = Vec::new();
        let mut logged = script::of_unchanged(tracker, &recording.experiment_id, stages)?;
        logged.extend(&recording.logged);
        logged.join(&mut points, &mut tags);
        if let Some(failed) = stages.iter().find(|known| known.row.status == "failed") {
            tags.push(pair(tag::ERROR, &format!("stage {} failed", failed.name)));
        }
        if !recording.mismatches.is_empty() {
            tags.push(pair(tag::PARAM_MISMATCH, &recording.mismatches.join("\n")));
        }
        write::log(tracker, run, &params, &points, &tags)?;
        let made: Vec<&LockedItem> = entries(current()).flat_map(|entry| &entry.outs).collect();
        let sources: Vec<&LockedItem> = entries(current())
            .flat_map(|entry| &entry.deps)
            .filter(|dep| !made.iter().any(|out| inside(&dep.path, &out.path)))
            .collect();
        let uncommitted = self.uncommitted(&recording.facts, &sources)?;
        write::datasets(tracker, &run.id, &sources, &made, &uncommitted)?;
        self.place_outputs(tracker, run, &made, |path| self.is_model(path))?;
        self.place_plots(tracker, run, &plots)?;
        for lock in lock_files(stages) {
            let name = relative(&lock, &self.repo.root);
            if lock.is_file() {
                artifacts::file(tracker, run, &name, &lock)?;
            }
        }
        let rows: Vec<&Row> = stages.iter().map(|known| &known.row).collect();
        artifacts::text(tracker, run, artifact::STAGES, &json!(rows).to_string())?;
        artifacts::text(tracker, run, artifact::ENVIRONMENT, &json!(recording.environment).to_string())?;
        let status = match end {
            End::Finished => "FINISHED",
            End::Failed => "FAILED",
            End::Interrupted => "KILLED",
        };
        write::end(tracker, run, status)?;
        if let Some(sign) = &recording.sign {
            sign.take_down();
        }
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
