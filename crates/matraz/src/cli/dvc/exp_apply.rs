//! `dvc exp apply`, `matraz exp apply`

use matraz_base::Failure;
use matraz_data::experiment::apply;

use super::project::Project;
use crate::app::App;
use crate::exit::Exit;

/// Make the work tree that of an experiment
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Its name or commit
    experiment: String,
    /// Out of use: what the work tree held is kept in any case
    #[arg(long, hide = true)]
    no_force: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    if args.no_force {
        app.out.line(
            "The --no-force option is deprecated. To revert the result of 'exp apply', run:\n\n\
             \tgit reset --hard\n\tgit stash apply refs/exps/apply/stash\n",
        );
    }
    let project = Project::open(app)?;
    apply::apply(&project.repo, &args.experiment, &app.cwd, &app.out, &app.interrupt)?;
    let name = &args.experiment;
    app.out.line(&format!("Changes for experiment '{name}' have been applied to your current workspace."));
    Ok(Exit::OK)
}
