//! MLflow's grammar.

pub mod artifacts;
pub mod db;
pub mod doctor;
pub mod experiments;
pub mod gc;
pub mod migrate_filestore;
pub mod models;
pub mod runs;
pub mod server;
pub mod server_flags;
pub mod server_variables;
pub mod store;

use clap::{Parser, Subcommand};
use matraz_base::Failure;

use super::{CommandLine, Globals};
use crate::app::App;
use crate::exit::Exit;
use crate::names;

/// Experiments, runs, models and their server, in MLflow's own words
#[derive(Parser, Debug)]
#[command(name = "mlflow", version = names::MLFLOW_VERSION, disable_help_subcommand = true, arg_required_else_help = true)]
// MLflow's commands have a `-v` of their own.
#[command(mut_arg("verbose", |arg| arg.short(None)))]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    #[command(flatten)]
    Shared(Shared),
    Artifacts(artifacts::Args),
    Runs(runs::Args),
    Models(models::Args),
    Gc(gc::Args),
    Doctor(doctor::Args),
}

/// The commands that MLflow and Matraz have in common.
#[derive(Subcommand, Debug)]
pub enum Shared {
    Server(Box<server::Args>),
    Ui(Box<server::Args>),
    Experiments(experiments::Args),
    Db(db::Args),
    MigrateFilestore(migrate_filestore::Args),
}

impl Shared {
    /// Runs the command.
    pub fn run(self, app: &App) -> Result<Exit, Failure> {
        match self {
            Self::Server(args) | Self::Ui(args) => server::run(*args, app),
            Self::Experiments(args) => experiments::run(args, app),
            Self::Db(args) => db::run(args, app),
            Self::MigrateFilestore(args) => migrate_filestore::run(args, app),
        }
    }
}

impl CommandLine for Cli {
    fn globals(&self) -> &Globals {
        &self.globals
    }

    fn run(self, app: &App) -> Result<Exit, Failure> {
        match self.command {
            Command::Shared(command) => command.run(app),
            Command::Artifacts(args) => artifacts::run(args, app),
            Command::Runs(args) => runs::run(args, app),
            Command::Models(args) => models::run(args, app),
            Command::Gc(args) => gc::run(args, app),
            Command::Doctor(args) => Ok(doctor::run(&args, app)),
        }
    }

    fn not_yet() -> &'static [&'static str] {
        &[
            "agent",
            "autolog",
            "crypto",
            "datasets",
            "demo",
            "deployments",
            "gateway",
            "mcp",
            "run",
            "sagemaker",
            "scorers",
            "skills",
            "traces",
        ]
    }
}
