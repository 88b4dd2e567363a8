//! `dvc data`

use clap::Subcommand;
use matraz_base::Failure;

use super::data_status;
use crate::app::App;
use crate::exit::Exit;

/// Look at tracked data
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Status(data_status::Args),
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    match args.command {
        Command::Status(args) => data_status::run(args, app),
    }
}
