//! `dvc repro`, `matraz repro`

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use matraz_base::process::Stream;
use matraz_base::{Explain, Failure, Kind, Progress};
use matraz_data::Repo;
use matraz_data::pipeline::{self, OnFailure, Pools, Reach, Request, RunOptions, RunReport, Watcher};
use matraz_loop::Settings;
use matraz_loop::record::{Context, End, Recorded, Recorder};

use super::project::say_how_to_track;
use crate::app::App;
use crate::cli::table::figure;
use crate::exit::Exit;
use crate::names::Grammar;
use crate::project::{self, Project};

/// Run the stages whose command, dependencies, parameters or outputs changed
#[derive(clap::Args, Debug, Default)]
pub struct Args {
    #[command(flatten)]
    stages: Stagewise,
    /// Targets are patterns of stage names
    #[arg(long)]
    glob: bool,
    /// Put nothing into the cache
    #[arg(long)]
    no_commit: bool,
    /// Do not bring back what an equal run made before
    #[arg(long)]
    no_run_cache: bool,
    /// How many stages may run at the same time
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// The files that `stage add` has written, when it runs the new stage.
    #[arg(skip)]
    added: Option<Vec<PathBuf>>,
}

/// Which stages, and how: what `repro` and `exp run` have in common.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Stagewise {
    /// Stages, `file:stage`, or `dvc.yaml` and `.dvc` files [default: the dvc.yaml of this folder]
    pub targets: Vec<String>,
    /// Run stages though nothing changed, without the run cache
    #[arg(short, long)]
    pub force: bool,
    /// Ask before each stage that has to act
    #[arg(short, long)]
    pub interactive: bool,
    /// Only the targets, not what they need
    #[arg(short, long)]
    pub single_item: bool,
    /// The whole pipelines that hold the targets
    #[arg(short, long)]
    pub pipeline: bool,
    /// All pipelines of the project
    #[arg(short = 'P', long)]
    pub all_pipelines: bool,
    /// Folders stand for all stages below them
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// The targets and what depends on them
    #[arg(long)]
    pub downstream: bool,
    /// Run what follows a stage that ran, changed or not
    #[arg(long)]
    pub force_downstream: bool,
    /// Bring missing data and the run cache from the remote
    #[arg(long)]
    pub pull: bool,
    /// Data that are missing here are no change when the lock file knows them
    #[arg(long)]
    pub allow_missing: bool,
    /// Only say what would run
    #[arg(long)]
    pub dry: bool,
    /// After a failure run the stages that do not depend on it
    #[arg(short, long, overrides_with = "ignore_errors")]
    pub keep_going: bool,
    /// After a failure run all other stages
    #[arg(long, overrides_with = "keep_going")]
    pub ignore_errors: bool,
}

impl From<Stagewise> for Args {
    fn from(stages: Stagewise) -> Self {
        Self { stages, jobs: 1, ..Self::default() }
    }
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = Repo::open(&app.cwd, &app.places())?;
    let stages = Stages::new(&args, app, &repo)?;
    let (report, recorded) = stages.reproduce(&repo, &app.cwd, &[]);
    if let Some(recorded) = recorded {
        app.out.line(&recorded_line(&recorded));
    }
    tell(app, &repo, report?, args.added.as_deref());
    Ok(Exit::OK)
}

/// Reproduces, and records it where the project's reproductions are recorded.
pub struct Stages<'a> {
    args: &'a Args,
    app: &'a App,
    /// The project whose runs are recorded.
    project: Option<Project>,
    pools: Pools,
}

impl<'a> Stages<'a> {
    /// What a reproduction in a project, or in another work tree of it, needs.
    pub fn new(args: &'a Args, app: &'a App, repo: &Repo) -> Result<Self, Failure> {
        let project = Project::tracked(app, &repo.root)?.filter(|_| !args.stages.dry);
        let pools = Settings::load(&repo.root)?.unwrap_or_default().pools;
        Ok(Self { args, app, project, pools })
    }

