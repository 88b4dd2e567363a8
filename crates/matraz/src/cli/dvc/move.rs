//! `dvc move`, `matraz move`

use matraz_base::{Failure, Progress};
use matraz_data::r#move;

use super::project::{Project, say_how_to_track, warn_of_corrupted};
use crate::app::App;
use crate::exit::Exit;

/// Rename or move a tracked file or folder together with its `.dvc` file
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The file or folder
    src: String,
    /// Its new path, or the folder it goes into
    dst: String,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let report = r#move::r#move(&project.repo, &args.src, &args.dst, &app.cwd, &app.out, &app.interrupt)?;
    warn_of_corrupted(app, &report.corrupted);
    if report.missing {
        app.out.warn(&format!("'{}' is not there: only its `.dvc` file was moved", args.src));
    }
    say_how_to_track(app, &project.repo, &report.changed);
    Ok(Exit::OK)
}
