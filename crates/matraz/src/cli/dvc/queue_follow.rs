//! `exp run --run-all`: workers for the whole queue, and their output as it comes.

use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use matraz_base::Failure;
use matraz_data::Repo;
use matraz_data::experiment::queue::{self, State, Task};

use super::exp_queue_worker::program;
use super::exp_run::how_to_apply;
use crate::app::App;
use crate::exit::Exit;

/// How often files are looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs all that waits, and follows it.
pub fn run_all(app: &App, repo: &Repo, jobs: usize) -> Result<Exit, Failure> {
    let waiting: Vec<Task> =
        queue::tasks(repo)?.into_iter().filter(|task| task.is_queued() || task.is_running()).collect();
    if waiting.is_empty() {
        return Ok(Exit::OK);
    }
    queue::start_workers(repo, jobs.max(1), &program()?)?;
    app.out.line(
        "Following logs for all queued experiments. Use Ctrl+C to stop following logs (experiment execution will \
         continue).\n",
    );
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for task in waiting {
        match follow(app, repo, &task, true)? {
            None => {
                let program = app.grammar.program();
                app.out.line(&format!(
                    "Experiment(s) are still executing in the background. To abort execution use '{program} queue kill' or \
                     '{program} queue stop'."
                ));
                break;
            }
            Some(State::Success) => done.push(task.name),
            Some(_) => failed.push(task.name),
        }
    }
    if !failed.is_empty() {
        app.out.error(&format!("Failed to reproduce experiment(s) '{}'", failed.join(", ")));
    }
    if !done.is_empty() {
        app.out.line(&format!("\nRan experiment(s): {}", done.join(", ")));
        app.out.line(&how_to_apply(app));
    }
    Ok(Exit::OK)
}

/// Shows the output of a task as it comes, up to its end. How it ended; `None` when the user has seen enough, or the
/// workers were stopped before it started. `revive` starts a worker when all were killed.
pub fn follow(app: &App, repo: &Repo, task: &Task, revive: bool) -> Result<Option<State>, Failure> {
    let log = task.log(repo);
    let mut shown = 0;
    loop {
        let now = queue::tasks(repo)?.into_iter().find(|one| one.rev == task.rev);
        shown += pass_on(app, &log, shown);
        match now {
            None => return Ok(Some(State::Failed)),
            Some(now) if matches!(now.state, State::Success | State::Failed) => {
                pass_on(app, &log, shown);
                return Ok(Some(now.state));
            }
            _ => {}
        }
        if app.interrupt.is_raised() {
            return Ok(None);
        }
        if revive && queue::workers(repo)?.is_empty() {
            if queue::is_stopped(repo) {
                return Ok(None);
            }
            queue::start_workers(repo, 1, &program()?)?;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Shows what a file holds behind `from`. Returns how much that was.
fn pass_on(app: &App, file: &std::path::Path, from: u64) -> u64 {
    let Ok(mut file) = std::fs::File::open(file) else { return 0 };
    let mut bytes = Vec::new();
    if file.seek(SeekFrom::Start(from)).is_err() || file.read_to_end(&mut bytes).is_err() || bytes.is_empty()
    {
        return 0;
    }
    app.out.pass(false, &bytes);
    bytes.len() as u64
}
