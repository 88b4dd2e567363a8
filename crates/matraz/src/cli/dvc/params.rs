//! `dvc params`

use clap::Subcommand;
use matraz_base::Failure;

use super::params_diff;
use crate::app::App;
use crate::exit::Exit;

/// Compare parameters
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Diff(params_diff::Args),
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    match args.command {
        Command::Diff(args) => params_diff::run(args, app),
    }
}
