//! `dvc init`

use matraz_base::Failure;
use matraz_data::Repo;
use matraz_data::repo::InitOptions;

use crate::app::App;
use crate::exit::Exit;

/// Make a folder a project
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder [default: the current one]
    directory: Option<String>,
    /// Work without git
    #[arg(long)]
    no_scm: bool,
    /// Replace a project that exists here
    #[arg(short, long)]
    force: bool,
    /// The root of the git repository may be above the project
    #[arg(long)]
    subdir: bool,
}

/// DVC gives this code for options that exclude each other here.
const EXCLUDING_OPTIONS: u8 = 255;

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    if args.no_scm && args.subdir {
        app.out.error("ERROR: `--no-scm` and `--subdir` exclude each other");
        return Ok(Exit(EXCLUDING_OPTIONS));
    }
    let folder = app.cwd.join(args.directory.unwrap_or_default());
    let options = InitOptions { no_scm: args.no_scm, force: args.force, subdir: args.subdir };
    Repo::init(&folder, options, &app.places())?;
    app.out.line("Initialized DVC repository.");
    if !args.no_scm {
        app.out.line("\nYou can now commit the changes to git.");
    }
    Ok(Exit::OK)
}
