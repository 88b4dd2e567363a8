//! `dvc pull`, `matraz pull`

use matraz_base::Failure;
use matraz_data::remote::{fetch, pull};
use matraz_data::target::{self, TargetOptions};

use super::checkout::say_fates;
use super::fetch::check;
use super::project::{Project, summary};
use super::push::{Revisions, warn_of_no_remote};
use crate::app::App;
use crate::exit::Exit;

/// Fetch data from a remote, and bring them into the workspace
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
    /// Remove data that the cache cannot bring back
    #[arg(short, long)]
    force: bool,
    /// It is no error when the remote lacks data
    #[arg(long)]
    allow_missing: bool,
    /// Targets are patterns: `*`, `?`, `[…]`, `**`
    #[arg(long, hide = true)]
    glob: bool,
    #[command(flatten)]
    revisions: Revisions,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let repo = project.repo.with_threads(args.jobs);
    let targets = if args.glob && !args.targets.is_empty() {
        target::expand(&args.targets, &app.cwd)?
    } else {
        args.targets
    };
    let options = pull::Options {
        fetch: fetch::Options {
            targets: TargetOptions { with_deps: args.with_deps, recursive: args.recursive },
            remote: args.remote,
            run_cache: args.run_cache && !args.no_run_cache,
            which: args.revisions.which(),
            ..fetch::Options::default()
        },
        force: args.force,
    };
    let report = pull::pull(&repo, &targets, &options, &app.cwd, &app.out, &app.interrupt)?;
    let mut numbers = vec![("fetched", report.fetch.fetched as u64)];
    let mut failure = None;
    if let Some(done) = &report.checkout {
        say_fates(app, &done.fates);
        numbers.extend([
            ("modified", done.stats.modified),
            ("added", done.stats.added),
            ("deleted", done.stats.deleted),
        ]);
        failure = done.failure().filter(|_| !args.allow_missing);
    }
    let fetched = check(app, &report.fetch);
    warn_of_no_remote(app, &repo, options.fetch.remote.as_deref());
    app.out.line(&summary(&numbers).unwrap_or_else(|| "Everything is up to date.".into()));
    fetched?;
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(Exit::OK),
    }
}
