//! `dvc remove`, `matraz remove`

use matraz_base::Failure;
use matraz_data::remove;

use super::project::{Project, say_how_to_track};
use crate::app::App;
use crate::exit::Exit;

/// Take stages and `.dvc` files out of the project; their data stay
#[derive(clap::Args, Debug)]
pub struct Args {
    /// `.dvc` files and stages
    #[arg(required = true)]
    targets: Vec<String>,
    /// Remove the data from the workspace too
    #[arg(long)]
    outs: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let changed = remove::remove(&project.repo, &args.targets, args.outs, &app.cwd, &app.interrupt)?;
    say_how_to_track(app, &project.repo, &changed);
    Ok(Exit::OK)
}
