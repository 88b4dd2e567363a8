//! `dvc remove`, `matraz remove`

use matraz_base::Failure;
use matraz_data::remove;

use super::project::Project;
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
    remove::remove(&project.repo, &args.targets, args.outs, &app.cwd, &app.interrupt)?;
    Ok(Exit::OK)
}
