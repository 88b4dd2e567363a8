//! `dvc push`, `matraz push`

use matraz_base::{Failure, Progress};
use matraz_data::remote::push::{self, Options};
use matraz_data::revisions::Which;
use matraz_data::target::{self, TargetOptions};
use matraz_data::{Error, Repo};

use super::project::{Project, summary, warn_of_corrupted};
use crate::app::App;
use crate::exit::Exit;
use crate::names::Grammar;

/// Copy data from the cache to a remote
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
    /// Targets are patterns: `*`, `?`, `[…]`, `**`
    #[arg(long)]
    glob: bool,
    #[command(flatten)]
    revisions: Revisions,
}

/// Options for data of other commits.
#[derive(clap::Args, Debug)]
pub struct Revisions {
    /// The data of all branches, too
    #[arg(short, long)]
    pub all_branches: bool,
    /// The data of all tags, too
    #[arg(short = 'T', long)]
    pub all_tags: bool,
    /// The data of all commits, too
    #[arg(short = 'A', long)]
    pub all_commits: bool,
}

impl Revisions {
    /// The options that were given.
    pub fn given(&self) -> Vec<&'static str> {
        let all = [
            (self.all_branches, "--all-branches"),
            (self.all_tags, "--all-tags"),
            (self.all_commits, "--all-commits"),
        ];
        all.into_iter().filter(|(given, _)| *given).map(|(_, name)| name).collect()
    }

    /// The commits that they mean.
    pub fn which(&self) -> Which {
        Which {
            branches: self.all_branches,
            tags: self.all_tags,
            commits: self.all_commits,
            ..Which::default()
        }
    }
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let repo = project.repo.with_threads(args.jobs);
    let targets = if args.glob && !args.targets.is_empty() {
        target::expand(&args.targets, &app.cwd)?
    } else {
        args.targets
    };
    let options = Options {
        targets: TargetOptions { with_deps: args.with_deps, recursive: args.recursive },
        remote: args.remote,
        run_cache: args.run_cache && !args.no_run_cache,
        run_outputs: app.grammar == Grammar::Matraz,
        which: args.revisions.which(),
    };
    let report = push::push(&repo, &targets, &options, &app.cwd, &app.out, &app.interrupt)?;
    warn_of_corrupted(app, &report.corrupted);
    warn_of_missing(app, report.missing.iter().map(|object| object.digest.to_string()));
    warn_of_failed(app, &report.failed);
    let failed = report.failed.len() + report.corrupted.len();
    if failed > 0 {
        return Err(Error::TransferFailed { count: failed, verb: "upload" }.into());
    }
    warn_of_no_remote(app, &repo, options.remote.as_deref());
    app.out.line(
        &summary(&[("pushed", report.pushed as u64)]).unwrap_or_else(|| "Everything is up to date.".into()),
    );
    Ok(Exit::OK)
}

/// Says that no remote is set: what has none of its own cannot travel.
pub fn warn_of_no_remote(app: &App, repo: &Repo, named: Option<&str>) {
    if named.is_none() && repo.config.default_remote().is_none() {
        app.out.warn("No remote provided and no default remote set.");
    }
}

/// The most failed transfers that are named one by one.
const NAMED: usize = 5;

/// Says which transfers failed and why: a full disk fails for every file in the same way.
pub fn warn_of_failed(app: &App, failed: &[Error]) {
    for error in failed.iter().take(NAMED) {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            let words = inner.to_string();
            if !text.ends_with(&words) {
                text.push_str(&format!(": {words}"));
            }
            cause = inner.source();
        }
        app.out.warn(&text);
    }
    if failed.len() > NAMED {
        app.out.warn(&format!("… and {} more", failed.len() - NAMED));
    }
}

/// Names objects that are nowhere.
pub fn warn_of_missing(app: &App, digests: impl Iterator<Item = String>) {
    let names: Vec<String> = digests.collect();
    if !names.is_empty() {
        let list = names.join("\n  ");
        app.out.warn(&format!("these objects are neither in the cache nor on the remote:\n  {list}"));
    }
}
