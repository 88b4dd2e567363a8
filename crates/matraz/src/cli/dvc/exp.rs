//! `dvc exp`, `matraz exp`

use clap::Subcommand;
use matraz_base::{Failure, Kind};
use matraz_data::experiment::list::Baselines;

use super::{
    exp_apply, exp_branch, exp_clean, exp_diff, exp_list, exp_pull, exp_push, exp_remove, exp_rename,
    exp_run, exp_save, exp_show, exp_worker,
};
use crate::app::App;
use crate::exit::Exit;
use crate::names::Grammar;
use crate::render;

/// Run and compare experiments: commits beside the branches
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Apply(exp_apply::Args),
    Branch(exp_branch::Args),
    Clean(exp_clean::Args),
    Diff(exp_diff::Args),
    #[command(visible_alias = "ls")]
    List(exp_list::Args),
    Pull(exp_pull::Args),
    Push(exp_push::Args),
    #[command(visible_alias = "rm")]
    Remove(exp_remove::Args),
    Rename(exp_rename::Args),
    Run(Box<exp_run::Args>),
    Save(exp_save::Args),
    Show(exp_show::Args),
    #[command(hide = true)]
    ExecRun(exp_worker::TaskArgs),
    #[command(hide = true)]
    QueueWorker(exp_worker::WorkerArgs),
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    match args.command {
        Command::Apply(args) => exp_apply::run(args, app),
        Command::Branch(args) => exp_branch::run(args, app),
        Command::Clean(args) => exp_clean::run(args, app),
        Command::Diff(args) => exp_diff::run(args, app),
        Command::List(args) => exp_list::run(args, app),
        Command::Pull(args) => exp_pull::run(args, app),
        Command::Push(args) => exp_push::run(args, app),
        Command::Remove(args) => exp_remove::run(args, app),
        Command::Rename(args) => exp_rename::run(args, app),
        Command::Run(args) => exp_run::run(*args, app),
        Command::Save(args) => exp_save::run(args, app),
        Command::Show(args) => exp_show::run(args, app),
        Command::ExecRun(args) => exp_worker::run_task(args, app),
        Command::QueueWorker(args) => exp_worker::work(args, app),
    }
}

/// Which experiments a command is about, by the commits that they started from.
#[derive(clap::Args, Debug)]
pub struct Selection {
    /// All experiments, whatever they started from
    #[arg(short = 'A', long)]
    pub all_commits: bool,
    /// Those that started from this commit [default: HEAD]
    #[arg(long, value_name = "COMMIT")]
    pub rev: Vec<String>,
    /// Those of this many commits from there, along first parents; all when negative
    #[arg(short, long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    pub num: i64,
}

impl Selection {
    /// The commits.
    pub fn baselines(&self) -> Baselines {
        Baselines { all: self.all_commits, revisions: self.rev.clone(), number: self.num }
    }
}

/// Commands that catch their own errors in DVC end with 1, where others end with 255, as do all without a commit.
pub fn caught(app: &App, outcome: Result<Exit, Failure>) -> Result<Exit, Failure> {
    match outcome {
        Err(Failure(error))
            if app.grammar == Grammar::Dvc
                && !matches!(
                    error.kind(),
                    Kind::Usage | Kind::Outside | Kind::Interrupted | Kind::Settings
                ) =>
        {
            app.out.error(&render::error(error.as_ref(), app.grammar, &app.cwd, app.out.colour()));
            Ok(Exit(1))
        }
        other => other,
    }
}

/// `'a', 'b' and 'c'`.
pub fn quoted(names: &[String]) -> String {
    joined(&names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>())
}

/// `a, b and c`.
pub fn joined(names: &[String]) -> String {
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => names.concat(),
    }
}
