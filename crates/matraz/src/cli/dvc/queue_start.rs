//! `dvc queue start`, `matraz queue start`

use matraz_base::Failure;
use matraz_data::Repo;
use matraz_data::experiment::queue;

use super::exp_queue_worker::program;
use crate::app::App;
use crate::exit::Exit;

/// Start workers, which run queued experiments in the background
#[derive(clap::Args, Debug)]
pub struct Args {
    /// How many experiments may run at the same time
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    jobs: usize,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = Repo::open(&app.cwd, &app.places())?;
    let started = queue::start_workers(&repo, args.jobs, &program()?)?;
    let plural = if started > 1 { "s" } else { "" };
    app.out.line(&format!("Started '{started}' new experiments task queue worker{plural}."));
    Ok(Exit::OK)
}
