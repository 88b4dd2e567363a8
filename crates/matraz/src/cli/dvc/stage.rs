//! `dvc stage`

use clap::Subcommand;
use matraz_base::Failure;

use super::{stage_add, stage_list};
use crate::app::App;
use crate::exit::Exit;

/// Add and list the stages of pipelines
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Add(Box<stage_add::Args>),
    List(stage_list::Args),
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    match args.command {
        Command::Add(args) => stage_add::run(*args, app),
        Command::List(args) => stage_list::run(args, app),
    }
}
