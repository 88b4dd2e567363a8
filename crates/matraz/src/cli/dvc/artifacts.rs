//! `dvc artifacts`

use clap::Subcommand;
use matraz_base::{Failure, Kind};
use matraz_data::source::artifact::{self, Get};
use matraz_data::source::get::storage_url;
use matraz_data::stage::address::relative;

use super::source::{CopyArgs, SettingsArgs, end, given, threads};
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;

/// Models and other artifacts that a repository names and versions by tags
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Get(GetArgs),
}

/// Copy an artifact that a repository names in `dvc.yaml` out of it
#[derive(clap::Args, Debug)]
pub struct GetArgs {
    /// The repository: a folder, or an address that git can clone
    url: String,
    /// `NAME` or `FOLDER:NAME`, as `dvc.yaml` has it
    name: String,
    /// The version: `v1.2.0` [default: the greatest]
    #[arg(long, value_name = "VERSION", num_args = 0..=1)]
    rev: Option<Option<String>>,
    /// The stage of its life that tags give it
    #[arg(long, value_name = "STAGE", num_args = 0..=1)]
    stage: Option<Option<String>>,
    #[command(flatten)]
    copy: CopyArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let Command::Get(args) = args.command;
    get(args, app)
}

/// `artifacts get`, also in Matraz's own grammar.
pub fn get(args: GetArgs, app: &App) -> Result<Exit, Failure> {
    if args.copy.show_url {
        return copy(args, app);
    }
    let what = format!("failed to get '{}' from '{}'", args.name, args.url);
    end(app, &what, 1, copy(args, app))
}

fn copy(args: GetArgs, app: &App) -> Result<Exit, Failure> {
    let get = Get {
        request: args.settings.request(&args.url, None)?,
        name: args.name,
        version: given(args.rev),
        stage: given(args.stage),
        out: given(args.copy.out),
        force: args.copy.force,
        threads: threads(args.copy.jobs),
    };
    if get.version.is_some() && get.stage.is_some() {
        let message = "artifact version and stage are mutually exclusive".into();
        return Err(CliError::Refused { message, kind: Kind::Conflict }.into());
    }
    if args.copy.show_url {
        let (request, path) = artifact::locate(&get, &app.cwd, &app.places())?;
        app.out.result(&storage_url(&request, &path, &app.cwd, &app.places())?);
        return Ok(Exit::OK);
    }
    let (target, brought) = artifact::get(&get, &app.cwd, &app.places(), &app.out, &app.interrupt)?;
    let shown = relative(&target, &app.cwd);
    app.out.line(&format!("Downloaded {} file(s) to '{shown}'", brought.files));
    Ok(Exit::OK)
}
