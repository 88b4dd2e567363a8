//! `mlflow models`, `matraz models`

pub mod predict;
pub mod prepare_env;
pub mod python;
pub mod serve;

use std::cell::OnceCell;
use std::path::Path;

use clap::Subcommand;
use matraz_base::Failure;
use matraz_loop::model_uri::{self, Found, ModelUri};
use matraz_loop::{Error, Tracker};

use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;
use crate::project::Project;

/// Serve models and predict with them
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with a model.
#[derive(Subcommand, Debug)]
pub enum Command {
    Serve(serve::Args),
    Predict(predict::Args),
    PrepareEnv(prepare_env::Args),
    #[command(hide = true)]
    BuildDocker(NotYet),
    #[command(hide = true)]
    GenerateDockerfile(NotYet),
    #[command(hide = true)]
    UpdatePipRequirements(NotYet),
}

/// A command of MLflow that is not there yet
#[derive(clap::Args, Debug)]
pub struct NotYet {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    asked: Vec<String>,
}

fn not_yet(command: &str) -> Result<Exit, Failure> {
    let message = format!("`models {command}` is not supported yet by matraz");
    Err(CliError::Usage { message, hint: None }.into())
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    args.command.run(app)
}

impl Command {
    /// Runs the command.
    pub fn run(self, app: &App) -> Result<Exit, Failure> {
        match self {
            Self::Serve(args) => serve::run(&args, app),
            Self::Predict(args) => predict::run(&args, app),
            Self::PrepareEnv(args) => prepare_env::run(&args, app),
            Self::BuildDocker(_) => not_yet("build-docker"),
            Self::GenerateDockerfile(_) => not_yet("generate-dockerfile"),
            Self::UpdatePipRequirements(_) => not_yet("update-pip-requirements"),
        }
    }
}

/// Finds the files of a model; a store is opened only when the address needs one.
fn find(uri: &str, downloads: &Path, app: &App) -> Result<Found, Failure> {
    let uri = ModelUri::parse(uri, &app.cwd)?;
    if let ModelUri::Folder(folder) = uri {
        return Ok(Found { folder, version: None });
    }
    let target = Project::here(app)?.target;
    let opened = OnceCell::new();
    let tracker = || {
        if opened.get().is_none() {
            let _ = opened.set(Tracker::open_existing(target.clone())?);
        }
        opened.get().ok_or_else(|| Error::BadModelUri { uri: format!("{uri:?}") })
    };
    Ok(model_uri::find(tracker, &uri, downloads)?)
}

/// A folder for the files of a model that lies behind a server; it goes when the command ends.
fn downloads() -> Result<tempfile::TempDir, Failure> {
    let made = tempfile::Builder::new().prefix("matraz-model-").tempdir();
    Ok(made.map_err(|source| file_error("make", Path::new("temporary folder"), source))?)
}

fn file_error(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::File { action, path: path.to_path_buf(), source }
}
