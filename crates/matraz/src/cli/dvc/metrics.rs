//! `dvc metrics`

use clap::Subcommand;
use matraz_base::Failure;

use super::{metrics_diff, metrics_show};
use crate::app::App;
use crate::exit::Exit;

/// Show and compare metrics
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Show(metrics_show::Args),
    Diff(metrics_diff::Args),
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    match args.command {
        Command::Show(args) => metrics_show::run(args, app),
        Command::Diff(args) => metrics_diff::run(args, app),
    }
}
