//! DVC's grammar. `matraz` has the commands of [`Shared`] too, under the same names.

pub mod add;
pub mod argument_order;
pub mod artifacts;
pub mod cache;
pub mod cache_migrate;
pub mod check_ignore;
pub mod checkout;
pub mod commit;
pub mod completion;
pub mod config;
pub mod dag;
pub mod data;
pub mod data_status;
pub mod dataset;
pub mod destroy;
pub mod diff;
pub mod du;
pub mod exp;
pub mod exp_apply;
pub mod exp_branch;
pub mod exp_clean;
pub mod exp_diff;
pub mod exp_exec_run;
pub mod exp_json;
pub mod exp_list;
pub mod exp_pull;
pub mod exp_push;
pub mod exp_queue_worker;
pub mod exp_remove;
pub mod exp_rename;
pub mod exp_run;
pub mod exp_save;
pub mod exp_show;
pub mod exp_table;
pub mod fetch;
pub mod freeze;
pub mod gc;
pub mod get;
pub mod get_url;
pub mod git_hook;
pub mod import;
pub mod import_url;
pub mod init;
pub mod install;
pub mod list;
pub mod list_url;
pub mod metrics;
pub mod metrics_diff;
pub mod metrics_show;
pub mod r#move;
pub mod params;
pub mod params_diff;
pub mod plots;
pub mod plots_draw;
pub mod plots_json;
pub mod project;
pub mod pull;
pub mod push;
pub mod python_error;
pub mod queue;
pub mod queue_follow;
pub mod queue_kill;
pub mod queue_logs;
pub mod queue_remove;
pub mod queue_start;
pub mod queue_status;
pub mod queue_stop;
pub mod remote;
pub mod remove;
pub mod repro;
pub mod root;
pub mod source;
pub mod stage;
pub mod stage_add;
pub mod stage_list;
pub mod status;
pub mod unfreeze;
pub mod unprotect;
pub mod update;
pub mod version;

use clap::{Parser, Subcommand};
use matraz_base::Failure;

use super::{CommandLine, Globals};
use crate::app::App;
use crate::exit::Exit;
use crate::names;

/// Data and pipelines under version control, in DVC's own words
#[derive(Parser, Debug)]
#[command(name = "dvc", version = names::DVC_VERSION, disable_version_flag = true, disable_help_subcommand = true, arg_required_else_help = true, infer_long_args = true)]
// DVC takes `--cd` before the command only.
#[command(mut_arg("cd", |arg| arg.global(false)))]
#[command(mut_subcommand("exp", |group| group.visible_alias("experiments")))]
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
    Artifacts(artifacts::Args),
    Init(init::Args),
    Completion(completion::Args),
    Gc(gc::Args),
    #[command(flatten)]
    Shared(Shared),
}

/// Lists the commands once: `Variant(module) fails CODE`, where CODE is the exit code of an ordinary failure in DVC: 1
/// where the command catches its own errors, else 255; `saying` what DVC's command puts before its errors.
macro_rules! shared {
    ($($(#[$note:meta])* $name:ident($module:ident) fails $code:literal $(saying $words:literal)?,)*) => {
        /// The commands that DVC and Matraz have in common.
        #[derive(Subcommand, Debug)]
        pub enum Shared {
            $($(#[$note])* $name($module::Args),)*
        }

        impl Shared {
            /// The exit code of an ordinary failure in DVC.
            pub fn dvc_failure(&self) -> u8 {
                match self {
                    $(Self::$name(_) => $code,)*
                }
            }

            /// What DVC's command puts before its ordinary errors.
            pub fn dvc_preamble(&self) -> Option<&'static str> {
                match self {
                    $($(Self::$name(_) => Some($words),)?)*
                    _ => None,
                }
            }

            /// Runs the command.
            pub fn run(self, app: &App) -> Result<Exit, Failure> {
                match self {
                    $(Self::$name(args) => $module::run(args, app),)*
                }
            }
        }
    };
}

shared! {
    Add(add) fails 1,
    Cache(cache) fails 255,
    CheckIgnore(check_ignore) fails 255,
    Checkout(checkout) fails 255,
    Commit(commit) fails 1 saying "failed to commit",
    Config(config) fails 1,
    Data(data) fails 255,
    #[command(alias = "ds")]
    Dataset(dataset) fails 255,
    Destroy(destroy) fails 1 saying "failed to destroy DVC",
    Diff(diff) fails 1 saying "failed to get diff",
    #[command(alias = "mv")]
    Move(r#move) fails 1,
    Fetch(fetch) fails 1 saying "failed to fetch data from the cloud",
    Pull(pull) fails 1 saying "failed to pull data from the cloud",
    Push(push) fails 1 saying "failed to push data to the cloud",
    Remote(remote) fails 255,
    #[command(alias = "rm")]
    Remove(remove) fails 1,
    Dag(dag) fails 255,
    Metrics(metrics) fails 255,
    Params(params) fails 255,
    Plots(plots) fails 255,
    Exp(exp) fails 255,
    Freeze(freeze) fails 1,
    GitHook(git_hook) fails 1,
    Install(install) fails 1 saying "failed to install DVC Git hooks",
    Queue(queue) fails 255,
    Repro(repro) fails 255,
    Stage(stage) fails 255,
    Unfreeze(unfreeze) fails 1,
    Get(get) fails 1,
    GetUrl(get_url) fails 1,
    Import(import) fails 1,
    ImportUrl(import_url) fails 1,
    Update(update) fails 1,
    #[command(visible_alias = "ls")]
    List(list) fails 255,
    #[command(visible_alias = "ls-url")]
    ListUrl(list_url) fails 255,
    Du(du) fails 255,
    Root(root) fails 255,
    Status(status) fails 1,
    Unprotect(unprotect) fails 255,
    #[command(alias = "doctor")]
    Version(version) fails 255,
}

impl CommandLine for Cli {
    fn globals(&self) -> &Globals {
        &self.globals
    }

    fn dvc_failure(&self) -> u8 {
        match &self.command {
            Command::Artifacts(_) => 255,
            Command::Init(_) => 1,
            Command::Completion(_) => 255,
            Command::Gc(_) => 255,
            Command::Shared(command) => command.dvc_failure(),
        }
    }

    fn dvc_preamble(&self) -> Option<&'static str> {
        match &self.command {
            Command::Shared(command) => command.dvc_preamble(),
            _ => None,
        }
    }

    fn run(self, app: &App) -> Result<Exit, Failure> {
        match self.command {
            Command::Artifacts(args) => artifacts::run(args, app),
            Command::Init(args) => init::run(args, app),
            Command::Completion(args) => completion::run(args, app),
            Command::Gc(args) => gc::run(args, app),
            Command::Shared(command) => command.run(app),
        }
    }

    fn not_yet() -> &'static [&'static str] {
        &["daemon", "import-db", "studio"]
    }
}
