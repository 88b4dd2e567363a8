//! Reproduction: runs the stages whose command, dependencies, parameters or outputs changed, each after what it needs.
//!
//! One thread decides, hashes, and writes lock files; commands run in threads of their own, as many at a time as there
//! are jobs. What is written does not depend on which command ends first.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use matraz_base::lock::PathLocks;
use matraz_base::process::{Interrupt, Stream};
use matraz_base::{Explain, Kind, Progress};
use matraz_store::Nursery;

use super::command::{Failed, JobEnd};
use super::content::Contents;
use super::limits::{self, Pools};
use super::locks::ProjectLock;
use super::plan::{self, Plan, Reach, Request};
use super::run_cache::RunCache;
use super::schedule::{Next, Schedule};
use super::stage_run::{Done, Look, Start};
use super::watch::Watcher;
use crate::cache::Cache;
use crate::index::Index;
use crate::remote::fetch;
use crate::stage::{Address, LockFile, Stage};
use crate::target::TargetOptions;
use crate::{Error, Repo, Result};

/// What happens to the other stages when one fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing more is started; what runs already goes on to its end.
    #[default]
    Stop,
    /// Stages that do not depend on it are run.
    KeepGoing,
    /// All others are run, and the whole counts as done.
    Ignore,
}

/// A piece of a command's output: as it comes, or a whole line when several commands may run at once.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'p> {
    /// The place of the stage among those that are looked at.
    pub step: usize,
    /// The stage as the user names it.
    pub stage: &'p str,
    /// Where the command wrote it.
    pub stream: Stream,
    /// What it wrote.
    pub bytes: &'p [u8],
}

