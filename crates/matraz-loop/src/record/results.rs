//! What lies in the work tree when a stage has ended: metrics, plots and outputs.

use std::path::{Path, PathBuf};

use matraz_data::cache::Cache;
use matraz_data::compare;
use matraz_data::index::Index;
use matraz_data::stage::address::{join, relative};
use matraz_data::stage::{LockEntry, LockedItem, Stage};
use serde_json::json;

use super::artifacts;
use super::plots::{self, Plot};
use super::recorder::Recorder;
use super::write::{self, OpenRun, Point};
use crate::error::Result;
use crate::tracker::Tracker;

/// What a run has to show.
pub(super) struct Results {
    /// Its metrics, the curves of plots among them.
    pub(super) points: Vec<Point>,
    /// Its plots and their files.
    pub(super) plots: Vec<(Plot, PathBuf)>,
    /// Metrics files that cannot be read, and why.
    unread: Vec<(PathBuf, String)>,
}

impl Recorder<'_> {
    /// Says which metrics the run lacks because their file is broken.
    pub(super) fn warn_of_unread(&self, results: &Results) {
        for (path, reason) in &results.unread {
            let path = relative(path, &self.repo.root);
            self.progress.warn(&format!("the run has no metrics of '{path}': {reason}"));
        }
    }

    /// The stages of the project. Pipeline files do not change while they are reproduced, so they are read once.
    pub(super) fn index(&self) -> Result<&Index> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let index = Index::load(self.repo)?;
        Ok(self.index.get_or_init(|| index))
    }

    /// The metrics and plots of the project that lie in the work tree at paths that `wanted` takes.
    pub(super) fn results(&self, wanted: impl Fn(&Path) -> bool) -> Result<Results> {
        let index = self.index()?;
        let mut points = Vec::new();
        let mut unread = Vec::new();
        for file in compare::metrics::load_from(index)? {
            match &file.values {
                _ if !wanted(&file.path) => {}
                Ok(value) => points.extend(write::metrics(value)),
                Err(error) => unread.push((file.path.clone(), error.to_string())),
            }
        }
        let mut found = Vec::new();
        for definition in compare::plots::definitions_from(index, &self.repo.root) {
            for (plot, path) in plots::plots(&definition, &self.repo.root) {
                if wanted(&path) {
                    points.extend(plots::curves(&plot, &path));
                    found.push((plot, path));
                }
            }
        }
        Ok(Results { points, plots: found, unread })
    }

    /// Puts outputs that `wanted` names by path below the run, by link where possible; what would have to be
    /// uploaded is only the model.
    pub(super) fn place_outputs(
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
    pub(super) fn rooted(&self, stage: &Stage, entry: &LockEntry) -> LockEntry {
        let mut entry = entry.clone();
        for item in entry.deps.iter_mut().chain(&mut entry.outs) {
            item.path = relative(&join(&stage.wdir, &item.path), &self.repo.root);
        }
        entry
    }

    pub(super) fn is_model(&self, path: &str) -> bool {
        self.settings.model.as_ref().is_some_and(|model| model.path == path)
    }

    pub(super) fn place_plots(
        &self,
        tracker: &Tracker,
        run: &OpenRun,
        plots: &[(Plot, PathBuf)],
    ) -> Result<()> {
        if plots.is_empty() {
            return Ok(());
        }
        for (plot, path) in plots {
            artifacts::file(tracker, run, &plot.file, path)?;
        }
        let list: Vec<&Plot> = plots.iter().map(|(plot, _)| plot).collect();
        artifacts::text(tracker, run, "matraz/plots.json", &json!(list).to_string())
    }
}
