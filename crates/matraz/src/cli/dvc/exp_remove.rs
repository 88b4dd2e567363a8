//! `dvc exp remove`, `matraz exp remove`

use std::io::IsTerminal;

use matraz_base::{Failure, Kind};
use matraz_data::experiment::Experiment;
use matraz_data::experiment::remove::{self, Request};
use matraz_loop::{Tracker, experiment};

use super::exp::{Selection, quoted};
use super::project::Project;
use super::repro::ask;
use crate::app::App;
use crate::cli::{CliError, only_in_matraz};
use crate::exit::Exit;
use crate::project;

/// Remove experiments
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Their names
    experiment: Vec<String>,
    #[command(flatten)]
    selection: Selection,
    /// Remove all but these
    #[arg(long)]
    keep: bool,
    /// Remove those that wait in the queue
    #[arg(long, conflicts_with = "git_remote")]
    queue: bool,
    /// Remove them from another repository: a name of git's remotes, or an address
    #[arg(short, long, value_name = "GIT_REMOTE")]
    git_remote: Option<String>,
    /// Delete the runs that recorded them, too (Matraz's own grammar alone; asked for on a terminal)
    #[arg(long)]
    runs: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    only_in_matraz(app, "--runs", args.runs)?;
    let refuse = |message: &str| CliError::Refused { message: message.to_owned(), kind: Kind::Conflict };
    let by_commit = args.selection.all_commits || !args.selection.rev.is_empty();
    if (by_commit || args.queue) != args.experiment.is_empty() {
        return Err(refuse(
            "Either provide an `experiment` argument, or use the `--rev` or `--all-commits` or `--queue` flag.",
        )
        .into());
    }
    if args.keep && args.queue {
        return Err(refuse("Cannot use both `--keep` and `--queue`.").into());
    }
    let open = Project::open(app)?;
    let request = Request {
        names: args.experiment.clone(),
        baselines: by_commit.then(|| args.selection.baselines()),
        queue: args.queue,
        keep: args.keep,
        remote: args.git_remote.clone(),
    };
    let plan = remove::plan(&open.repo, &request)?;
    remove::apply(&open.repo, &plan, args.git_remote.as_deref())?;
    app.out.line(&match plan.names.is_empty() {
        true => "No experiments to remove.".to_owned(),
        false => format!("Removed experiments: {}", quoted(&plan.names)),
    });
    if args.git_remote.is_none() {
        remove_runs(&args, app, &open, &plan.experiments)?;
    }
    Ok(Exit::OK)
}

/// Deletes the runs of experiments that are gone, when the user wants it.
fn remove_runs(args: &Args, app: &App, open: &Project, gone: &[Experiment]) -> Result<(), Failure> {
    let may_ask = std::io::stdin().is_terminal();
    if gone.is_empty() || !(args.runs || may_ask) {
        return Ok(());
    }
    let Some(project) = project::Project::tracked(app, &open.repo.root)? else { return Ok(()) };
    // A store that nobody has made yet has no runs.
    let Ok(tracker) = Tracker::open_existing(project.target) else { return Ok(()) };
    let commits: Vec<&str> = gone.iter().map(|one| one.commit.as_str()).collect();
    let runs = experiment::runs_of(&tracker, &commits)?;
    if runs.is_empty() {
        return Ok(());
    }
    let number = match runs.len() {
        1 => "the run that recorded it".to_owned(),
        many => format!("the {many} runs that recorded them"),
    };
    if args.runs || ask(app, &format!("Delete {number}, too?")) {
        experiment::delete_runs(&tracker, &runs)?;
        let names: Vec<String> = runs.into_iter().map(|run| run.name).collect();
        app.out.line(&format!("Deleted runs: {}", quoted(&names)));
    }
    Ok(())
}
