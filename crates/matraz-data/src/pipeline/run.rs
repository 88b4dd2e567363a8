//! Reproduction: runs the stages whose command, dependencies, parameters or outputs changed, each after what it needs.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use matraz_base::process::{Interrupt, Stream};
use matraz_base::{Explain, Kind, Progress};

use super::changes::{self, ParamsChange};
use super::command::{self, Failed, Ran};
use super::content::Contents;
use super::locks::ProjectLock;
use super::plan::{self, Plan, Request};
use super::run_cache::RunCache;
use super::save;
use super::watch::{Outcome, Watcher};
use crate::cache::Cache;
use crate::checkout::{self, Wanted};
use crate::index::Index;
use crate::remote::fetch;
use crate::stage::{Address, Output, Stage};
use crate::workspace::Change;
use crate::{Error, Repo, Result};

/// What happens to the other stages when one fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing more is run.
    #[default]
    Stop,
    /// Stages that do not depend on it are run.
    KeepGoing,
    /// All others are run, and the whole counts as done.
    Ignore,
}

/// Asks the user a question that yes or no answers.
pub type Confirm<'o> = &'o dyn Fn(&str) -> bool;
/// Shows a piece of a command's output to the user at once.
pub type Show<'o> = &'o dyn Fn(Stream, &[u8]);

/// How to reproduce.
pub struct RunOptions<'o> {
    /// Which stages.
    pub request: Request,
    /// Run stages though nothing changed, and without the run cache.
    pub force: bool,
    /// Run what follows a stage that ran, changed or not.
    pub force_downstream: bool,
    /// Only say what would run.
    pub dry: bool,
    /// Put nothing into the cache.
    pub no_commit: bool,
    /// Bring back what an equal run made before.
    pub run_cache: bool,
    /// Data that are missing here are no change when the lock file knows them.
    pub allow_missing: bool,
    /// Bring missing data and the run cache from the remote.
    pub pull: bool,
    /// What a failure means for other stages.
    pub on_failure: OnFailure,
    /// Asked before every stage that has to act.
    pub confirm: Option<Confirm<'o>>,
    /// When the whole fails, take new lines out of `.gitignore` again, as DVC does.
    pub forget_ignored_on_failure: bool,
    /// The shell that runs commands, an absolute path.
    pub shell: PathBuf,
    /// Variables for the environment of every command.
    pub env: Vec<(String, String)>,
    /// Shows the output of commands.
    pub show: Show<'o>,
}

/// What was done.
#[derive(Debug, Default)]
pub struct RunReport {
    /// The stages that had to act, in order.
    pub reproduced: Vec<Address>,
    /// Stages that failed while others were kept going.
    pub failed: Vec<Address>,
    /// Files for git that were written: lock files, `.gitignore`, `.dvc` files.
    pub to_track: Vec<PathBuf>,
}

/// Reproduces. The project's lock is held but while commands run.
pub fn run(
    repo: &Repo,
    options: &RunOptions<'_>,
    watcher: &dyn Watcher,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<RunReport> {
    let lock = ProjectLock::take(repo, progress, interrupt)?;
    let index = Index::load(repo)?;
    let plan = plan::plan(repo, &index, &options.request)?;
    let mut runner = Runner {
        repo,
        options,
        watcher,
        progress,
        interrupt,
        lock,
        stages: index.stages,
        cache: Cache::open(repo),
        run_cache: RunCache::open(repo),
        contents: Contents::new(repo, progress, interrupt),
        report: RunReport::default(),
        ignored: Vec::new(),
    };
    if options.pull
        && options.run_cache
        && let Err(error) = fetch::fetch_run_cache(repo)
    {
        progress.warn(&format!("failed to pull the run cache: {error}"));
    }
    let planned: Vec<&Stage> = plan.steps.iter().map(|&n| &runner.stages[n]).collect();
    watcher.pipeline_started(&planned);
    runner.contents.look_at(planned)?;
    let outcome = runner.run_all(&plan);
    if let (true, true, Some(git)) = (outcome.is_err(), options.forget_ignored_on_failure, &repo.git) {
        for path in &runner.ignored {
            git.stop_ignoring(path)?;
        }
    }
    let mut report = runner.report;
    report.to_track.sort();
    report.to_track.dedup();
    repo.stage_for_git(&report.to_track)?;
    outcome.map(|()| report)
}

pub(super) struct Runner<'r> {
    pub repo: &'r Repo,
    pub options: &'r RunOptions<'r>,
    pub watcher: &'r dyn Watcher,
    pub progress: &'r dyn Progress,
    pub interrupt: &'r Interrupt,
    pub lock: ProjectLock<'r>,
    pub stages: Vec<Stage>,
    pub cache: Cache,
    pub run_cache: RunCache,
    pub contents: Contents<'r>,
    pub report: RunReport,
    /// Outputs for which a line was added to `.gitignore`.
    pub ignored: Vec<PathBuf>,
}

