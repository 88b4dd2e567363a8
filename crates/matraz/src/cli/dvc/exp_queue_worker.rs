//! A worker of the queue: a process that takes tasks until there are none.

use matraz_base::Failure;
use matraz_data::Repo;
use matraz_data::experiment::queue::{Program, Worker};

use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;

/// Take tasks from the queue until there are none
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Its name
    name: String,
}

/// How this program is started.
pub fn program() -> Result<Program, Failure> {
    let path = std::env::current_exe().map_err(|error| CliError::Refused {
        message: format!("cannot find the file of this program: {error}"),
        kind: matraz_base::Kind::Bug,
    })?;
    Ok(Program { path, name: "matraz".into() })
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = Repo::open(&app.cwd, &app.places())?;
    if let Some(worker) = Worker::begin(&repo, &args.name)? {
        worker.work(&program()?, &app.interrupt)?;
    }
    Ok(Exit::OK)
}
