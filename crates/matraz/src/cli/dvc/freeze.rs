//! `dvc freeze`

use matraz_base::Failure;
use matraz_data::Index;
use matraz_data::stage::address::relative;
use matraz_data::stage::edit;

use super::project::Project;
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
    for target in targets {
        let mut index = Index::load(&project.repo)?;
        for n in index.find(target, &app.cwd)? {
            let stage = &mut index.stages[n];
            edit::set_frozen(stage, frozen)?;
            if let Some(name) = &stage.address.name {
                let file = relative(&stage.address.file, &app.cwd);
                app.out.line(&format!("Modifying stage '{name}' in '{file}'"));
            }
        }
    }
    Ok(Exit::OK)
}
