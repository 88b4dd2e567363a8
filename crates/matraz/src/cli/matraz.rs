//! Matraz's own grammar: DVC's verbs at the top level, MLflow's noun groups, and what only Matraz has.

pub mod adopt;
pub mod artifacts;
pub mod completion;
pub mod example;
pub mod explain;
pub mod gate;
mod gate_report;
pub mod gc;
pub mod init;
pub mod journal;
pub mod lineage;
pub mod logs;
pub mod models;
pub mod promote;
pub mod reference;
pub mod reproduce;
pub mod rollback;
pub mod runs;
pub mod runs_gc;
pub mod shims;
pub mod spool;
pub mod sync;
pub mod tokens;
pub mod users;
pub mod verify;
pub mod why;

use clap::{Parser, Subcommand};
use matraz_base::Failure;

use super::groups::Groups;
use super::{CommandLine, Globals, dvc, mlflow};
use crate::app::App;
use crate::exit::Exit;

/// The whole life of a machine-learning model: data, pipeline, runs, gate, registry, serving
#[derive(Parser, Debug)]
#[command(name = "matraz", version, disable_help_subcommand = true, arg_required_else_help = true)]
// `-v` is `--verbose` here, in every command.
#[command(mut_subcommand("experiments", |group| group.mut_subcommand("search", |search| search.mut_arg("view", |view| view.short(None)))))]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Init(init::Args),
    #[command(flatten)]
    Data(dvc::Shared),
    #[command(flatten)]
    Track(mlflow::Shared),
    Adopt(adopt::Args),
    Artifacts(artifacts::Args),
    Explain(explain::Args),
    Journal(journal::Args),
    Lineage(lineage::Args),
    Logs(logs::Args),
    Runs(runs::Args),
    Gate(gate::Args),
    Gc(gc::Args),
    Models(models::Args),
    Promote(promote::Args),
    Reproduce(reproduce::Args),
    Rollback(rollback::Args),
    Completion(completion::Args),
    #[command(hide = true)]
    Example(example::Args),
    #[command(hide = true)]
    Gen(reference::Args),
    Shims(shims::Args),
    Spool(spool::Args),
    Sync(sync::Args),
    Tokens(tokens::Args),
    Users(users::Args),
    Verify(verify::Args),
    Why(why::Args),
}

impl CommandLine for Cli {
    fn globals(&self) -> &Globals {
        &self.globals
    }

    fn groups() -> Groups {
        &[
            ("Project", &["init", "config", "remote", "cache", "check-ignore", "root", "install", "destroy"]),
            (
                "Data",
                &[
                    "add",
                    "status",
                    "data",
                    "diff",
                    "commit",
                    "checkout",
                    "move",
                    "remove",
                    "unprotect",
                    "push",
                    "fetch",
                    "pull",
                    "gc",
                ],
            ),
            (
                "Other repositories",
                &["import", "import-url", "update", "get", "get-url", "list", "list-url", "du", "dataset"],
            ),
            (
                "Pipeline",
                &["repro", "why", "logs", "stage", "freeze", "unfreeze", "dag", "params", "metrics", "plots"],
            ),
            ("Experiments", &["exp", "queue"]),
            (
                "Runs",
                &[
                    "runs",
                    "lineage",
                    "experiments",
                    "artifacts",
                    "server",
                    "ui",
                    "spool",
                    "sync",
                    "db",
                    "migrate-filestore",
                ],
            ),
            ("Users", &["users", "tokens", "journal"]),
            ("Models", &["gate", "promote", "rollback", "models"]),
            ("This program", &["shims", "completion", "version", "git-hook"]),
        ]
    }

    fn run(self, app: &App) -> Result<Exit, Failure> {
        match self.command {
            Command::Data(command) => command.run(app),
            Command::Track(command) => command.run(app),
            Command::Init(args) => init::run(args, app),
            Command::Gen(args) => reference::run(args, app),
            Command::Example(args) => example::run(args, app),
            Command::Adopt(args) => adopt::run(args, app),
            Command::Explain(args) => explain::run(args, app),
            Command::Verify(args) => verify::run(args, app),
            Command::Artifacts(args) => artifacts::run(args, app),
            Command::Journal(args) => journal::run(args, app),
            Command::Lineage(args) => lineage::run(args, app),
            Command::Logs(args) => logs::run(args, app),
            Command::Runs(args) => runs::run(args, app),
            Command::Gate(args) => gate::run(args, app),
            Command::Gc(args) => gc::run(args, app),
            Command::Models(args) => models::run(args, app),
            Command::Promote(args) => promote::run(args, app),
            Command::Reproduce(args) => reproduce::run(args, app),
            Command::Rollback(args) => rollback::run(args, app),
            Command::Completion(args) => completion::run(args, app),
            Command::Shims(args) => shims::run(args, app),
            Command::Spool(args) => spool::run(args, app),
            Command::Sync(args) => sync::run(args, app),
            Command::Tokens(args) => tokens::run(args, app),
            Command::Users(args) => users::run(args, app),
            Command::Why(args) => why::run(args, app),
        }
    }
}
