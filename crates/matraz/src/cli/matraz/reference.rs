//! `matraz gen`: writes the reference pages, so that they cannot drift from the program.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use matraz_base::{Explain, Failure, Kind, file};

use crate::app::App;
use crate::cli::CommandLine;
use crate::cli::{dvc, mlflow};
use crate::env;
use crate::exit::Exit;
use crate::{names, server};

/// Write the reference pages of this program
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder of the pages
    docs: PathBuf,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`", .path.display())]
struct GenError {
    path: PathBuf,
    source: io::Error,
}

impl Explain for GenError {
    fn kind(&self) -> Kind {
        Kind::Denied
    }
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let docs = app.cwd.join(&args.docs);
    save(&docs.join("commands.md"), &commands())?;
    save(&docs.join("environment.md"), &environment())?;
    save(&docs.join("parity.md"), &parity())?;
    save(&docs.join("openapi.json"), &(server::document() + "\n"))?;
    Ok(Exit::OK)
}

fn save(path: &Path, text: &str) -> Result<(), GenError> {
    file::write(path, text.as_bytes()).map_err(|source| GenError { path: path.to_path_buf(), source })
}

const NOTICE: &str = "<!-- Written by `make gen`; edit the program, not this page. -->\n";

fn commands() -> String {
    let mut page = format!("{NOTICE}# Commands\n\n");
    page.push_str(
        "One program, three grammars: `matraz`, and under their own names (`matraz shims DIR`) or behind \
         `matraz` the grammars `dvc` and `mlflow`.\n\n## Exit codes\n\n\
         | meaning | matraz | dvc | mlflow |\n| --- | ---: | ---: | ---: |\n",
    );
    for (meaning, kind) in MEANINGS {
        let code = |grammar| crate::exit::code(grammar, kind, 255);
        let _ = writeln!(
            page,
            "| {meaning} | {} | {} | {} |",
            code(names::Grammar::Matraz),
            code(names::Grammar::Dvc),
            code(names::Grammar::Mlflow)
        );
    }
    page.push_str(
        "\nDVC's commands that catch their own errors (`add`, `status`, `pull`, …) end with 1 instead of 255, as in \
         DVC. A gate ends with 0 for pass, 1 for fail and 2 when it cannot tell. A closed output pipe ends any \
         command with 141.\n",
    );
    for mut command in [super::Cli::command(), dvc::Cli::command(), mlflow::Cli::command()] {
        command.build();
        let name = command.get_name().to_owned();
        describe(&mut page, &command, &name, 2);
    }
    page
}

const MEANINGS: [(&str, Kind); 11] = [
    ("a stage or a service failed, or the answer is no", Kind::Failed),
    ("the command line is wrong", Kind::Usage),
    ("a file of the project is wrong", Kind::Config),
    ("the settings or credentials are wrong", Kind::Settings),
    ("something named does not exist", Kind::Missing),
    ("not inside a project", Kind::Outside),
    ("something exists already, or contradicts", Kind::Conflict),
    ("not allowed", Kind::Denied),
    ("cannot be reached now", Kind::Unreachable),
    ("stored bytes are corrupt", Kind::Corrupt),
    ("interrupted", Kind::Interrupted),
];

fn describe(page: &mut String, command: &Command, path: &str, depth: usize) {
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let _ = write!(page, "\n{} `{path}`\n\n{about}\n", "#".repeat(depth.min(4)));
    let arguments: Vec<_> = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && !is_everywhere(argument.get_id().as_str(), depth))
        .collect();
    if !arguments.is_empty() {
        page.push('\n');
    }
    for argument in arguments {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(page, "- `{}`: {help}", argument.to_string().replace('`', "'"));
    }
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
    {
        describe(page, inner, &format!("{path} {}", inner.get_name()), depth + 1);
    }
}

/// Options that every command has are described once, at the top.
fn is_everywhere(id: &str, depth: usize) -> bool {
    depth > 2 && matches!(id, "quiet" | "verbose" | "cd" | "help")
}

fn environment() -> String {
    let mut page = format!("{NOTICE}# Environment variables\n\n| variable | what it does |\n| --- | --- |\n");
    for variable in env::VARIABLES {
        let _ = writeln!(page, "| `{}` | {} |", variable.name, variable.doc.trim());
    }
    page.push_str(
        "\nStage commands get `DVC_ROOT` and `DVC_STAGE` as in DVC, and, when runs are recorded, \
         `MLFLOW_TRACKING_URI`, `MLFLOW_EXPERIMENT_NAME` and `MLFLOW_RUN_CONTEXT`.\n",
    );
    page
}

fn parity() -> String {
    let mut page = format!(
        "{NOTICE}# What of DVC and MLflow works\n\nMeasured against DVC {} and MLflow {}. An option that is not \
         listed under a command in [commands](commands.md) is refused by name.\n",
        names::DVC_VERSION,
        names::MLFLOW_VERSION
    );
    tool(&mut page, "DVC", dvc::Cli::command(), dvc::Cli::not_yet());
    tool(&mut page, "MLflow", mlflow::Cli::command(), mlflow::Cli::not_yet());
    page.push_str("\n## REST routes\n\nThe whole document: [openapi.json](openapi.json).\n\n");
    let document: serde_json::Value = serde_json::from_str(&server::document()).unwrap_or_default();
    for (path, methods) in document.get("paths").and_then(|paths| paths.as_object()).into_iter().flatten() {
        let methods: Vec<String> =
            methods.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase()).collect();
        let _ = writeln!(page, "- {} `{path}`", methods.join(", "));
    }
    page.push('\n');
    page.push_str(include_str!("reference/deviations.md"));
    page
}

fn tool(page: &mut String, name: &str, mut command: Command, not_yet: &[&str]) {
    command.build();
    let mut there = Vec::new();
    names_of(&command, "", &mut there);
    let quoted =
        |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let missing: Vec<String> = not_yet.iter().map(|name| (*name).to_owned()).collect();
    let _ = write!(page, "\n## {name}\n\nThere: {}.\n\nNot yet: {}.\n", quoted(&there), quoted(&missing));
}

fn names_of(command: &Command, path: &str, out: &mut Vec<String>) {
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help" && !inner.is_hide_set())
    {
        let name = format!("{path}{}", inner.get_name());
        if inner.has_subcommands() {
            names_of(inner, &format!("{name} "), out);
        } else {
            out.push(name);
        }
    }
}
