//! `mlflow server`, `mlflow ui`, `matraz server`, `matraz ui`

use matraz_base::Failure;

use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;

/// Serve the tracking API and the web app
#[derive(clap::Args, Debug)]
pub struct Args {}

pub fn run(_: Args, _: &App) -> Result<Exit, Failure> {
    Err(CliError::Usage { message: "the server is being built".into(), hint: None }.into())
}