    /// The project whose runs are recorded.
    pub fn project(&self) -> Option<&Project> {
        self.project.as_ref()
    }

    /// Reproduces for somebody who stands in `cwd`. `variables` go into the environment of the commands.
    pub fn reproduce(
        &self,
        repo: &Repo,
        cwd: &Path,
        variables: &[(String, String)],
    ) -> (matraz_data::Result<RunReport>, Option<Recorded>) {
        let Some(project) = &self.project else {
            return (self.reproduce_watched(repo, cwd, variables, &pipeline::Unwatched), None);
        };
        let app = self.app;
        let context = Context {
            user: Some(project::user(app)),
            host: project::host(),
            command: format!("{} repro", app.grammar.program()),
            search_path: app.env.path.clone(),
        };
        let experiment = project.experiment(app, None);
        let recorder =
            Recorder::new(repo, &project.settings, project.target.clone(), &experiment, context, &app.out);
        let report = self.reproduce_watched(repo, cwd, variables, &recorder);
        let end = match &report {
            Ok(_) => End::Finished,
            Err(error) if error.kind() == Kind::Interrupted => End::Interrupted,
            Err(_) => End::Failed,
        };
        let recorded = recorder.finish(end);
        (report, recorded)
    }

    fn reproduce_watched(
        &self,
        repo: &Repo,
        cwd: &Path,
        variables: &[(String, String)],
        watcher: &dyn Watcher,
    ) -> matraz_data::Result<RunReport> {
        let (args, app) = (self.args, self.app);
        let interactive = args.stages.interactive || repo.config.flag("core", "interactive", false);
        let confirm = |question: &str| ask(app, question);
        let jobs = usize::from(args.jobs.max(1));
        let mut env = environment(app, repo);
        env.retain(|(name, _)| !variables.iter().any(|(other, _)| other == name));
        env.extend_from_slice(variables);
        let options = RunOptions {
            request: Request {
                cwd: cwd.to_path_buf(),
                targets: args.stages.targets.clone(),
                reach: args.stages.reach(),
                recursive: args.stages.recursive,
                glob: args.glob,
            },
            force: args.stages.force,
            force_downstream: args.stages.force_downstream,
            dry: args.stages.dry,
            no_commit: args.no_commit,
            run_cache: !args.no_run_cache,
            allow_missing: args.stages.allow_missing,
            pull: args.stages.pull,
            jobs,
            pools: self.pools.clone(),
            on_failure: match (args.stages.keep_going, args.stages.ignore_errors) {
                (true, _) => OnFailure::KeepGoing,
                (_, true) => OnFailure::Ignore,
                _ => OnFailure::Stop,
            },
            confirm: if interactive { Some(&confirm) } else { None },
            fail_as_dvc: app.grammar == Grammar::Dvc,
            shell: app.env.shell.as_ref().map_or_else(|| PathBuf::from("/bin/sh"), PathBuf::from),
            env,
            show: &|piece| match jobs {
                1 => app.out.pass(piece.stream == Stream::Err, piece.bytes),
                _ => app.out.labelled(piece.stream == Stream::Err, piece.step, piece.stage, piece.bytes),
            },
        };
        pipeline::run(repo, &options, watcher, &app.out, &app.interrupt)
    }
}

/// The run's name and what it reached: the metrics of the whole, not those of its classes or steps.
pub fn recorded_line(recorded: &Recorded) -> String {
    let metrics: Vec<String> = recorded
        .metrics
        .iter()
        .filter(|(key, _)| !key.contains(['.', '/']))
        .take(4)
        .map(|(key, value)| format!("{key} {}", figure(*value)))
        .collect();
    let reached = if metrics.is_empty() { String::new() } else { format!(": {}", metrics.join(", ")) };
    let how = match recorded.end {
        End::Finished => "run",
        End::Failed => "failed run",
        End::Interrupted => "interrupted run",
    };
    format!("Recorded {how} {} in experiment {}{reached}", recorded.run_name, recorded.experiment)
}

