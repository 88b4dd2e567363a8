//! One stage of a reproduction: whether it must act, its outputs from the cache, its command, and what is kept of it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::time::Duration;

use matraz_base::lock::PathLocks;
use matraz_base::{Explain, Kind};

use super::changes::{self, ParamsChange, Updates};
use super::command::{Failed, Job, JobEnd, Ran};
use super::logs::RunLog;
use super::removal;
use super::run::Runner;
use super::save;
use super::watch::Outcome;
use crate::source::{import, update};
use crate::stage::{LockFile, dot_dvc};
use crate::workspace::Change;
use crate::{Error, Result};

/// What looking at a stage came to.
pub(super) enum Look {
    /// Its outputs are there.
    Done(Done),
    /// Its command must run.
    MustRun,
}

/// What starting a stage came to.
pub(super) enum Start<'r> {
    /// Another process has made its outputs in the meantime.
    Done(Done),
    /// Its command, and the paths that are its own for as long as this lives.
    Job(Box<Job<'r>>, PathLocks),
}

/// How a stage came to have its outputs.
pub(super) enum Done {
    Unchanged,
    Frozen,
    Data,
    Restored { key: String, value: String },
    Ran(Ran, Option<String>),
    Planned,
}

impl<'r> Runner<'r> {
    /// The stage as the user names it.
    pub fn name(&self, n: usize) -> String {
        self.stages[n].address.display(&self.options.request.cwd)
    }

    /// Whether stage `n` must act; does all of it but running its command.
    pub fn look(&mut self, step: usize, n: usize, force: bool, needs: &[usize]) -> Result<Look, Box<Failed>> {
        let name = self.name(n);
        if self.stages[n].frozen && !self.stages[n].is_import() {
            self.progress.warn(&format!(
                "{} is frozen. Its dependencies are not going to be reproduced.",
                self.title(n)
            ));
        }
        if !force {
            let allow_missing = self.options.allow_missing;
            if !self.is_changed(n, allow_missing, needs)? {
                return Ok(Look::Done(self.skip(n, &name)));
            }
            if self.options.pull
                && !self.options.dry
                && !self.is_changed(n, true, needs)?
                && self.bring_back(n)?
            {
                return Ok(Look::Done(Done::Unchanged));
            }
        }
        if let Some(confirm) = self.options.confirm
            && !confirm(&format!("Going to reproduce {}. Are you sure you want to continue?", self.title(n)))
        {
            return Err(Box::from(Error::Declined));
        }
        let stage = &self.stages[n];
        if stage.is_import() && (!stage.frozen || stage.outs[0].digest.is_none()) {
            return Ok(Look::Done(self.import_again(n)?));
        }
        if stage.frozen || stage.cmd.is_none() {
            return Ok(Look::Done(self.verify(step, n)?));
        }
        self.make_ready(step, n, force, needs, &name)
    }

    /// A stage that must act: brings its outputs back when an equal run made them, else it must run.
    fn make_ready(
        &mut self,
        step: usize,
        n: usize,
        force: bool,
        needs: &[usize],
        name: &str,
    ) -> Result<Look, Box<Failed>> {
        save::refuse_foreign_outs(self.repo, &self.stages[n], name)?;
        if self.options.dry {
            if !force {
                changes::require_params(&self.stages[n])?;
            }
            self.announce(name);
            for line in self.stages[n].cmd.iter().flat_map(|cmd| cmd.lines()) {
                self.progress.say(&format!("> {line}"));
            }
            return Ok(Look::Done(Done::Planned));
        }
        let (paths, waited) = self.lock.enter(&self.stages[n])?;
        if waited && self.is_done_by_another(n, force, needs)? {
            return Ok(Look::Done(self.skip(n, name)));
        }
        if !force && self.options.pull {
            self.pull_missing_deps(n)?;
        }
        // A forced command runs whatever there is; what it read is looked at afterwards. Only a parameters file that
        // nobody can read would waste the run.
        if force {
            for file in &self.stages[n].params {
                changes::read_params(file)?;
            }
            self.ready = Some((step, paths));
            return Ok(Look::MustRun);
        }
        let before = self.stages[n].clone();
        let missing = changes::refresh_deps(self.repo, &mut self.stages[n], &mut self.contents);
        if self.options.fail_as_dvc && missing.as_ref().map_or(true, |missing| !missing.is_empty()) {
            removal::remove_outs(&before)?;
            self.contents.forget_all();
        }
        let missing = missing?;
        if !missing.is_empty() {
            self.stages[n] = before;
            return Err(Box::from(Error::MissingDependency { stage: name.to_owned(), paths: missing }));
        }
        if let Some((key, value)) = self.restore(n, &before, name)? {
            save::save(self, step, n)?;
            return Ok(Look::Done(Done::Restored { key, value }));
        }
        self.ready = Some((step, paths));
        Ok(Look::MustRun)
    }

