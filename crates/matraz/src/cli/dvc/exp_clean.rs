//! `dvc exp clean`, `matraz exp clean`

use matraz_base::Failure;
use matraz_data::experiment::clean;

use super::project::Project;
use crate::app::App;
use crate::exit::Exit;

/// Remove what experiments that ended in a bad way left behind
#[derive(clap::Args, Debug)]
pub struct Args {}

pub fn run(_: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    app.out.line("Cleaning up temporary files of experiments...");
    clean::clean(&project.repo)?;
    app.out.line("Done!");
    Ok(Exit::OK)
}
