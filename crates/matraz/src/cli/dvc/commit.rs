//! `dvc commit`, `matraz commit`

use matraz_base::Failure;
use matraz_data::commit::{self, Options};
use matraz_data::target::TargetOptions;

use super::project::{Project, say_lock_file, warn_of_corrupted};
use super::repro::ask;
use crate::app::App;
use crate::exit::Exit;

/// Record changed data as they are in the workspace, and store them in the cache
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Stages, `.dvc` files, outputs or paths inside them [default: all]
    targets: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// All stages that the targets depend on, too
    #[arg(short = 'd', long)]
    with_deps: bool,
    /// Folders stand for everything below them
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Leave the files as they are even when the settings ask for links
    #[arg(long)]
    no_relink: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let repo = &project.repo;
    let options = Options {
        targets: TargetOptions { with_deps: args.with_deps, recursive: args.recursive },
        force: args.force,
        no_relink: args.no_relink,
    };
    let mut confirm = |question: &str| ask(app, question);
    let report =
        commit::commit(repo, &args.targets, options, &app.cwd, &mut confirm, &app.out, &app.interrupt)?;
    warn_of_corrupted(app, &report.corrupted);
    for (path, is_new) in &report.locks {
        say_lock_file(app, path, *is_new);
    }
    Ok(Exit::OK)
}
