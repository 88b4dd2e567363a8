//! `dvc freeze`

use matraz_base::{Failure, Progress};
use matraz_data::stage::address::relative;
use matraz_data::stage::edit;
use matraz_data::target::TargetOptions;
use matraz_data::{Error, Index};

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

/// Freezes or thaws the targets; one that cannot be is told, and the others go on.
pub fn set(targets: &[String], app: &App, frozen: bool) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let verb = if frozen { "freeze" } else { "unfreeze" };
    let mut failed = None;
    for target in targets {
        if let Err(error) = set_one(&project, target, app, frozen)
            && let Some(earlier) = failed.replace((target, error))
        {
            tell(app, verb, &earlier);
        }
    }
    match failed {
        None => Ok(Exit::OK),
        Some((target, error)) => {
            Err(Error::FreezeFailed { verb, target: target.clone(), cause: Box::new(error) }.into())
        }
    }
}

fn tell(app: &App, verb: &str, (target, error): &(&String, Error)) {
    app.out.error(&format!("ERROR: failed to {verb} '{target}' - {error}"));
}

fn set_one(project: &Project, target: &str, app: &App, frozen: bool) -> Result<(), Error> {
    let mut index = Index::load_for(&project.repo, &[target.to_owned()], TargetOptions::default(), &app.cwd)?;
    let n = index.find_one(target, &app.cwd)?;
    let stage = &mut index.stages[n];
    edit::set_frozen(stage, frozen)?;
    if let Some(name) = &stage.address.name {
        let file = relative(&stage.address.file, &app.cwd);
        app.out.say(&format!("Modifying stage '{name}' in '{file}'"));
    }
    Ok(())
}
