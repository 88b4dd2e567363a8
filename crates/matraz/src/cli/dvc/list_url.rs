//! `dvc list-url`, `matraz list-url`

use matraz_base::Failure;
use matraz_data::source::url;

use super::source::{Shown, json, settings};
use crate::app::App;
use crate::cli::only_in_matraz;
use crate::exit::Exit;

/// List the files at an address
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A path, or `remote://NAME/path` below a remote of the settings
    url: String,
    /// What is in the folders, too
    #[arg(short = 'R', long)]
    recursive: bool,
    /// As a tree
    #[arg(short = 'T', long)]
    tree: bool,
    /// How many folders deep
    #[arg(short = 'L', long, value_name = "DEPTH")]
    level: Option<usize>,
    /// Show sizes
    #[arg(long)]
    size: bool,
    /// Print JSON (Matraz's own grammar alone)
    #[arg(long, conflicts_with = "tree")]
    json: bool,
    /// Options for the address
    #[arg(long, value_name = "OPTION=VALUE", num_args = 0..)]
    fs_config: Vec<String>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    only_in_matraz(app, "--json", args.json)?;
    let config = settings(app, &args.fs_config, &args.url)?;
    let shown = Shown { size: args.size, hash: false };
    if args.tree {
        app.out.line(&shown.tree(&url::tree(&args.url, args.level, &config, &app.cwd)?));
        return Ok(Exit::OK);
    }
    let entries = url::list(&args.url, args.recursive, args.level, &config, &app.cwd)?;
    if args.json {
        app.out.json(&json(&entries));
    } else if !entries.is_empty() {
        app.out.line(&shown.list(&entries));
    }
    Ok(Exit::OK)
}
