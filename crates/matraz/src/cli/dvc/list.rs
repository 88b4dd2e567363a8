//! `dvc list`, `matraz list`

use matraz_base::{Failure, Kind};
use matraz_data::source::list::{self, List};

use super::source::{SettingsArgs, Shown, end, json};
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;

/// List the files and data of a DVC or git repository
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The repository: a folder, or an address that git can clone
    url: String,
    /// A file or folder there
    path: Option<String>,
    /// What is in the folders, too
    #[arg(short = 'R', long)]
    recursive: bool,
    /// As a tree
    #[arg(short = 'T', long)]
    tree: bool,
    /// How many folders deep
    #[arg(short = 'L', long, value_name = "DEPTH")]
    level: Option<usize>,
    /// Only what DVC tracks
    #[arg(long)]
    dvc_only: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The revision: a commit, branch or tag
    #[arg(long, value_name = "REVISION", num_args = 0..=1)]
    rev: Option<Option<String>>,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Show sizes
    #[arg(long)]
    size: bool,
    /// Show digests
    #[arg(long)]
    show_hash: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    if args.tree && args.json {
        let message = "cannot use --tree and --json options together".into();
        return Err(CliError::Refused { message, kind: Kind::Conflict }.into());
    }
    let what = format!("failed to list '{}'", args.url);
    end(app, &what, 1, show(args, app))
}

fn show(args: Args, app: &App) -> Result<Exit, Failure> {
    let list = List {
        request: args.settings.request(&args.url, args.rev)?,
        path: args.path,
        recursive: args.recursive,
        data_only: args.dvc_only,
        level: args.level,
    };
    let shown = Shown { size: args.size, hash: args.show_hash };
    if args.tree {
        let tree = list::tree(&list, &app.cwd, &app.places())?;
        app.out.line(&shown.tree(&tree));
        return Ok(Exit::OK);
    }
    let entries = list::list(&list, &app.cwd, &app.places())?;
    if args.json {
        app.out.json(&json(&entries));
    } else if !entries.is_empty() {
        app.out.line(&shown.list(&entries));
    }
    Ok(Exit::OK)
}
