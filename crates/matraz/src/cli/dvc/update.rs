//! `dvc update`, `matraz update`

use matraz_base::{Failure, Kind};
use matraz_data::source::update::{self, Options};

use super::project::{Project, say_how_to_track};
use super::source::{end, given, threads};
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;

/// Bring imported data to what their sources are now
#[derive(clap::Args, Debug)]
pub struct Args {
    /// `.dvc` files of imports, or their outputs
    #[arg(required = true)]
    targets: Vec<String>,
    /// The revision to follow from now on: a commit, branch or tag
    #[arg(long, value_name = "REVISION", num_args = 0..=1)]
    rev: Option<Option<String>>,
    /// Folders stand for all imports below them
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Record what is there now, and leave the data for `pull`
    #[arg(long)]
    no_download: bool,
    /// Send the content to a remote instead of workspace and cache
    #[arg(long)]
    to_remote: bool,
    /// The remote for `--to-remote`
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    /// How many files to copy at a time
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    end(app, "failed update data", 255, bring(args, app, &project))
}

fn bring(args: Args, app: &App, project: &Project) -> Result<Exit, Failure> {
    let refuse = |message: &str| -> Failure {
        CliError::Refused { message: message.into(), kind: Kind::Conflict }.into()
    };
    if args.to_remote && args.no_download {
        return Err(refuse("--to-remote can't be used with --no-download"));
    }
    if !args.to_remote && args.remote.is_some() {
        return Err(refuse("--remote can't be used without --to-remote"));
    }
    let options = Options {
        rev: given(args.rev),
        recursive: args.recursive,
        no_download: args.no_download,
        to_remote: args.to_remote,
        remote: args.remote,
        threads: threads(args.jobs),
    };
    let repo = &project.repo;
    let report = update::update(repo, &args.targets, &options, &app.cwd, &app.out, &app.interrupt)?;
    say_how_to_track(app, repo, &report.changed);
    Ok(Exit::OK)
}
