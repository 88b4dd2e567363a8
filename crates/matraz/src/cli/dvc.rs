//! DVC's grammar. `matraz` has the commands of [`Shared`] too, under the same names.

pub mod repro;
pub mod root;

use clap::{Parser, Subcommand};
use matraz_base::Failure;

use super::{CommandLine, Globals};
use crate::app::App;
use crate::exit::Exit;
use crate::names;

/// Data and pipelines under version control, in DVC's own words
#[derive(Parser, Debug)]
#[command(name = "dvc", version = names::DVC_VERSION, disable_version_flag = true, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    /// Print the version of DVC that this grammar follows
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    version: (),
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    #[command(flatten)]
    Shared(Shared),
}

/// The commands that DVC and Matraz have in common.
#[derive(Subcommand, Debug)]
pub enum Shared {
    Repro(repro::Args),
    Root(root::Args),
}

impl Shared {
    /// The exit code of an ordinary failure in DVC: 1 where the command catches its own errors, else 255.
    pub fn dvc_failure(&self) -> u8 {
        match self {
            Self::Repro(_) | Self::Root(_) => 255,
        }
    }

    /// Runs the command.
    pub fn run(self, app: &App) -> Result<Exit, Failure> {
        match self {
            Self::Repro(args) => repro::run(args, app),
            Self::Root(args) => root::run(args, app),
        }
    }
}

impl CommandLine for Cli {
    fn globals(&self) -> &Globals {
        &self.globals
    }

    fn dvc_failure(&self) -> u8 {
        match &self.command {
            Command::Shared(command) => command.dvc_failure(),
        }
    }

    fn run(self, app: &App) -> Result<Exit, Failure> {
        match self.command {
            Command::Shared(command) => command.run(app),
        }
    }

    fn not_yet() -> &'static [&'static str] {
        &[
            "artifacts",
            "cache",
            "check-ignore",
            "daemon",
            "data",
            "dataset",
            "ds",
            "destroy",
            "diff",
            "du",
            "exp",
            "experiments",
            "freeze",
            "gc",
            "get",
            "get-url",
            "git-hook",
            "import",
            "import-db",
            "import-url",
            "install",
            "list",
            "ls",
            "list-url",
            "ls-url",
            "metrics",
            "move",
            "mv",
            "params",
            "plots",
            "queue",
            "stage",
            "studio",
            "unfreeze",
            "unprotect",
            "update",
            "doctor",
        ]
    }
}
