//! `mlflow models`, `matraz models`

use std::cell::OnceCell;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use matraz_base::{Failure, file};
use matraz_loop::model_uri::{self, Found, ModelUri};
use matraz_loop::{Error, Tracker};
use matraz_serve::Model;
use matraz_serve::scoring::{Options, router_with};

use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;
use crate::project::{Project, text};
use crate::server;

/// Serve models and predict with them, without Python
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with a model.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Answer MLflow's scoring protocol over HTTP: `POST /invocations`
    Serve(Serve),
    /// Predict for the rows of a file and print the answer as JSON
    Predict(Predict),
}

/// Answer MLflow's scoring protocol over HTTP: `POST /invocations`
#[derive(clap::Args, Debug)]
#[command(disable_help_flag = true)]
pub struct Serve {
    /// The model: models:/NAME@ALIAS, models:/NAME/VERSION, models:/MODEL_ID, runs:/RUN_ID/PATH or a folder
    #[arg(short, long, value_name = "URI")]
    model_uri: String,
    /// The address to listen on
    #[arg(short = 'h', long, default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; 0 picks a free one
    #[arg(short, long, default_value_t = 5000)]
    port: u16,
    /// Seconds before a request is given up [default: MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT or 60]
    #[arg(short, long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// How many predictions run at once [default: one for each processor]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    #[command(flatten)]
    environment: Environment,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

/// Predict for the rows of a file and print the answer as JSON
#[derive(clap::Args, Debug)]
pub struct Predict {
    /// The model: models:/NAME@ALIAS, models:/NAME/VERSION, models:/MODEL_ID, runs:/RUN_ID/PATH or a folder
    #[arg(short, long, value_name = "URI")]
    model_uri: String,
    /// The input [default: standard input]
    #[arg(short, long, value_name = "FILE")]
    input_path: Option<PathBuf>,
    /// Where to write the answer [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output_path: Option<PathBuf>,
    /// The form of the input
    #[arg(short = 't', long, default_value = "json")]
    content_type: ContentType,
    #[command(flatten)]
    environment: Environment,
}

/// The environment that a model runs in: always that of this program, so that there is one choice only.
#[derive(clap::Args, Debug)]
struct Environment {
    /// Where the model runs; models run inside this program, so no environment is made
    #[arg(long, value_name = "MANAGER", value_parser = ["local"])]
    env_manager: Option<String>,
    /// The same as `--env-manager local`
    #[arg(long, hide = true)]
    no_conda: bool,
}

/// The form of an input.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ContentType {
    /// A body of MLflow's scoring protocol.
    Json,
    /// A table with a line of names.
    Csv,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    args.command.run(app)
}

impl Command {
    /// Runs the command.
    pub fn run(self, app: &App) -> Result<Exit, Failure> {
        match self {
            Self::Serve(args) => serve(&args, app),
            Self::Predict(args) => predict(&args, app),
        }
    }
}

fn serve(args: &Serve, app: &App) -> Result<Exit, Failure> {
    let downloads = downloads()?;
    let found = find(&args.model_uri, downloads.path(), app)?;
    let model = Arc::new(Model::load(&found.folder)?);
    let mut options = Options::default();
    if let Some(seconds) = args.timeout.map_or_else(|| timeout_of(app), |seconds| Ok(Some(seconds)))? {
        options.timeout = Duration::from_secs(seconds);
    }
    if let Some(workers) = args.workers {
        options.parallel = usize::from(workers);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })?;
    let name = match &found.version {
        Some(version) => format!("{} (version {} of `{}`)", args.model_uri, version.version, version.model),
        None => args.model_uri.clone(),
    };
    let started = |address| {
        app.out.result(&format!("{name} answers POST http://{address}/invocations (Ctrl-C ends it)"));
    };
    runtime.block_on(server::serve(router_with(model, options), &args.host, args.port, started))?;
    Ok(Exit::OK)
}

fn timeout_of(app: &App) -> Result<Option<u64>, Failure> {
    let Some(text) = text(app.env.mlflow_scoring_server_request_timeout.as_ref()) else { return Ok(None) };
    match text.trim().parse() {
        Ok(seconds) if seconds > 0 => Ok(Some(seconds)),
        _ => {
            let message =
                format!("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT is `{text}`, which is no number of seconds");
            Err(CliError::Usage { message, hint: None }.into())
        }
    }
}

fn predict(args: &Predict, app: &App) -> Result<Exit, Failure> {
    let downloads = downloads()?;
    let found = find(&args.model_uri, downloads.path(), app)?;
    let model = Model::load(&found.folder)?;
    let input = match &args.input_path {
        Some(path) => std::fs::read(path).map_err(|source| file_error("read", path, source))?,
        None => {
            let mut input = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut input);
            read.map_err(|source| file_error("read", Path::new("standard input"), source))?;
            input
        }
    };
    let content_type = match args.content_type {
        ContentType::Json => "application/json",
        ContentType::Csv => "text/csv",
    };
    let answer = model.predict(&input, content_type)?;
    match &args.output_path {
        Some(path) => {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                std::fs::metadata(folder).map_err(|source| file_error("write to", folder, source))?;
            }
            file::write(path, answer.as_bytes()).map_err(|source| file_error("write", path, source))?
        }
        None => app.out.result(&answer),
    }
    Ok(Exit::OK)
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
