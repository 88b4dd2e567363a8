//! `dvc import-url`, `matraz import-url`

use matraz_base::{Failure, Kind};
use matraz_data::source::import::Depth;
use matraz_data::source::import_url::{self, Import};

use super::import::DepthArgs;
use super::project::{Project, say_how_to_track};
use super::source::{end, options, threads};
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;

/// Bring a file or folder from an address into the project, and remember where it came from
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A path, or `remote://NAME/path` below a remote of the settings
    url: String,
    /// Where to put it
    out: Option<String>,
    /// Send the content to a remote instead of workspace and cache
    #[arg(long)]
    to_remote: bool,
    /// The remote for `--to-remote`
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    #[command(flatten)]
    depth: DepthArgs,
    /// How many files to copy at a time
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// Replace what is in the way
    #[arg(short, long)]
    force: bool,
    /// Keep to the version that a cloud has of the data now
    #[arg(long)]
    version_aware: bool,
    /// Options for the address
    #[arg(long, value_name = "OPTION=VALUE", num_args = 0..)]
    fs_config: Vec<String>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let what = format!("failed to import {}. You could also copy it and `add` it.", args.url);
    end(app, &what, 255, bring(args, app, &project))
}

fn bring(args: Args, app: &App, project: &Project) -> Result<Exit, Failure> {
    let depth = args.depth.depth();
    let refuse = |message: &str| -> Failure {
        CliError::Refused { message: message.into(), kind: Kind::Conflict }.into()
    };
    let import = Import {
        url: args.url,
        out: args.out,
        to_remote: args.to_remote,
        remote: args.remote,
        force: args.force,
        depth,
        version_aware: args.version_aware,
        fs_config: options(&args.fs_config)?,
        threads: threads(args.jobs),
    };
    if import.to_remote && (depth != Depth::Download || import.version_aware) {
        return Err(refuse("--no-exec/--no-download/--version-aware cannot be combined with --to-remote"));
    }
    if !import.to_remote && import.remote.is_some() {
        return Err(refuse("--remote can't be used without --to-remote"));
    }
    let report = import_url::import(&project.repo, &import, &app.cwd, &app.out, &app.interrupt)?;
    say_how_to_track(app, &project.repo, &report.changed);
    Ok(Exit::OK)
}