/// Runs a stage that `stage add` has just written into these files, and it alone.
pub fn run_new_stage(name: &str, added: Vec<PathBuf>, app: &App) -> Result<Exit, Failure> {
    run(
        Args {
            stages: Stagewise { targets: vec![name.to_owned()], single_item: true, ..Stagewise::default() },
            added: Some(added),
            ..Args::default()
        },
        app,
    )
}

/// Runs stages of another folder anew: nothing is recorded, and the run cache is not used.
pub fn again(targets: &[String], jobs: u16, repo: &Repo, app: &App) -> Result<(), Failure> {
    let stages = Stagewise { targets: targets.to_vec(), force: true, ..Stagewise::default() };
    let args = Args { stages, no_run_cache: true, jobs, ..Args::default() };
    let pools = Settings::load(&repo.root)?.unwrap_or_default().pools;
    let stages = Stages { args: &args, app, project: None, pools };
    // What a script logs by itself is for this folder only.
    let store = format!("sqlite:///{}", repo.tmp_dir().join("mlflow.db").display());
    let more = [("MLFLOW_TRACKING_URI".to_owned(), store)];
    stages.reproduce(repo, &repo.root, &more).0?;
    Ok(())
}

/// Variables for the commands of stages. The folder of this program ends their search path, so that a stage may
/// call `matraz` when the user called it by its path.
fn environment(app: &App, repo: &Repo) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    if app.env.dvc_root.is_none() {
        variables.push(("DVC_ROOT".into(), repo.root.to_string_lossy().into_owned()));
    }
    // Python holds back what it writes to a pipe; people wait for it.
    if app.env.python_unbuffered.is_none() {
        variables.push(("PYTHONUNBUFFERED".into(), "1".into()));
    }
    let program = std::env::current_exe().ok();
    if let Some(folder) = program.as_deref().and_then(Path::parent) {
        let path = app.env.path.clone().unwrap_or_default();
        let folders = std::env::split_paths(&path).chain([folder.to_path_buf()]);
        if let Some(joined) = std::env::join_paths(folders).ok().and_then(|joined| joined.into_string().ok())
        {
            variables.push(("PATH".into(), joined));
        }
    }
    variables
}

fn tell(app: &App, repo: &Repo, mut report: RunReport, added: Option<&[PathBuf]>) {
    report.to_track.extend_from_slice(added.unwrap_or_default());
    report.to_track.sort();
    report.to_track.dedup();
    say_how_to_track(app, repo, &report.to_track);
    if added.is_some() {
        return;
    }
    if report.reproduced.is_empty() {
        app.out.say("Data and pipelines are up to date.");
    } else {
        let program = app.grammar.program();
        app.out.say(&format!("Use `{program} push` to send your updates to remote storage."));
    }
}

/// Yes or no; no when nobody can answer.
pub fn ask(app: &App, question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    app.out.prompt(&format!("{question} [y/n] "));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes")
}

impl Stagewise {
    /// The options as they were written, without the targets and those that an experiment has of its own.
    pub fn words(&self) -> Vec<String> {
        let all = [
            (self.force, "--force"),
            (self.single_item, "--single-item"),
            (self.pipeline, "--pipeline"),
            (self.all_pipelines, "--all-pipelines"),
            (self.recursive, "--recursive"),
            (self.downstream, "--downstream"),
            (self.force_downstream, "--force-downstream"),
            (self.pull, "--pull"),
            (self.allow_missing, "--allow-missing"),
            (self.keep_going, "--keep-going"),
            (self.ignore_errors, "--ignore-errors"),
        ];
        all.into_iter().filter(|(given, _)| *given).map(|(_, word)| word.to_owned()).collect()
    }

    fn reach(&self) -> Reach {
        match self {
            Self { all_pipelines: true, .. } => Reach::All,
            Self { pipeline: true, .. } => Reach::Pipeline,
            Self { single_item: true, .. } => Reach::Single,
            Self { downstream: true, .. } => Reach::Downstream,
            _ => Reach::Upstream,
        }
    }
}
