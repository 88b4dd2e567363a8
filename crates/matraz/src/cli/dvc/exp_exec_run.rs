//! The process that runs one task of the queue.

use std::path::Path;

use clap::Parser;
use matraz_base::{Failure, Progress};
use matraz_data::Repo;
use matraz_data::experiment::queue;
use matraz_data::experiment::start::Start;

use super::exp_push::auto_push;
use super::exp_run::join;
use super::repro::{self, Stages, Stagewise};
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;

/// Run one task of the queue
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Its commit
    #[arg(long)]
    task: String,
    /// What the worker that took it was given
    #[arg(long)]
    claim: String,
}

/// The arguments of a reproduction, as a task keeps them.
#[derive(Parser, Debug)]
struct Line {
    #[command(flatten)]
    stages: Stagewise,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = Repo::open(&app.cwd, &app.places())?;
    let tasks = queue::tasks(&repo)?;
    let Some(task) = tasks.into_iter().find(|task| task.rev == args.task) else { return Ok(Exit::NO) };
    let words = std::iter::once("run".to_owned()).chain(task.arguments.iter().cloned());
    let line = Line::try_parse_from(words)
        .map_err(|error| CliError::Usage { message: error.to_string(), hint: None })?;
    let reproduction = repro::Args::from(Stagewise { targets: task.targets.clone(), ..line.stages });
    let stages = Stages::new(&reproduction, app, &repo)?;
    let mut recorded = None;
    let mut reproduce = |own: &Repo, cwd: &Path, start: &Start| {
        let (report, run) = stages.reproduce(own, cwd, &start.environment(&repo.root));
        recorded = run;
        report
    };
    let done = queue::execute(&repo, &args.task, &args.claim, &mut reproduce, &app.out, &app.interrupt);
    join(app, &stages, recorded, done.as_ref().ok().and_then(Option::as_ref));
    match done? {
        Some(finished) => auto_push(app, &repo, &finished),
        None => app.out.warn("another worker has this task"),
    }
    Ok(Exit::OK)
}