    /// After a wait for another process: whether that one has made what stage `n` makes.
    fn is_done_by_another(&mut self, n: usize, force: bool, needs: &[usize]) -> Result<bool> {
        self.contents.forget_all();
        let mut files: HashMap<PathBuf, LockFile> = HashMap::new();
        for stage in self.stages.iter_mut().filter(|stage| stage.address.name.is_some()) {
            let file = match files.entry(stage.address.file.clone()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(LockFile::beside(&stage.address.file)?),
            };
            file.fill(stage);
        }
        Ok(!force && !self.is_changed(n, self.options.allow_missing, needs)?)
    }

    /// Makes ready all that the command of stage `n` needs, and removes what it is going to make.
    pub fn start(
        &mut self,
        step: usize,
        n: usize,
        force: bool,
        needs: &[usize],
    ) -> Result<Start<'r>, Box<Failed>> {
        let name = self.name(n);
        let (paths, waited) = match self.ready.take() {
            Some((ready, paths)) if ready == step => (paths, false),
            _ => self.lock.enter(&self.stages[n])?,
        };
        if waited && self.is_done_by_another(n, force, needs)? {
            return Ok(Start::Done(self.skip(n, &name)));
        }
        let started = self.watcher.stage_started(&self.stages[n]);
        removal::remove_outs(&self.stages[n])?;
        let stage = self.stages[n].clone();
        let cmd = stage.cmd.iter().flat_map(|cmd| cmd.lines()).map(str::to_owned).collect();
        let log = RunLog::start(self.repo, &stage.address.display(&self.repo.root), cmd, &self.nursery)?;
        self.announce(&name);
        let job = Job {
            step,
            stage,
            name,
            shell: &self.options.shell,
            env: self.options.env.iter().cloned().chain(started).collect(),
            log,
            shared_terminal: self.jobs > 1,
            show: self.options.show,
            progress: self.progress,
            interrupt: self.interrupt,
        };
        Ok(Start::Job(Box::new(job), paths))
    }

    /// Records what a stage made whose command has ended. `locked` says whether the project's lock is held again.
    pub fn finish(
        &mut self,
        n: usize,
        step: usize,
        end: JobEnd,
        locked: Result<()>,
    ) -> Result<Done, Box<Failed>> {
        let JobEnd { log, ran, result, .. } = end;
        let saved = result.and(locked).and_then(|()| save::save(self, step, n));
        log.end(&ran, saved.as_ref().err());
        match saved {
            Ok(value) => {
                if let Some(value) = &value {
                    self.run_cache.note_duration(value, ran.wall);
                }
                Ok(Done::Ran(ran, value))
            }
            Err(error) => Err(Box::new(Failed { error, ran: Some(ran) })),
        }
    }

    pub fn title(&self, n: usize) -> String {
        let stage = &self.stages[n];
        format!("stage: '{}'", stage.address.display(&self.options.request.cwd))
    }

    fn skip(&self, n: usize, name: &str) -> Done {
        let stage = &self.stages[n];
        if stage.is_data() {
            self.progress.say(&format!("'{name}' didn't change, skipping"));
        } else {
            self.progress.say(&format!("Stage '{name}' didn't change, skipping"));
        }
        Done::Unchanged
    }

    /// DVC's order: the command, then what it reads, then what it makes.
    fn is_changed(&mut self, n: usize, allow_missing: bool, needs: &[usize]) -> Result<bool> {
        let stage = &self.stages[n];
        let contents = &mut self.contents;
        let updates = Updates::Thawed;
        let found =
            changes::of_stages(self.repo, &mut self.cache, &[stage], contents, updates, self.interrupt)?;
        let Some(found) = found.into_iter().next() else { return Ok(false) };
        if found.command || found.update.is_some() || (found.always && !stage.frozen) {
            return Ok(true);
        }
        if !allow_missing {
            return Ok(!(found.deps.is_empty() && found.params.is_empty() && found.outs.is_empty()));
        }
        let dep_counts =
            |(path, change): &(PathBuf, Change)| *change != Change::Deleted || self.made_anew(n, path, needs);
        let params_count =
            |(_, change): &(PathBuf, ParamsChange)| *change != ParamsChange::File(Change::Deleted);
        let out_counts =
            |(_, change): &(PathBuf, Change)| !matches!(change, Change::NotInCache | Change::Deleted);
        Ok(found.deps.iter().any(dep_counts)
            || found.params.iter().any(params_count)
            || found.outs.iter().any(out_counts))
    }

    /// Whether a stage that this one needs makes `path` with other content than this one knows.
    fn made_anew(&self, n: usize, path: &Path, needs: &[usize]) -> bool {
        let known = self.stages[n].deps.iter().find(|dep| dep.path == path).and_then(|dep| dep.digest);
        let mut outs = needs.iter().flat_map(|&n| &self.stages[n].outs);
        outs.any(|out| out.path == path && out.digest != known)
    }

    /// A stage without a command, or a frozen one: what is there now is what it made.
    fn verify(&mut self, step: usize, n: usize) -> Result<Done> {
        let stage = &self.stages[n];
        let frozen = stage.frozen;
        if !self.options.dry {
            let what = if frozen { "outputs in frozen" } else { "data sources in" };
            self.progress.say(&format!("Verifying {what} {}", self.title(n)));
            let missing: Vec<String> =
                stage.outs.iter().filter(|out| !out.path.exists()).map(|out| out.def_path.clone()).collect();
            if !missing.is_empty() && !self.options.allow_missing {
                let stage = stage.address.display(&self.options.request.cwd);
                return Err(Error::MissingData { stage, paths: missing });
            }
            save::save(self, step, n)?;
        }
        Ok(if frozen { Done::Frozen } else { Done::Data })
    }

    /// Brings the data of an import to what its source is now.
    fn import_again(&mut self, n: usize) -> Result<Done> {
        let cwd = &self.options.request.cwd;
        let stage = &mut self.stages[n];
        if !self.options.dry {
            let outs = std::iter::once(stage.outs[0].path.as_path());
            let _paths = self.repo.lock_paths("repro", outs, self.interrupt.flag())?;
            update::rerun(self.repo, stage, cwd, self.progress, self.interrupt)?;
            self.contents.forget(&stage.outs[0].path);
            if dot_dvc::save(stage)? {
                self.report.to_track.push(stage.address.file.clone());
            }
        } else {
            import::say(self.repo, self.progress, stage, cwd);
        }
        Ok(Done::Data)
    }

    fn announce(&self, name: &str) {
        self.progress.say(&format!("Running stage '{name}':"));
    }

    /// Tells the watcher what became of a stage.
    pub fn tell(&self, n: usize, done: &Done) {
        let stage = &self.stages[n];
        let entry = || stage.lock.clone().unwrap_or_default();
        let outcome = match done {
            Done::Unchanged if stage.frozen => Outcome::Frozen,
            Done::Unchanged => Outcome::Unchanged,
            Done::Frozen => Outcome::Frozen,
            Done::Data => return,
            Done::Restored { key, value } => Outcome::Restored {
                entry: entry(),
                run_cache_key: key.clone(),
                run_cache_value: value.clone(),
                saved: self.run_cache.duration(value),
            },
            Done::Ran(ran, value) => Outcome::Ran {
                entry: entry(),
                wall: ran.wall,
                peak_memory: ran.peak_memory,
                started_at: ran.started_at,
                log: ran.log.clone(),
                run_cache_value: value.clone(),
            },
            Done::Planned => Outcome::Planned,
        };
        self.watcher.stage_ended(stage, &outcome);
    }

    /// Tells the watcher that a stage failed.
    pub fn tell_failure(&self, n: usize, error: &Error, ran: Option<&Ran>) {
        let exit_code = match error {
            Error::CommandFailed { code, .. } => Some(*code),
            _ => None,
        };
        let outcome = Outcome::Failed {
            exit_code,
            log: ran.map(|ran| ran.log.clone()),
            wall: ran.map_or(Duration::ZERO, |ran| ran.wall),
            message: error.to_string(),
            interrupted: error.kind() == Kind::Interrupted,
        };
        self.watcher.stage_ended(&self.stages[n], &outcome);
    }
}
