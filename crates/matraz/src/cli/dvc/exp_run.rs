//! `dvc exp run`, `matraz exp run`

use matraz_base::{Failure, Progress};
use matraz_data::experiment::overrides::{self, Changes};
use matraz_data::experiment::queue::{self, Extras};
use matraz_data::experiment::run::Finished;
use matraz_data::experiment::{ExperimentError, Request, run as experiment_run, temp};
use matraz_data::{Repo, experiment};
use matraz_loop::record::Recorded;

use super::exp_push::auto_push;
use super::project::Project;
use super::queue_follow;
use super::repro::{self, Stages, recorded_line};
use crate::app::App;
use crate::exit::Exit;
use crate::names::Grammar;

/// Run the pipeline as an experiment: a commit beside the branch
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    stages: repro::Stagewise,
    /// Its name [default: an adjective and a noun]
    #[arg(short, long)]
    name: Option<String>,
    /// Run with another parameter: `[FILE:]KEY=VALUE`, `+KEY=VALUE` to add one, `~KEY` to take one out
    #[arg(short = 'S', long, value_name = "CHANGE")]
    set_param: Vec<String>,
    /// Put it into the queue
    #[arg(long)]
    queue: bool,
    /// Run all that is in the queue
    #[arg(long)]
    run_all: bool,
    /// How many of the queue may run at the same time
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// Run it in a folder of its own, and leave the work tree as it is
    #[arg(long)]
    temp: bool,
    /// Untracked files to take along, with `--temp` or `--queue`
    #[arg(short = 'C', long, value_name = "PATH")]
    copy_paths: Vec<String>,
    /// The message of its commit
    #[arg(short, long, short_alias = 'M')]
    message: Option<String>,
    /// Do not compose parameters with Hydra
    #[arg(long)]
    no_hydra: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    if args.run_all {
        let repo = Repo::open(&app.cwd, &app.places())?;
        return queue_follow::run_all(app, &repo, args.jobs);
    }
    let repo = Repo::open(&app.cwd, &app.places())?;
    let changes = overrides::by_file(&args.set_param);
    if !args.queue && overrides::is_sweep(&changes)? {
        return Err(matraz_data::Error::from(ExperimentError::SweepWithoutQueue).into());
    }
    if repo.config.flag("hydra", "enabled", false) && !args.no_hydra {
        return Err(matraz_data::Error::from(ExperimentError::HydraComposition).into());
    }
    let request = Request {
        cwd: app.cwd.clone(),
        // A name without letters is none.
        name: args.name.clone().filter(|name| !name.is_empty()),
        force: args.stages.force,
        changes,
        targets: args.stages.targets.clone(),
        recursive: args.stages.recursive,
        message: args.message.clone(),
    };
    if args.queue {
        return put(&args, &request, app);
    }
    let reproduction = repro::Args::from(args.stages.clone());
    let stages = Stages::new(&reproduction, app, &repo)?;
    let mut recorded = None;
    let mut reproduce = |repo: &Repo, cwd: &std::path::Path, start: &experiment::Start| {
        let root = Repo::find_root(&app.cwd)?;
        let (report, run) = stages.reproduce(repo, cwd, &start.environment(&root));
        recorded = run;
        report
    };
    let finished = if args.temp || args.stages.dry {
        let prepared = {
            let _lock = repo.lock(&app.out, app.interrupt.flag())?;
            temp::prepare(&repo, &request, &[], &app.interrupt)?
        };
        let run = temp::Run {
            prepared: &prepared,
            request: &request,
            copy_paths: &args.copy_paths,
            dry: args.stages.dry,
            placed: &|_| Ok(()),
            committed: &|_| Ok(()),
        };
        temp::run(&repo, &run, &mut reproduce, &app.out, &app.interrupt)
    } else {
        experiment_run::run(&repo, &request, &mut reproduce, &app.out, &app.interrupt).map(Some)
    };
    join(app, &stages, recorded, finished.as_ref().ok().and_then(Option::as_ref));
    if let Some(finished) = finished? {
        auto_push(app, &repo, &finished);
        app.out.line(&format!("\nRan experiment(s): {}", finished.start.name));
        app.out.line(&match args.temp {
            true => how_to_apply(app),
            false => "Experiment results have been applied to your workspace.".to_owned(),
        });
    }
    Ok(Exit::OK)
}

/// How results come into the work tree.
pub fn how_to_apply(app: &App) -> String {
    let program = app.grammar.program();
    format!("To apply the results of an experiment to your workspace run:\n\n\t{program} exp apply <exp>")
}

/// Gives the run that recorded an experiment its name, and says where it is.
pub fn join(app: &App, stages: &Stages<'_>, recorded: Option<Recorded>, finished: Option<&Finished>) {
    let (Some(mut recorded), Some(project)) = (recorded, stages.project()) else { return };
    if let Some(Finished { start, commit }) = finished {
        let joined = matraz_loop::experiment::join(
            project.target.clone(),
            &recorded.run_id,
            &start.name,
            commit,
            &start.baseline,
        );
        match joined {
            Ok(()) => recorded.run_name = start.name.clone(),
            Err(error) => app.out.warn(&format!("the run does not get the experiment's name: {error}")),
        }
    }
    app.out.line(&recorded_line(&recorded));
}

/// Queues one experiment, or one for each combination of a sweep.
fn put(args: &Args, request: &Request, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let sweep = overrides::is_sweep(&request.changes)?;
    let extras = Extras {
        arguments: args.stages.words(),
        copy_paths: args.copy_paths.clone(),
        as_dvc: app.grammar == Grammar::Dvc,
        now: jiff::Timestamp::now().as_second(),
    };
    for (n, changes) in overrides::combinations(&request.changes)?.into_iter().enumerate() {
        let name = match (&request.name, sweep) {
            (Some(name), true) => Some(format!("{name}-{}", n + 1)),
            (name, _) => name.clone(),
        };
        let one = Request { name, changes, ..request.clone() };
        let task = queue::put(&project.repo, &one, &extras, &app.interrupt)?;
        if !one.changes.is_empty() {
            app.out.line(&format!("Queueing with overrides '{}'.", shown(&one.changes)));
        }
        app.out.line(&format!("Queued experiment '{}' for future execution.", task.name));
    }
    Ok(Exit::OK)
}

/// Changes as Python shows them.
fn shown(changes: &Changes) -> String {
    use matraz_base::{Map, Value};
    let list = |texts: &Vec<String>| Value::List(texts.iter().cloned().map(Value::Str).collect());
    let map: Map = changes.iter().map(|(file, texts)| (file.clone(), list(texts))).collect();
    Value::Map(map).to_string()
}
