//! `dvc get`, `matraz get`

use matraz_base::Failure;
use matraz_data::source::get::{self, Get};

use super::source::{CopyArgs, SettingsArgs, end, given, threads, uncaught};
use crate::app::App;
use crate::exit::Exit;

/// Copy a file or folder out of a DVC or git repository
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The repository: a folder, or an address that git can clone
    url: String,
    /// A file or folder there
    path: String,
    /// The revision: a commit, branch or tag
    #[arg(long, value_name = "REVISION", num_args = 0..=1)]
    rev: Option<Option<String>>,
    #[command(flatten)]
    copy: CopyArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let request = args.settings.request(&args.url, args.rev)?;
    if args.copy.show_url {
        let found = get::storage_url(&request, &args.path, &app.cwd, &app.places());
        return uncaught(app, found.map(|url| app.out.result(&url)));
    }
    let what = format!("failed to get '{}' from '{}'", args.path, args.url);
    let get = Get {
        request,
        path: args.path,
        out: given(args.copy.out),
        force: args.copy.force,
        threads: threads(args.copy.jobs),
    };
    let outcome = get::get(&get, &app.cwd, &app.places(), &app.out, &app.interrupt);
    end(app, &what, 255, outcome.map(|_| Exit::OK).map_err(Failure::from))
}
