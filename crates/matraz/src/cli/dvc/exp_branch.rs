//! `dvc exp branch`, `matraz exp branch`

use matraz_base::Failure;
use matraz_data::experiment::branch;

use super::project::Project;
use crate::app::App;
use crate::exit::Exit;

/// Make a branch of git for an experiment
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Its name or commit
    experiment: String,
    /// The name of the branch [default: that of the experiment, and `-branch`]
    branch: Option<String>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let (name, experiment) = branch::branch(&project.repo, &args.experiment, args.branch.as_deref())?;
    app.out.line(&format!(
        "Git branch '{name}' has been created from experiment '{}'.\n\
         To switch to the new branch run:\n\n\tgit checkout {name}",
        experiment.reference.name
    ));
    Ok(Exit::OK)
}
