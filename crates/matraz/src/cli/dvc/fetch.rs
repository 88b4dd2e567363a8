//! `dvc fetch`, `matraz fetch`

use matraz_base::{Failure, Progress};
use matraz_data::Error;
use matraz_data::remote::fetch::{self, Only, Options, Report};
use matraz_data::stage::address::relative;
use matraz_data::target::TargetOptions;

use super::project::{Project, summary, warn_of_corrupted};
use super::push::{Revisions, warn_of_failed, warn_of_missing, warn_of_no_remote};
use crate::app::App;
use crate::exit::Exit;

/// Copy data from a remote to the cache
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Stages, `.dvc` files, outputs or paths inside them [default: all]
    targets: Vec<String>,
    /// The remote [default: that of the settings]
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    /// Threads [default: one per processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// The data of all stages that the targets depend on, too
    #[arg(short = 'd', long)]
    with_deps: bool,
    /// Folders stand for everything below them
    #[arg(short = 'R', long)]
    recursive: bool,
    /// The run cache too
    #[arg(long, overrides_with = "no_run_cache")]
    run_cache: bool,
    /// Not the run cache (the default)
    #[arg(long, hide = true)]
    no_run_cache: bool,
    /// Leave out outputs of this many bytes or more
    #[arg(long, value_name = "BYTES")]
    max_size: Option<u64>,
    /// Only outputs of this kind
    #[arg(long = "type", value_name = "KIND", value_enum)]
    types: Vec<Type>,
    #[command(flatten)]
    revisions: Revisions,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Type {
    Metrics,
    Plots,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let repo = project.repo.with_threads(args.jobs);
    let only = |kind: &Type| match kind {
        Type::Metrics => Only::Metrics,
        Type::Plots => Only::Plots,
    };
    let options = Options {
        targets: TargetOptions { with_deps: args.with_deps, recursive: args.recursive },
        remote: args.remote,
        run_cache: args.run_cache && !args.no_run_cache,
        which: args.revisions.which(),
        max_size: args.max_size,
        only: args.types.iter().map(only).collect(),
    };
    let report = fetch::fetch(&repo, &args.targets, &options, &app.cwd, &app.out, &app.interrupt)?;
    check(app, &report)?;
    warn_of_no_remote(app, &repo, options.remote.as_deref());
    app.out.line(
        &summary(&[("fetched", report.fetched as u64)]).unwrap_or_else(|| "Everything is up to date.".into()),
    );
    Ok(Exit::OK)
}

/// Says what went wrong, and fails when something should have come and did not.
pub fn check(app: &App, report: &Report) -> Result<(), Error> {
    warn_of_corrupted(app, &report.corrupted);
    warn_of_missing(app, report.missing.iter().map(|object| object.digest.to_string()));
    warn_of_failed(app, &report.failed);
    for file in &report.incomplete {
        app.out.warn(&format!(
            "'{}' is not on the remote, though the listing of its folder is: the folder is incomplete",
            relative(file, &app.cwd)
        ));
    }
    let failed = report.failed.len() + report.rejected + report.lost;
    if failed > 0 { Err(Error::TransferFailed { count: failed, verb: "download" }) } else { Ok(()) }
}
