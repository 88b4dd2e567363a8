//! `dvc destroy`, `matraz destroy`

use matraz_base::{Failure, Kind};
use matraz_data::{destroy, install};

use super::project::Project;
use super::repro::ask;
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;
use crate::names::Grammar;

/// Remove the project: `.dvc`, all `.dvc` files and pipelines, and the cache; data in the workspace stay
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let question = "This removes all `.dvc` files, all pipelines and the cache of this project. Go on?";
    if !args.force && !ask(app, question) {
        let message = "cannot destroy without a confirmation from the user. Use `-f` to force".to_owned();
        return Err(CliError::Refused { message, kind: Kind::Conflict }.into());
    }
    if app.grammar != Grammar::Dvc {
        install::uninstall(&project.repo, &super::install::program(app))?;
    }
    destroy::destroy(&project.repo)?;
    Ok(Exit::OK)
}
