//! `dvc unprotect`, `matraz unprotect`

use matraz_base::Failure;
use matraz_data::stage::address::join;
use matraz_data::unprotect;

use super::project::Project;
use crate::app::App;
use crate::exit::Exit;

/// Make tracked files or folders safe to edit, if they are links to the cache
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files and folders
    #[arg(required = true)]
    targets: Vec<String>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    for target in &args.targets {
        unprotect::unprotect(&project.repo, &join(&app.cwd, target))?;
    }
    Ok(Exit::OK)
}
