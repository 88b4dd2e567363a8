//! `dvc exp rename`, `matraz exp rename`

use matraz_base::{Failure, Kind};
use matraz_data::experiment::remove;

use super::project::Project;
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;

/// Give an experiment another name
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Its name
    #[arg(required = true)]
    experiment: String,
    /// Its new name
    name: Option<String>,
    /// Rename it in another repository: a name of git's remotes, or an address
    #[arg(short, long, value_name = "GIT_REMOTE")]
    git_remote: Option<String>,
    /// Replace another experiment of that name
    #[arg(short, long)]
    force: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let Some(name) = &args.name else {
        let message = "An experiment to rename and a new experiment name are required.".to_owned();
        return Err(CliError::Refused { message, kind: Kind::Conflict }.into());
    };
    let project = Project::open(app)?;
    let renamed =
        remove::rename(&project.repo, &args.experiment, name, args.git_remote.as_deref(), args.force)?;
    app.out.line(&match renamed {
        true => format!("Renamed experiments: '{}'", args.experiment),
        false => "No experiments to rename.".to_owned(),
    });
    Ok(Exit::OK)
}
