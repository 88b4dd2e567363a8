//! `dvc freeze`

use matraz_base::Failure;
use matraz_data::Index;
use matraz_data::stage::edit;

use super::project::{Project, say_how_to_track};
use crate::app::App;
use crate::exit::Exit;

/// Keep stages from running when what they read changes
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Stages or `.dvc` files
    #[arg(required = true)]
    targets: Vec<String>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    set(&args.targets, app, true)
}

/// Freezes or thaws the targets.
pub fn set(targets: &[String], app: &App, frozen: bool) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let mut written = Vec::new();
    for target in targets {
        let mut index = Index::load(&project.repo)?;
        for n in index.find(target, &app.cwd)? {
            let stage = &mut index.stages[n];
            if edit::set_frozen(stage, frozen)? {
                written.push(stage.address.file.clone());
            }
        }
    }
    project.repo.stage_for_git(&written)?;
    say_how_to_track(app, &project.repo, &written);
    Ok(Exit::OK)
}
