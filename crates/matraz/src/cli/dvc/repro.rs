//! `dvc repro`, `matraz repro`

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use matraz_base::process::Stream;
use matraz_base::{Failure, Kind, Progress};
use matraz_data::Repo;
use matraz_data::pipeline::{self, OnFailure, Reach, Request, RunOptions, RunReport, Watcher};
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
    /// Stages, `file:stage`, or `dvc.yaml` and `.dvc` files [default: the dvc.yaml of this folder]
    targets: Vec<String>,
    /// Run stages though nothing changed, without the run cache
    #[arg(short, long)]
    force: bool,
    /// Ask before each stage that has to act
    #[arg(short, long)]
    interactive: bool,
    /// Only the targets, not what they need
    #[arg(short, long)]
    single_item: bool,
    /// The whole pipelines that hold the targets
    #[arg(short, long)]
    pipeline: bool,
    /// All pipelines of the project
    #[arg(short = 'P', long)]
    all_pipelines: bool,
    /// Folders stand for all stages below them
    #[arg(short = 'R', long)]
    recursive: bool,
    /// The targets and what depends on them
    #[arg(long)]
    downstream: bool,
    /// Run what follows a stage that ran, changed or not
    #[arg(long)]
    force_downstream: bool,
    /// Bring missing data and the run cache from the remote
    #[arg(long)]
    pull: bool,
    /// Data that are missing here are no change when the lock file knows them
    #[arg(long)]
    allow_missing: bool,
    /// Only say what would run
    #[arg(long)]
    dry: bool,
    /// After a failure run the stages that do not depend on it
    #[arg(short, long, overrides_with = "ignore_errors")]
    keep_going: bool,
    /// After a failure run all other stages
    #[arg(long, overrides_with = "keep_going")]
    ignore_errors: bool,
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

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = Repo::open(&app.cwd, &app.places())?;
    let Some(project) = Project::tracked(app, &repo.root)?.filter(|_| !args.dry) else {
        return reproduce(&args, app, &repo, &pipeline::Unwatched);
    };
    let context = Context {
        user: Some(project::user(app)),
        host: project::host(),
        command: format!("{} repro", app.grammar.program()),
        search_path: app.env.path.clone(),
    };
    let experiment = project.experiment(app, None);
    let recorder =
        Recorder::new(&repo, &project.settings, project.target.clone(), &experiment, context, &app.out);
    let result = reproduce(&args, app, &repo, &recorder);
    let end = match &result {
        Ok(Exit::OK) => End::Finished,
        Err(failure) if failure.0.kind() == Kind::Interrupted => End::Interrupted,
        _ => End::Failed,
    };
    if let Some(recorded) = recorder.finish(end) {
        app.out.line(&recorded_line(&recorded));
    }
    result
}

/// The run's name and what it reached: the metrics of the whole, not those of its classes or steps.
fn recorded_line(recorded: &Recorded) -> String {
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
        Args { targets: vec![name.to_owned()], single_item: true, added: Some(added), ..Args::default() },
        app,
    )
}

/// Runs stages of another folder anew: nothing is recorded, and the run cache is not used.
pub fn again(targets: &[String], jobs: u16, repo: &Repo, app: &App) -> Result<(), Failure> {
    let args = Args { targets: targets.to_vec(), force: true, no_run_cache: true, jobs, ..Args::default() };
    // What a script logs by itself is for this folder only.
    let store = format!("sqlite:///{}", repo.tmp_dir().join("mlflow.db").display());
    let more = [("MLFLOW_TRACKING_URI".to_owned(), store)];
    go(&args, app, repo, &repo.root, &more, &pipeline::Unwatched).map(drop)
}

/// Reproduces under the eyes of `watcher`, and says what came of it.
pub fn reproduce(args: &Args, app: &App, repo: &Repo, watcher: &dyn Watcher) -> Result<Exit, Failure> {
    let report = go(args, app, repo, &app.cwd, &[], watcher)?;
    tell(app, repo, report, args.added.as_deref());
    Ok(Exit::OK)
}

fn go(
    args: &Args,
    app: &App,
    repo: &Repo,
    cwd: &Path,
    variables: &[(String, String)],
    watcher: &dyn Watcher,
) -> Result<RunReport, Failure> {
    let interactive = args.interactive || repo.config.flag("core", "interactive", false);
    let confirm = |question: &str| ask(app, question);
    let jobs = usize::from(args.jobs.max(1));
    let pools = Settings::load(&repo.root)?.unwrap_or_default().pools;
    let options = RunOptions {
        request: Request {
            cwd: cwd.to_path_buf(),
            targets: args.targets.clone(),
            reach: args.reach(),
            recursive: args.recursive,
            glob: args.glob,
        },
        force: args.force,
        force_downstream: args.force_downstream,
        dry: args.dry,
        no_commit: args.no_commit,
        run_cache: !args.no_run_cache,
        allow_missing: args.allow_missing,
        pull: args.pull,
        jobs,
        pools,
        on_failure: match (args.keep_going, args.ignore_errors) {
            (true, _) => OnFailure::KeepGoing,
            (_, true) => OnFailure::Ignore,
            _ => OnFailure::Stop,
        },
        confirm: if interactive { Some(&confirm) } else { None },
        fail_as_dvc: app.grammar == Grammar::Dvc,
        shell: app.env.shell.as_ref().map_or_else(|| PathBuf::from("/bin/sh"), PathBuf::from),
        env: environment(app, repo).into_iter().chain(variables.iter().cloned()).collect(),
        show: &|piece| match jobs {
            1 => app.out.pass(piece.stream == Stream::Err, piece.bytes),
            _ => app.out.labelled(piece.stream == Stream::Err, piece.step, piece.stage, piece.bytes),
        },
    };
    Ok(pipeline::run(repo, &options, watcher, &app.out, &app.interrupt)?)
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

impl Args {
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
