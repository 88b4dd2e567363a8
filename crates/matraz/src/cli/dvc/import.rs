//! `dvc import`, `matraz import`

use matraz_base::Failure;
use matraz_data::source::import::{self, Depth, Import};

use super::project::{Project, say_how_to_track};
use super::source::{SettingsArgs, end, given, threads};
use crate::app::App;
use crate::exit::Exit;

/// Bring a file or folder of another repository into the project, and remember where it came from
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The repository: a folder, or an address that git can clone
    url: String,
    /// A file or folder there
    path: String,
    /// Where to put it
    #[arg(short, long, value_name = "PATH", num_args = 0..=1)]
    out: Option<Option<String>>,
    /// Replace what is in the way
    #[arg(short, long)]
    force: bool,
    /// The revision: a commit, branch or tag
    #[arg(long, value_name = "REVISION", num_args = 0..=1)]
    rev: Option<Option<String>>,
    #[command(flatten)]
    depth: DepthArgs,
    /// How many files to copy at a time
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// How much of an import is done at once.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(multiple = false)]
pub struct DepthArgs {
    /// Only write the `.dvc` file
    #[arg(long)]
    no_exec: bool,
    /// Look the source up, and leave its data for `pull`
    #[arg(long)]
    no_download: bool,
}

impl DepthArgs {
    /// What was asked for.
    pub fn depth(self) -> Depth {
        match self {
            Self { no_exec: true, .. } => Depth::NoExec,
            Self { no_download: true, .. } => Depth::NoDownload,
            _ => Depth::Download,
        }
    }
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let what = format!("failed to import '{}' from '{}'.", args.path, args.url);
    end(app, &what, 255, bring(args, app, &project))
}

fn bring(args: Args, app: &App, project: &Project) -> Result<Exit, Failure> {
    let import = Import {
        request: args.settings.request(&args.url, args.rev)?,
        path: args.path,
        out: given(args.out),
        force: args.force,
        depth: args.depth.depth(),
        threads: threads(args.jobs),
    };
    let report = import::import(&project.repo, &import, &app.cwd, &app.out, &app.interrupt)?;
    say_how_to_track(app, &project.repo, &report.changed);
    Ok(Exit::OK)
}
