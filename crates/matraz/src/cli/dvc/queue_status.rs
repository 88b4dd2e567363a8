//! `dvc queue status`, `matraz queue status`

use matraz_base::Failure;
use matraz_data::experiment::queue::{self, State, Task};
use serde_json::json;

use super::exp_show::moment;
use super::project::open_to_read;
use crate::app::App;
use crate::cli::{only_in_matraz, table};
use crate::exit::Exit;

/// Show the experiments of the queue, and its workers
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print JSON (Matraz's own grammar alone)
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    only_in_matraz(app, "--json", args.json)?;
    let repo = open_to_read(app)?;
    let mut tasks = queue::tasks(&repo)?;
    tasks.sort_by_key(|task| (rank(task.state), task.order));
    let workers = queue::workers(&repo)?;
    let active = workers.iter().filter(|(_, busy)| *busy).count();
    if args.json {
        let entry = |task: &Task| {
            json!({"task": task.rev, "name": task.name, "created": task.created, "status": word(task.state),
                   "pid": task.pid, "attempts": task.attempts})
        };
        let tasks: Vec<_> = tasks.iter().map(entry).collect();
        app.out.json(&json!({"tasks": tasks, "workers": {"active": active, "idle": workers.len() - active}}));
        return Ok(Exit::OK);
    }
    if tasks.is_empty() {
        app.out.line("No experiment tasks in the queue.");
    } else {
        let headers = ["Task", "Name", "Created", "Status"].map(str::to_owned);
        let row = |task: &Task| {
            vec![
                task.rev[..7].to_owned(),
                task.name.clone(),
                moment(task.created),
                word(task.state).to_owned(),
            ]
        };
        app.out.line(&table::plain(&headers, &tasks.iter().map(row).collect::<Vec<_>>()));
    }
    app.out.line(&format!("\nWorker status: {active} active, {} idle", workers.len() - active));
    Ok(Exit::OK)
}

fn rank(state: State) -> u8 {
    match state {
        State::Running => 0,
        State::Queued => 1,
        State::Failed => 2,
        State::Success => 3,
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Running => "Running",
        State::Queued => "Queued",
        State::Failed => "Failed",
        State::Success => "Success",
    }
}
