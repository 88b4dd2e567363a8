//! `dvc queue remove`, `matraz queue remove`

use matraz_base::{Failure, Kind};
use matraz_data::experiment::ExperimentError;
use matraz_data::experiment::queue::{self, State, Task};

use super::project::open_to_read;
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;

/// Take experiments out of the queue
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Their names, or the tasks
    task: Vec<String>,
    /// All that do not run
    #[arg(long)]
    all: bool,
    /// Those that wait
    #[arg(long)]
    queued: bool,
    /// Those that made their experiments, which stay
    #[arg(long)]
    success: bool,
    /// Those that failed
    #[arg(long)]
    failed: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let by_state = args.all || args.queued || args.success || args.failed;
    if by_state != args.task.is_empty() {
        let message = "Either provide an `tasks` argument, or use the `--all`, `--queued`, `--failed`, `--success` flag.";
        return Err(CliError::Refused { message: message.to_owned(), kind: Kind::Conflict }.into());
    }
    let repo = open_to_read(app)?;
    let tasks = queue::tasks(&repo)?;
    let (mut gone, mut names): (Vec<Task>, Vec<String>) = (Vec::new(), Vec::new());
    for (wanted, state) in
        [(args.queued, State::Queued), (args.failed, State::Failed), (args.success, State::Success)]
    {
        gone.extend(tasks.iter().filter(|task| (wanted || args.all) && task.state == state).cloned());
    }
    names.extend(gone.iter().map(|task| task.name.clone()));
    let mut missing = Vec::new();
    for name in &args.task {
        match queue::find(&tasks, name, |task| !task.is_running()) {
            Some(task) => {
                gone.push(task.clone());
                names.push(name.clone());
            }
            None => missing.push(name.clone()),
        }
    }
    if !missing.is_empty() {
        let error = ExperimentError::NoSuchExperiment { names: missing, remote: None };
        return Err(matraz_data::Error::from(error).into());
    }
    queue::remove(&repo, &gone)?;
    app.out.line(&match names.is_empty() {
        true => "No tasks found named []".to_owned(),
        false => format!("Removed tasks in queue: {}", names.join(", ")),
    });
    Ok(Exit::OK)
}
