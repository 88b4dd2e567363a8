//! `dvc exp save`, `matraz exp save`

use matraz_base::{Failure, Progress};
use matraz_data::Error;
use matraz_data::experiment::ExperimentError;
use matraz_data::experiment::save::{self, Request};
use serde_json::json;

use super::exp::caught;
use super::project::Project;
use crate::app::App;
use crate::exit::Exit;

/// Keep the work tree as it is as an experiment
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Put only the data of these stages and `.dvc` files into the cache
    targets: Vec<String>,
    /// Folders stand for everything below them
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Replace another experiment of that name
    #[arg(short, long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Its name [default: an adjective and a noun]
    #[arg(short, long)]
    name: Option<String>,
    /// Untracked files that belong to it
    #[arg(short = 'I', long, value_name = "PATH")]
    include_untracked: Vec<String>,
    /// The message of its commit
    #[arg(short, long, short_alias = 'M')]
    message: Option<String>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let request = Request {
        targets: args.targets,
        name: args.name.filter(|name| !name.is_empty()),
        recursive: args.recursive,
        force: args.force,
        include_untracked: args.include_untracked,
        message: args.message,
    };
    if project.repo.git.as_ref().is_none_or(|git| git.head_commit().is_none()) {
        return Err(Error::from(ExperimentError::NoCommits).into());
    }
    let saved = save::save(&project.repo, &request, &app.cwd, &app.out, &app.interrupt);
    caught(
        app,
        saved.map_err(Failure::from).map(|(finished, left)| {
            if !left.is_empty() {
                app.out.warn(&format!(
                    "The following untracked files were present in the workspace before saving but will not be included in \
                     the experiment commit:\n\t{}",
                    left.join(", ")
                ));
            }
            match args.json {
                true => app.out.json(&json!({"ref": finished.commit})),
                false => app.out.line(&format!("Experiment has been saved as: {}", finished.start.name)),
            }
            Exit::OK
        }),
    )
}
