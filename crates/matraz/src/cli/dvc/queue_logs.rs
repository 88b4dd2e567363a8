//! `dvc queue logs`, `matraz queue logs`

use matraz_base::{Failure, Kind};
use matraz_data::experiment::queue;

use super::project::open_to_read;
use super::queue_follow::follow;
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;

/// Show the output of an experiment that a worker runs, or ran
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Its name, or the task
    task: String,
    /// The encoding of the output; only UTF-8 is known
    #[arg(short, long)]
    encoding: Option<String>,
    /// Go on showing it as it comes
    #[arg(short, long)]
    follow: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    if let Some(encoding) = &args.encoding
        && !["utf8", "ascii"].contains(&encoding.to_lowercase().replace(['-', '_'], "").as_str())
    {
        let message =
            format!("the encoding '{encoding}' is not supported: output is shown as it was written");
        return Err(CliError::Refused { message, kind: Kind::Conflict }.into());
    }
    let repo = open_to_read(app)?;
    let (task, log) = queue::log(&repo, &args.task)?;
    if args.follow {
        follow(app, &repo, &task, false)?;
        return Ok(Exit::OK);
    }
    let bytes =
        std::fs::read(&log).map_err(|source| matraz_data::Error::Io { action: "read", path: log, source })?;
    app.out.pass(false, &bytes);
    app.out.line("");
    Ok(Exit::OK)
}