/// Asks the user a question that yes or no answers.
pub type Confirm<'o> = &'o dyn Fn(&str) -> bool;
/// Shows a piece of a command's output to the user at once. Called from several threads when there are several jobs.
pub type Show<'o> = &'o (dyn Fn(&Piece<'_>) + Sync);

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
    /// How many commands may run at the same time; 0 counts as 1.
    pub jobs: usize,
    /// The sizes of the pools of which stages claim slots.
    pub pools: Pools,
    /// What a failure means for other stages.
    pub on_failure: OnFailure,
    /// Asked before every stage that has to act.
    pub confirm: Option<Confirm<'o>>,
    /// A failure leaves what it leaves in DVC: when the whole fails, new lines are taken out of `.gitignore` again, and the
    /// outputs of a stage that lacks what it reads are removed.
    pub fail_as_dvc: bool,
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
    /// The stages that were to be looked at, in order.
    pub planned: Vec<Address>,
    /// The stages that had to act, in order.
    pub reproduced: Vec<Address>,
    /// Stages that failed while others were kept going.
    pub failed: Vec<Address>,
    /// Files for git that were written: lock files, `.gitignore`, `.dvc` files.
    pub to_track: Vec<PathBuf>,
}

/// Reproduces. The project's lock is held but while commands run and nothing else is to be done.
pub fn run(
    repo: &Repo,
    options: &RunOptions<'_>,
    watcher: &dyn Watcher,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<RunReport> {
    let lock = ProjectLock::take(repo, progress, interrupt)?;
    let request = &options.request;
    let index = match request.reach == Reach::Single && !request.glob {
        true => {
            let how = TargetOptions { with_deps: false, recursive: request.recursive };
            Index::load_for(repo, &request.targets, how, &request.cwd)?
        }
        false => Index::load(repo)?,
    };
    let plan = plan::plan(repo, &index, &options.request)?;
    // A dry run shows the order of the plan.
    let jobs = if options.dry { 1 } else { options.jobs.max(1) };
    let planned: Vec<&Stage> = plan.steps.iter().map(|&n| &index.stages[n]).collect();
    let (claims, pools) = limits::claims(&planned, &options.pools, &options.request.cwd)?;
    watcher.pipeline_started(&planned);
    let planned = planned.iter().map(|stage| stage.address.clone()).collect();
    let mut runner = Runner {
        repo,
        options,
        watcher,
        progress,
        interrupt,
        jobs,
        lock,
        ready: None,
        stages: index.stages,
        cache: Cache::open(repo),
        run_cache: RunCache::open(repo),
        nursery: Nursery::new(&repo.state_dir()),
        contents: Contents::new(repo, progress, interrupt),
        report: RunReport { planned, ..RunReport::default() },
        ignored: Vec::new(),
        written: None,
        entered: Vec::new(),
    };
    if options.pull
        && options.run_cache
        && let Err(error) = fetch::fetch_run_cache(repo)
    {
        progress.warn(&format!("failed to pull the run cache: {error}"));
    }
    runner.contents.look_at(plan.steps.iter().map(|&n| &runner.stages[n]))?;
    let schedule = Schedule::new(&plan.after, claims, jobs, pools);
    let outcome = Reproduction::new(&mut runner, &plan, schedule).go();
    if let (true, true, Some(git)) = (outcome.is_err(), options.fail_as_dvc, &repo.git) {
        for (_, path) in &runner.ignored {
            git.stop_ignoring(path)?;
        }
    }
    let mut report = runner.report;
    report.to_track.sort();
    report.to_track.dedup();
    repo.stage_for_git(&report.to_track)?;
    outcome.map(|()| report)
}

/// What one stage's reproduction needs of the whole.
pub(super) struct Runner<'r> {
    pub repo: &'r Repo,
    pub options: &'r RunOptions<'r>,
    pub watcher: &'r dyn Watcher,
    pub progress: &'r dyn Progress,
    pub interrupt: &'r Interrupt,
    /// How many commands may run at the same time.
    pub jobs: usize,
    pub lock: ProjectLock<'r>,
    /// A step that must run next, and the paths that are its own already.
    pub ready: Option<(usize, PathLocks)>,
    pub stages: Vec<Stage>,
    pub cache: Cache,
    pub run_cache: RunCache,
    pub nursery: Nursery,
    pub contents: Contents<'r>,
    pub report: RunReport,
    /// Outputs for which a line was added to `.gitignore`, and the steps that make them.
    pub ignored: Vec<(usize, PathBuf)>,
    /// The lock file that was written last.
    pub written: Option<LockFile>,
    /// Stages that are new in their lock file, and their steps.
    pub entered: Vec<(usize, Address)>,
}

/// A reproduction on its way.
struct Reproduction<'a, 'r> {
    runner: &'a mut Runner<'r>,
    plan: &'a Plan,
    schedule: Schedule,
    /// Steps that must run though nothing changed.
    forced: HashSet<usize>,
    /// The paths that the running commands use.
    in_use: HashMap<usize, PathLocks>,
    /// Steps that acted, in the order in which they ended.
    acted: Vec<usize>,
    /// The next step is shown apart from the last one.
    apart: bool,
    failed: Vec<usize>,
    /// The failure that ended the whole.
    fatal: Option<Error>,
}

impl<'a, 'r> Reproduction<'a, 'r> {
    fn new(runner: &'a mut Runner<'r>, plan: &'a Plan, schedule: Schedule) -> Self {
        Self {
            runner,
            plan,
            schedule,
            forced: HashSet::new(),
            in_use: HashMap::new(),
            acted: Vec::new(),
            apart: false,
            failed: Vec::new(),
            fatal: None,
        }
    }

    fn go(mut self) -> Result<()> {
        let (sender, ended) = mpsc::channel::<JobEnd>();
        thread::scope(|scope| {
            loop {
                match self.schedule.advance() {
                    Next::Look(step) => {
                        self.runner.ready = None;
                        self.look(step);
                    }
                    Next::Start(step) => {
                        let n = self.plan.steps[step];
                        let force = self.force(step);
                        match self.runner.start(step, n, force, self.plan.needs(n)) {
                            Ok(Start::Done(done)) => self.done(step, &done),
                            Ok(Start::Job(job, paths)) => {
                                self.in_use.insert(step, paths);
                                let sender = sender.clone();
                                scope.spawn(move || drop(sender.send(job.run())));
                            }
                            Err(failure) => self.fail(step, *failure),
                        }
                    }
                    Next::Wait => {
                        self.runner.ready = None;
                        self.runner.lock.release();
                        let Ok(end) = ended.recv() else { break };
                        self.end(end);
                    }
                    Next::Over => break,
                }
            }
        });
        self.conclude()
    }

    fn conclude(mut self) -> Result<()> {
        self.acted.sort_unstable();
        self.failed.sort_unstable();
        let runner = self.runner;
        let address = |step: &usize| runner.stages[self.plan.steps[*step]].address.clone();
        runner.report.reproduced = self.acted.iter().map(address).collect();
        runner.report.failed = self.failed.iter().map(address).collect();
        if let Some(error) = self.fatal {
            return Err(error);
        }
        if self.failed.is_empty() || runner.options.on_failure == OnFailure::Ignore {
            return Ok(());
        }
        let cwd = &runner.options.request.cwd;
        let names = runner.report.failed.iter().map(|address| address.display(cwd)).collect();
        Err(Error::ReproFailed { stages: names, cause: None })
    }

    /// Finds out what a step has to do, and does all but running its command.
    fn look(&mut self, step: usize) {
        if self.runner.interrupt.is_raised() {
            self.fatal.get_or_insert(Error::Interrupted);
            self.schedule.stop();
            return self.schedule.skip(step);
        }
        let n = self.plan.steps[step];
        if self.runner.jobs == 1 && std::mem::take(&mut self.apart) {
            self.runner.progress.say("");
        }
        let force = self.force(step);
        match self.runner.look(step, n, force, self.plan.needs(n)) {
            Ok(Look::Done(done)) => self.done(step, &done),
            Ok(Look::MustRun) => self.schedule.wants(step),
            Err(failure) => self.fail(step, *failure),
        }
    }

    fn force(&self, step: usize) -> bool {
        self.runner.options.force || self.forced.contains(&step)
    }

    /// A command has ended.
    fn end(&mut self, end: JobEnd) {
        let step = end.step;
        let locked = self.runner.lock.take_again();
        self.runner.contents.forget_all();
        self.in_use.remove(&step);
        match self.runner.finish(self.plan.steps[step], step, end, locked) {
            Ok(done) => self.done(step, &done),
            Err(failure) => self.fail(step, *failure),
        }
    }

    fn done(&mut self, step: usize, done: &Done) {
        let n = self.plan.steps[step];
        self.runner.tell(n, done);
        let acted = !matches!(done, Done::Unchanged);
        if let (true, Some(graph)) = (self.runner.options.force_downstream, self.plan.graph.as_ref())
            && (acted || self.force(step))
        {
            let next = graph.needed_by(n);
            self.forced.extend((0..self.plan.steps.len()).filter(|&at| next.contains(&self.plan.steps[at])));
        }
        self.apart = acted;
        if acted {
            self.acted.push(step);
        }
        self.schedule.settle(step);
    }

    fn fail(&mut self, step: usize, failure: Failed) {
        let n = self.plan.steps[step];
        let Failed { error, ran } = failure;
        self.runner.tell_failure(n, &error, ran.as_ref());
        self.schedule.settle(step);
        if error.kind() == Kind::Interrupted {
            self.schedule.stop();
            self.fatal = Some(Error::Interrupted);
            return;
        }
        let name = self.runner.name(n);
        let on_failure = self.runner.options.on_failure;
        if on_failure == OnFailure::Stop {
            self.schedule.stop();
            if let Some(Error::ReproFailed { stages, .. }) = &mut self.fatal {
                stages.push(name);
                self.runner.progress.warn(&error.to_string());
            } else if self.fatal.is_none() {
                self.say_what_still_runs(&name);
                self.fatal = Some(Error::ReproFailed { stages: vec![name], cause: Some(Box::new(error)) });
            }
            return;
        }
        let ignored = on_failure == OnFailure::Ignore;
        self.runner.progress.warn(&format!("{error}{}", if ignored { " (ignored)" } else { "" }));
        self.failed.push(step);
        if !ignored && let Some(graph) = &self.plan.graph {
            self.skip_dependents(&graph.downstream(&[n]), n);
        }
    }

    fn say_what_still_runs(&self, failed: &str) {
        let running = self.schedule.running();
        let names: Vec<String> = running.map(|step| self.runner.name(self.plan.steps[step])).collect();
        if !names.is_empty() {
            let names = names.join(", ");
            self.runner.progress.warn(&format!("'{failed}' failed; waiting for what still runs: {names}"));
        }
    }

    fn skip_dependents(&mut self, downstream: &[usize], failed: usize) {
        let steps: Vec<usize> = (0..self.plan.steps.len())
            .filter(|&step| self.plan.steps[step] != failed && downstream.contains(&self.plan.steps[step]))
            .collect();
        if steps.is_empty() {
            return;
        }
        let names: Vec<String> =
            steps.iter().map(|&step| format!("'{}'", self.runner.name(self.plan.steps[step]))).collect();
        let noun = if names.len() > 1 { "Stages" } else { "Stage" };
        let names = match names.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
            _ => names.concat(),
        };
        self.runner.progress.warn(&format!("{noun} {names} will be skipped due to this failure"));
        for step in steps {
            self.schedule.skip(step);
        }
    }
}
