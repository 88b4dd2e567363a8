//! `matraz verify`

use matraz_base::Failure;
use matraz_loop::verify;
use serde_json::json;

use crate::app::App;
use crate::cli::dvc::project as data;
use crate::exit::Exit;
use crate::project::Project;

/// Check that the runs of a branch, its lock files and the cache agree; nothing is run
///
/// Exit 0: they agree. Exit 1: something does not.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The branch or another revision
    #[arg(default_value = "HEAD")]
    revision: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::here(app)?;
    let repo = data::open_to_read(app)?;
    let tracker = project.tracker()?;
    let report = verify::verify(&repo, &tracker, &args.revision)?;
    let sound = report.problems.is_empty();
    if args.json {
        app.out.json(&json!(report));
    } else {
        for problem in &report.problems {
            app.out.result(&format!("≠ {}", problem.message));
        }
        for stage in &report.unproven {
            app.out.line(&format!("? no run is known to have made what dvc.lock says of stage {stage}"));
        }
        let count = match report.problems.len() {
            0 => "nothing contradicts".to_owned(),
            1 => "1 problem".to_owned(),
            count => format!("{count} problems"),
        };
        app.out.line(&format!(
            "{}: {} commits, {} pipeline runs, {} of {} stages proven by runs, {count}",
            report.revision,
            report.commits,
            report.runs,
            report.proven,
            report.proven + report.unproven.len()
        ));
    }
    Ok(if sound { Exit::OK } else { Exit::NO })
}
