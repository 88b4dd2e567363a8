//! `dvc queue`, `matraz queue`

use clap::Subcommand;
use matraz_base::Failure;

use super::{queue_kill, queue_logs, queue_remove, queue_start, queue_status, queue_stop};
use crate::app::App;
use crate::exit::Exit;

/// Look at the queue of experiments, and run it
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Start(queue_start::Args),
    Stop(queue_stop::Args),
    Status(queue_status::Args),
    Logs(queue_logs::Args),
    Remove(queue_remove::Args),
    Kill(queue_kill::Args),
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    match args.command {
        Command::Start(args) => queue_start::run(args, app),
        Command::Stop(args) => queue_stop::run(args, app),
        Command::Status(args) => queue_status::run(args, app),
        Command::Logs(args) => queue_logs::run(args, app),
        Command::Remove(args) => queue_remove::run(args, app),
        Command::Kill(args) => queue_kill::run(args, app),
    }
}
