//! Outputs that need not be made anew: from the cache, by the run cache, or from a remote.

use std::path::{Path, PathBuf};

use super::changes;
use super::run::Runner;
use super::run_cache::{self, RunCache};
use crate::Result;
use crate::checkout::{self, Wanted};
use crate::remote::fetch;
use crate::stage::{Output, Stage};

impl Runner<'_> {
    /// Brings the outputs of an otherwise unchanged stage from the remote.
    pub fn bring_back(&mut self, n: usize) -> Result<bool> {
        self.progress.say(&format!("Pulling data for {}", self.title(n)));
        let outs: Vec<Output> = self.stages[n].outs.iter().filter(|out| out.cache).cloned().collect();
        let here = self.fetch(&outs)? && self.put_back(&outs)?;
        if !here {
            self.progress.say(&format!("Unable to pull data for {}", self.title(n)));
        }
        Ok(here)
    }

    /// Copies what outputs consist of from the remote into the cache. Whether the cache has all of it now.
    fn fetch(&mut self, outs: &[Output]) -> Result<bool> {
        let outs: Vec<&Output> = outs.iter().collect();
        let report = fetch::fetch_outputs(self.repo, &mut self.cache, &outs, self.progress, self.interrupt)?;
        Ok(report.missing.is_empty() && report.failed.is_empty())
    }

    /// Puts outputs from the cache into the workspace. Whether all of them are there now.
    fn put_back(&mut self, outs: &[Output]) -> Result<bool> {
        let wanted: Vec<Wanted<'_>> = outs.iter().map(Wanted::whole).collect();
        let options = checkout::Options { force: true, relink: false };
        let stop = self.interrupt.flag();
        let report = checkout::checkout(self.repo, &mut self.cache, &wanted, options, self.progress, stop)?;
        for out in outs {
            self.contents.forget(&out.path);
        }
        Ok(report.failed.is_empty())
    }

    /// Brings dependencies that are not there from the remote.
    pub fn pull_missing_deps(&mut self, n: usize) -> Result<()> {
        let local = self.stages[n].deps.iter().filter(|dep| dep.source == crate::stage::Source::Local);
        let missing: Vec<PathBuf> =
            local.filter(|dep| !dep.path.exists()).map(|dep| dep.path.clone()).collect();
        for path in missing {
            let mut outs = self.stages.iter().flat_map(|stage| &stage.outs);
            let maker = outs.find(|out| out.cache && out.digest.is_some() && path.starts_with(&out.path));
            if let Some(out) = maker.cloned() {
                let outs = [out];
                self.fetch(&outs)?;
                self.put_back(&outs)?;
            }
        }
        Ok(())
    }

    /// Brings back what an equal run made. `before` is the stage with what was recorded of it. Returns the names of the
    /// run.
    pub fn restore(&mut self, n: usize, before: &Stage, name: &str) -> Result<Option<(String, String)>> {
        if !RunCache::knows(self.repo, &self.stages[n]) {
            return Ok(None);
        }
        let recorded = !changes::command_changed(before)
            && before.outs.iter().all(|out| out.digest.is_some())
            && changes::deps(self.repo, before, &mut self.contents)?.is_empty()
            && changes::params_of(before)?.is_empty();
        let entry = changes::entry_of(&self.stages[n]);
        let key = run_cache::key_of(&entry);
        let entry = if recorded {
            entry
        } else {
            if !self.options.run_cache {
                return Ok(None);
            }
            let progress = self.progress;
            let mut warn =
                |path: &Path| progress.warn(&format!("corrupted cache file '{}'.", path.display()));
            match self.run_cache.find(&key, &mut warn)? {
                Some(found) => found.entry,
                None => return Ok(None),
            }
        };
        // Outputs that git keeps were stored by the run too, so that they can be brought back.
        let mut outs: Vec<Output> = Vec::new();
        for out in &self.stages[n].outs {
            let Some(locked) = entry.outs.iter().find(|locked| locked.path == out.def_path) else {
                return Ok(None);
            };
            outs.push(Output {
                digest: locked.digest,
                meta: locked.meta.clone(),
                legacy: locked.legacy,
                cache: true,
                ..out.clone()
            });
        }
        if self.options.pull
            && let Err(error) = self.fetch(&outs)
        {
            // What cannot be had is made again.
            self.progress.warn(&error.to_string());
        }
        let present = super::content::in_cache(
            self.repo,
            &mut self.cache,
            &outs.iter().collect::<Vec<_>>(),
            None,
            self.interrupt,
        )?;
        if !present.iter().all(|present| *present) {
            return Ok(None);
        }
        self.progress.say(&format!("Stage '{name}' is cached - skipping run, checking out outputs"));
        if !self.put_back(&outs)? {
            return Ok(None);
        }
        Ok(Some((key, run_cache::value_of(&entry))))
    }
}
