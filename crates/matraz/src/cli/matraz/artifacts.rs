//! `matraz artifacts`

use clap::Subcommand;
use matraz_base::Failure;

use crate::app::App;
use crate::cli::{dvc, mlflow};
use crate::exit::Exit;

/// Files of runs, and the artifacts that a repository names and versions by tags
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Get(dvc::artifacts::GetArgs),
    #[command(flatten)]
    Runs(mlflow::artifacts::Command),
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    match args.command {
        Command::Get(args) => dvc::artifacts::get(args, app),
        Command::Runs(command) => mlflow::artifacts::run(mlflow::artifacts::Args { command }, app),
    }
}
