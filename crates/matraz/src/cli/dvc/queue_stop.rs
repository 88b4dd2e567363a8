//! `dvc queue stop`, `matraz queue stop`

use matraz_base::Failure;
use matraz_data::Repo;
use matraz_data::experiment::queue;

use crate::app::App;
use crate::exit::Exit;

/// Let workers end after their present experiments
#[derive(clap::Args, Debug)]
pub struct Args {
    /// End the running experiments, too
    #[arg(long)]
    kill: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = Repo::open(&app.cwd, &app.places())?;
    for name in queue::stop(&repo, args.kill)? {
        app.out.line(&format!("{name} has been killed."));
    }
    app.out.line(match args.kill {
        true => "All running tasks in the queue have been killed. Queue workers are stopping.",
        false => "Queue workers will stop after running tasks finish.",
    });
    Ok(Exit::OK)
}
