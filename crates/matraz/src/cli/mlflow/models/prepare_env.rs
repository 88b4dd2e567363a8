//! `mlflow models prepare-env`, `matraz models prepare-env`

use matraz_base::Failure;

use super::python::{Environment, Runner};
use crate::app::App;
use crate::exit::Exit;

/// Make the environment of a model, so that serving it starts at once
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The model: models:/NAME@ALIAS, models:/NAME/VERSION, models:/MODEL_ID, runs:/RUN_ID/PATH or a folder
    #[arg(short, long, value_name = "URI")]
    model_uri: String,
    #[command(flatten)]
    environment: Environment,
}

pub fn run(args: &Args, app: &App) -> Result<Exit, Failure> {
    let downloads = super::downloads()?;
    let found = super::find(&args.model_uri, downloads.path(), app)?;
    match args.environment.runner(&found.folder, app)? {
        Runner::Native(_) => app.out.line("The model runs inside this program and needs no environment."),
        Runner::Python(worker) => app.out.line(&format!("{} runs the model.", worker.python.display())),
    }
    Ok(Exit::OK)
}
