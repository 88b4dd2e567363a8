//! `dvc get-url`, `matraz get-url`

use matraz_base::Failure;
use matraz_data::source::url;

use super::source::{end, settings, threads};
use crate::app::App;
use crate::exit::Exit;

/// Copy a file or folder from an address
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A path, or `remote://NAME/path` below a remote of the settings
    url: String,
    /// Where to put it
    out: Option<String>,
    /// How many files to copy at a time
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// Replace what is in the way
    #[arg(short, long)]
    force: bool,
    /// Options for the address
    #[arg(long, value_name = "OPTION=VALUE", num_args = 0..)]
    fs_config: Vec<String>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let what = format!("failed to get '{}'", args.url);
    end(app, &what, 1, copy(&args, app))
}

fn copy(args: &Args, app: &App) -> Result<Exit, Failure> {
    let config = settings(app, &args.fs_config, &args.url)?;
    let threads = threads(args.jobs);
    let out = args.out.as_deref();
    url::get(&args.url, out, args.force, threads, &config, &app.cwd, &app.out, &app.interrupt)?;
    Ok(Exit::OK)
}
