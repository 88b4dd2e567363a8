//! Matraz's own grammar: DVC's verbs at the top level, MLflow's noun groups, and what only Matraz has.

pub mod completion;
pub mod shims;

use clap::{Parser, Subcommand};
use matraz_base::Failure;

use super::{CommandLine, Globals, dvc, mlflow};
use crate::app::App;
use crate::exit::Exit;

/// The whole life of a machine-learning model: data, pipeline, runs, gate, registry, serving
#[derive(Parser, Debug)]
#[command(name = "matraz", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    #[command(flatten)]
    Data(dvc::Shared),
    #[command(flatten)]
    Track(mlflow::Shared),
    Completion(completion::Args),
    Shims(shims::Args),
}

impl CommandLine for Cli {
    fn globals(&self) -> &Globals {
        &self.globals
    }

    fn run(self, app: &App) -> Result<Exit, Failure> {
        match self.command {
            Command::Data(command) => command.run(app),
            Command::Track(command) => command.run(app),
            Command::Completion(args) => completion::run(args, app),
            Command::Shims(args) => shims::run(args, app),
        }
    }
}
