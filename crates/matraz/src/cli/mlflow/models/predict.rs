//! `mlflow models predict`, `matraz models predict`

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use matraz_base::{Failure, file};
use matraz_serve::Model;

use super::file_error;
use super::python::{Environment, Runner};
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;

/// Predict for the rows of a file and print the answer as JSON
#[derive(clap::Args, Debug)]
pub struct Args {
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
    /// Packages that replace those of the model in a made environment, comma-separated
    #[arg(short = 'r', long, value_name = "PACKAGES", value_delimiter = ',')]
    pip_requirements_override: Vec<String>,
    /// A variable for the model's Python, as often as needed
    #[arg(long, value_name = "KEY=VALUE")]
    env: Vec<String>,
}

/// The form of an input.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ContentType {
    /// A body of MLflow's scoring protocol.
    Json,
    /// A table with a line of names.
    Csv,
}

pub fn run(args: &Args, app: &App) -> Result<Exit, Failure> {
    let downloads = super::downloads()?;
    let found = super::find(&args.model_uri, downloads.path(), app)?;
    if let Some(folder) = args.output_path.as_deref().and_then(Path::parent) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        std::fs::metadata(folder).map_err(|source| file_error("write to", folder, source))?;
    }
    let environment = args.environment.with_packages(&args.pip_requirements_override)?;
    match environment.runner(&found.folder, app)? {
        Runner::Native(model) => natively(&model, args, app),
        Runner::Python(mut worker) => {
            for pair in &args.env {
                let Some((key, value)) = pair.split_once('=') else {
                    let message = format!("`--env {pair}` is not of the form KEY=VALUE");
                    return Err(CliError::Usage { message, hint: None }.into());
                };
                worker.env.push((key.into(), value.into()));
            }
            let form = match args.content_type {
                ContentType::Json => "json",
                ContentType::Csv => "csv",
            };
            worker.predict(form, args.input_path.as_deref(), args.output_path.as_deref())?;
            Ok(Exit::OK)
        }
    }
}

fn natively(model: &Model, args: &Args, app: &App) -> Result<Exit, Failure> {
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
            file::write(path, answer.as_bytes()).map_err(|source| file_error("write", path, source))?;
        }
        None => app.out.result(&answer),
    }
    Ok(Exit::OK)
}