/// How a stage came to have its outputs.
enum Done {
    Unchanged,
    Frozen,
    Data,
    Restored { key: String, value: String },
    Ran(Ran, Option<String>),
    Planned,
}

impl Runner<'_> {
    fn run_all(&mut self, plan: &Plan) -> Result<()> {
        let mut forced: HashMap<usize, bool> = HashMap::new();
        let mut skipped: Vec<usize> = Vec::new();
        let mut failed: Vec<usize> = Vec::new();
        let mut acted = false;
        for &n in &plan.steps {
            if skipped.contains(&n) {
                continue;
            }
            if self.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            if acted {
                self.progress.say("");
            }
            let force = self.options.force || forced.get(&n).copied().unwrap_or(false);
            let needs: &[usize] = plan.graph.as_ref().map_or(&[], |graph| graph.needs(n));
            let result = self.reproduce(n, force, needs);
            let name = self.stages[n].address.display(&self.options.request.cwd);
            match result {
                Ok(done) => {
                    acted = !matches!(done, Done::Unchanged);
                    self.tell(n, &done);
                    if let (true, true, Some(graph)) =
                        (self.options.force_downstream, acted || force, plan.graph.as_ref())
                    {
                        forced.extend(graph.needed_by(n).iter().map(|&next| (next, true)));
                    }
                    if acted {
                        self.report.reproduced.push(self.stages[n].address.clone());
                    }
                }
                Err(failure) => {
                    let Failed { error, ran } = *failure;
                    self.tell_failure(n, &error, ran.as_ref());
                    if error.kind() == Kind::Interrupted {
                        return Err(Error::Interrupted);
                    }
                    if self.options.on_failure == OnFailure::Stop {
                        return Err(Error::ReproFailed { stages: vec![name], source: Some(Box::new(error)) });
                    }
                    let ignored = self.options.on_failure == OnFailure::Ignore;
                    self.progress.warn(&format!("{error}{}", if ignored { " (ignored)" } else { "" }));
                    failed.push(n);
                    self.report.failed.push(self.stages[n].address.clone());
                    if !ignored && let Some(graph) = &plan.graph {
                        self.skip_dependents(graph.downstream(&[n]), n, &mut skipped);
                    }
                }
            }
        }
        if failed.is_empty() || self.options.on_failure == OnFailure::Ignore {
            return Ok(());
        }
        let names = failed.iter().map(|&n| self.stages[n].address.display(&self.options.request.cwd));
        Err(Error::ReproFailed { stages: names.collect(), source: None })
    }

    fn skip_dependents(&self, downstream: Vec<usize>, failed: usize, skipped: &mut Vec<usize>) {
        let dependents: Vec<usize> = downstream.into_iter().filter(|&n| n != failed).collect();
        if dependents.is_empty() {
            return;
        }
        let names: Vec<String> = dependents
            .iter()
            .map(|&n| format!("'{}'", self.stages[n].address.display(&self.options.request.cwd)))
            .collect();
        let noun = if names.len() > 1 { "Stages" } else { "Stage" };
        self.progress.warn(&format!("{noun} {} will be skipped due to this failure", names.join(", ")));
        skipped.extend(dependents);
    }

    fn tell(&self, n: usize, done: &Done) {
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

    fn tell_failure(&self, n: usize, error: &Error, ran: Option<&Ran>) {
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

    /// One stage. A failure of its command comes with what is known of the run.
    fn reproduce(&mut self, n: usize, force: bool, needs: &[usize]) -> Result<Done, Box<Failed>> {
        let name = self.stages[n].address.display(&self.options.request.cwd);
        if self.stages[n].frozen && !self.stages[n].is_import() {
            self.progress.warn(&format!(
                "{} is frozen. Its dependencies are not going to be reproduced.",
                self.title(n)
            ));
        }
        if !force {
            let allow_missing = self.options.allow_missing;
            if !self.is_changed(n, allow_missing, needs)? {
                return Ok(self.skip(n, &name));
            }
            if self.options.pull
                && !self.options.dry
                && !self.is_changed(n, true, needs)?
                && self.bring_back(n)?
            {
                return Ok(self.skip(n, &name));
            }
        }
        if let Some(confirm) = self.options.confirm
            && !confirm(&format!("Going to reproduce {}. Are you sure you want to continue?", self.title(n)))
        {
            return Err(Box::from(Error::Declined));
        }
        let stage = &self.stages[n];
        if stage.is_import() && !stage.frozen {
            let what = format!("importing '{}' again", stage.deps[0].def_path);
            return Err(Box::from(Error::NotYet { what, place: None }));
        }
        if stage.frozen || stage.cmd.is_none() {
            return Ok(self.verify(n)?);
        }
        self.act(n, force, &name)
    }

    fn title(&self, n: usize) -> String {
        let stage = &self.stages[n];
        format!("stage: '{}'", stage.address.display(&self.options.request.cwd))
    }

    fn skip(&self, n: usize, name: &str) -> Done {
        let stage = &self.stages[n];
        if stage.is_data() && stage.is_data_source() {
            self.progress.say(&format!("'{name}' didn't change, skipping"));
        } else {
            self.progress.say(&format!("Stage '{name}' didn't change, skipping"));
        }
        Done::Unchanged
    }

    /// DVC's order: the command, then what it reads, then what it makes.
    fn is_changed(&mut self, n: usize, allow_missing: bool, needs: &[usize]) -> Result<bool> {
        let stage = &self.stages[n];
        let found =
            changes::of_stages(self.repo, &mut self.cache, &[stage], &mut self.contents, self.interrupt)?;
        let Some(found) = found.into_iter().next() else { return Ok(false) };
        if found.command || (found.always && !stage.frozen) {
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

    /// Brings the outputs of an otherwise unchanged stage from the remote.
    fn bring_back(&mut self, n: usize) -> Result<bool> {
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

    /// A stage without a command, or a frozen one: what is there now is what it made.
    fn verify(&mut self, n: usize) -> Result<Done> {
        let stage = &self.stages[n];
        let frozen = stage.frozen;
        if !self.options.dry {
            let what = if frozen { "outputs in frozen" } else { "data sources in" };
            self.progress.say(&format!("Verifying {what} {}", self.title(n)));
            let missing: Vec<String> =
                stage.outs.iter().filter(|out| !out.path.exists()).map(|out| out.def_path.clone()).collect();
            if !missing.is_empty() && !self.options.allow_missing {
                let stage = stage.address.display(&self.options.request.cwd);
                return Err(Error::MissingDependency { stage, paths: missing });
            }
            save::save(self, n)?;
        }
        Ok(if frozen { Done::Frozen } else { Done::Data })
    }

    /// Makes the outputs of a stage: from the run cache, or by its command.
    fn act(&mut self, n: usize, force: bool, name: &str) -> Result<Done, Box<Failed>> {
        save::refuse_foreign_outs(self.repo, &self.stages[n], name)?;
        if self.options.dry {
            self.say_plan(n, name);
            return Ok(Done::Planned);
        }
        let env = self.watcher.stage_started(&self.stages[n]);
        let paths = self.lock.enter(&self.stages[n])?;
        if !force && self.options.pull {
            self.pull_missing_deps(n)?;
        }
        let before = self.stages[n].clone();
        let missing = changes::refresh_deps(&mut self.stages[n], &mut self.contents)?;
        if !missing.is_empty() {
            self.stages[n] = before;
            return Err(Box::from(Error::MissingDependency { stage: name.to_owned(), paths: missing }));
        }
        if !force && let Some((key, value)) = self.restore(n, &before, name)? {
            save::save(self, n)?;
            return Ok(Done::Restored { key, value });
        }
        remove_outs(&self.stages[n])?;
        let ran = {
            self.lock.release();
            let ran = command::run(self, n, name, &env);
            let again = self.lock.take_again();
            self.contents.forget_all();
            match (ran, again) {
                (Ok(ran), Ok(())) => ran,
                (Err(failure), _) => return Err(failure),
                (Ok(ran), Err(error)) => return Err(Box::new(Failed { error, ran: Some(ran) })),
            }
        };
        drop(paths);
        match save::save(self, n) {
            Ok(value) => {
                if let Some(value) = &value {
                    self.run_cache.note_duration(value, ran.wall);
                }
                Ok(Done::Ran(ran, value))
            }
            Err(error) => Err(Box::new(Failed { error, ran: Some(ran) })),
        }
    }

    fn say_plan(&self, n: usize, name: &str) {
        self.progress.say(&format!("Running stage '{name}':"));
        for line in self.stages[n].cmd.iter().flat_map(|cmd| cmd.lines()) {
            self.progress.say(&format!("> {line}"));
        }
    }

    fn pull_missing_deps(&mut self, n: usize) -> Result<()> {
        let missing: Vec<PathBuf> =
            self.stages[n].deps.iter().filter(|dep| !dep.path.exists()).map(|dep| dep.path.clone()).collect();
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
    fn restore(&mut self, n: usize, before: &Stage, name: &str) -> Result<Option<(String, String)>> {
        if !RunCache::knows(self.repo, &self.stages[n]) {
            return Ok(None);
        }
        let recorded = !changes::command_changed(before)
            && before.outs.iter().all(|out| out.digest.is_some())
            && changes::deps(before, &mut self.contents)?.is_empty()
            && changes::params_of(before)?.is_empty();
        let entry = changes::entry_of(&self.stages[n]);
        let key = super::run_cache::key_of(&entry);
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
            self.interrupt,
        )?;
        if !present.iter().all(|present| *present) {
            return Ok(None);
        }
        self.progress.say(&format!("Stage '{name}' is cached - skipping run, checking out outputs"));
        if !self.put_back(&outs)? {
            return Ok(None);
        }
        Ok(Some((key, super::run_cache::value_of(&entry))))
    }
}

/// Removes the outputs of a stage before its command makes them; those that persist become ordinary files instead.
fn remove_outs(stage: &Stage) -> Result<()> {
    for out in &stage.outs {
        if out.persist {
            unprotect(&out.path)?;
            continue;
        }
        let result = match fs::symlink_metadata(&out.path) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(&out.path),
            Ok(_) => fs::remove_file(&out.path),
            Err(error) => Err(error),
        };
        match result {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &out.path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Turns links to cache objects into copies that may be written.
fn unprotect(path: &Path) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("look at", path)(error)),
    };
    if meta.is_dir() {
        for entry in fs::read_dir(path).map_err(Error::io("read", path))? {
            unprotect(&entry.map_err(Error::io("read", path))?.path())?;
        }
        return Ok(());
    }
    let writable = meta.permissions().mode() & 0o200 != 0;
    if meta.is_symlink() || meta.nlink() > 1 || !writable {
        let content = fs::read(path).map_err(Error::io("read", path))?;
        let mode = fs::metadata(path).map_err(Error::io("look at", path))?.permissions().mode() | 0o200;
        fs::remove_file(path).map_err(Error::io("remove", path))?;
        fs::write(path, content).map_err(Error::io("write", path))?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o777))
            .map_err(Error::io("protect", path))?;
    }
    Ok(())
}
