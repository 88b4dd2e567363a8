//! The `matraz` program: three grammars over one set of libraries.
//!
//! Called as `matraz` it speaks its own grammar; called as `dvc` or `mlflow` (through a link that `matraz
//! shims` makes) or as `matraz dvc …` and `matraz mlflow …` it speaks theirs, with their exit codes and output
//! shapes. Everything that touches the environment, the terminal or the user's home lives in this crate.

mod app;
mod cli;
mod env;
mod exit;
mod names;
mod printer;
mod project;
mod render;
mod server;
mod web;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let (grammar, arguments) = names::grammar(arguments);
    ExitCode::from(cli::run(grammar, arguments))
}
