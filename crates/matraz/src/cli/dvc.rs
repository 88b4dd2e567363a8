//! DVC's grammar. `matraz` has the commands of [`Shared`] too, under the same names.

pub mod add;
pub mod cache;
pub mod check_ignore;
pub mod checkout;
pub mod commit;
pub mod config;
pub mod dag;
pub mod fetch;
pub mod freeze;
pub mod init;
pub mod metrics;
pub mod metrics_diff;
pub mod metrics_show;
pub mod params;
pub mod params_diff;
pub mod project;
pub mod pull;
pub mod push;
pub mod remote;
pub mod remove;
pub mod repro;
pub mod root;
pub mod stage;
pub mod stage_add;
pub mod stage_list;
pub mod status;
pub mod unfreeze;
pub mod unprotect;
pub mod version;

use clap::{Parser, Subcommand};
use matraz_base::Failure;

use super::{CommandLine, Globals};
use crate::app::App;
use crate::exit::Exit;
use crate::names;

/// Data and pipelines under version control, in DVC's own words
#[derive(Parser, Debug)]
#[command(name = "dvc", version = names::DVC_VERSION, disable_version_flag = true, disable_help_subcommand = true, arg_required_else_help = true)]
// DVC takes `--cd` before the command only.
#[command(mut_arg("cd", |arg| arg.global(false)))]
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
    Init(init::Args),
    #[command(flatten)]
    Shared(Shared),
}

/// The commands that DVC and Matraz have in common.
#[derive(Subcommand, Debug)]
pub enum Shared {
    Add(add::Args),
    Cache(cache::Args),
    CheckIgnore(check_ignore::Args),
    Checkout(checkout::Args),
    Commit(commit::Args),
    Config(config::Args),
    Fetch(fetch::Args),
    Pull(pull::Args),
    Push(push::Args),
    Remote(remote::Args),
    #[command(alias = "rm")]
    Remove(remove::Args),
    Dag(dag::Args),
    Metrics(metrics::Args),
    Params(params::Args),
    Freeze(freeze::Args),
    Repro(repro::Args),
    Stage(stage::Args),
    Unfreeze(unfreeze::Args),
    Root(root::Args),
    Status(status::Args),
    Unprotect(unprotect::Args),
    #[command(alias = "doctor")]
    Version(version::Args),
}

impl Shared {
    /// The exit code of an ordinary failure in DVC: 1 where the command catches its own errors, else 255.
    pub fn dvc_failure(&self) -> u8 {
        match self {
            Self::Add(_) | Self::Commit(_) | Self::Config(_) | Self::Status(_) => 1,
            Self::Fetch(_) | Self::Pull(_) | Self::Push(_) | Self::Remove(_) => 1,
            Self::Cache(_)
            | Self::CheckIgnore(_)
            | Self::Checkout(_)
            | Self::Remote(_)
            | Self::Unprotect(_)
            | Self::Version(_) => 255,
            Self::Freeze(_) | Self::Unfreeze(_) => 1,
            Self::Stage(_)
            | Self::Dag(_)
            | Self::Metrics(_)
            | Self::Params(_)
            | Self::Repro(_)
            | Self::Root(_) => 255,
        }
    }

    /// Runs the command.
    pub fn run(self, app: &App) -> Result<Exit, Failure> {
        match self {
            Self::Add(args) => add::run(args, app),
            Self::Cache(args) => cache::run(args, app),
            Self::CheckIgnore(args) => check_ignore::run(args, app),
            Self::Checkout(args) => checkout::run(args, app),
            Self::Commit(args) => commit::run(args, app),
            Self::Config(args) => config::run(args, app),
            Self::Fetch(args) => fetch::run(args, app),
            Self::Pull(args) => pull::run(args, app),
            Self::Push(args) => push::run(args, app),
            Self::Remote(args) => remote::run(args, app),
            Self::Remove(args) => remove::run(args, app),
            Self::Dag(args) => dag::run(args, app),
            Self::Metrics(args) => metrics::run(args, app),
            Self::Params(args) => params::run(args, app),
            Self::Freeze(args) => freeze::run(args, app),
            Self::Unfreeze(args) => unfreeze::run(args, app),
            Self::Stage(args) => stage::run(args, app),
            Self::Repro(args) => repro::run(args, app),
            Self::Root(args) => root::run(args, app),
            Self::Status(args) => status::run(args, app),
            Self::Unprotect(args) => unprotect::run(args, app),
            Self::Version(args) => version::run(args, app),
        }
    }
}

impl CommandLine for Cli {
    fn globals(&self) -> &Globals {
        &self.globals
    }

    fn dvc_failure(&self) -> u8 {
        match &self.command {
            Command::Init(_) => 1,
            Command::Shared(command) => command.dvc_failure(),
        }
    }

    fn run(self, app: &App) -> Result<Exit, Failure> {
        match self.command {
            Command::Init(args) => init::run(args, app),
            Command::Shared(command) => command.run(app),
        }
    }

    fn not_yet() -> &'static [&'static str] {
        &[
            "artifacts",
            "daemon",
            "data",
            "dataset",
            "ds",
            "destroy",
            "diff",
            "du",
            "exp",
            "experiments",
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
            "move",
            "mv",
            "plots",
            "queue",
            "studio",
            "update",
        ]
    }
}
