//! `dvc queue kill`, `matraz queue kill`

use matraz_base::Failure;
use matraz_data::experiment::ExperimentError;
use matraz_data::experiment::queue;

use super::project::open_to_read;
use crate::app::App;
use crate::exit::Exit;

/// End running experiments, as Ctrl-C does
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Their names, or the tasks
    task: Vec<String>,
    /// At once, whatever they are doing
    #[arg(short, long)]
    force: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = open_to_read(app)?;
    let outcome = queue::kill(&repo, &args.task, args.force)?;
    for name in &outcome.killed {
        app.out.line(&format!("{name} has been killed."));
    }
    if !outcome.missing.is_empty() {
        let error = ExperimentError::NoSuchTask { names: outcome.missing, kind: "running" };
        return Err(matraz_data::Error::from(error).into());
    }
    Ok(Exit::OK)
}
