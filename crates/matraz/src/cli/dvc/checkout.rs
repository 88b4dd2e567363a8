//! `dvc checkout`, `matraz checkout`

use std::collections::BTreeMap;
use std::path::PathBuf;

use matraz_base::{Explain, Failure, Progress};
use matraz_data::Error;
use matraz_data::cache::Cache;
use matraz_data::checkout::{self, Fate, Options, Stats, Wanted};
use matraz_data::index::Index;
use matraz_data::source::partial;
use matraz_data::target::{self, TargetOptions};
use serde_json::json;

use super::project::{Project, shown, summary, warn_of_corrupted};
use crate::app::App;
use crate::cli::{CliError, only_in_matraz};
use crate::exit::Exit;
use crate::names::Grammar;

/// Bring tracked data into the workspace from the cache
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Stages, `.dvc` files, outputs or paths inside them [default: all]
    targets: Vec<String>,
    /// Print numbers only
    #[arg(long)]
    summary: bool,
    /// The data of all stages that the targets depend on, too
    #[arg(short = 'd', long)]
    with_deps: bool,
    /// Folders stand for everything below them
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Remove data that the cache cannot bring back
    #[arg(short, long)]
    force: bool,
    /// Make every file anew by the configured kind of link
    #[arg(long)]
    relink: bool,
    /// It is no error when the cache lacks data
    #[arg(long)]
    allow_missing: bool,
    /// Print JSON (Matraz's own grammar alone)
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    only_in_matraz(app, "--json", args.json)?;
    let project = Project::open(app)?;
    let repo = &project.repo;
    let how = TargetOptions { with_deps: args.with_deps, recursive: args.recursive };
    let index = Index::load_for(repo, &args.targets, how, &app.cwd)?;
    let selections = match target::select(repo, &index, &args.targets, how, &app.cwd) {
        Err(error @ Error::NoSuchTarget { .. }) if app.grammar == Grammar::Dvc => {
            return Err(not_ours(&error).into());
        }
        other => other?,
    };
    let wanted = Wanted::of(&selections, &index);
    let options = Options { force: args.force, relink: args.relink };
    let mut cache = Cache::open(repo);
    let plan = checkout::plan(repo, &mut cache, &wanted, options, &app.out, app.interrupt.flag())?;
    let mut report = checkout::apply(repo, &mut cache, plan, options, &app.out, app.interrupt.flag())?;
    partial::check_out(repo, &index, &selections, &mut report, &app.out, &app.interrupt)?;
    if args.targets.is_empty() {
        report.remove_left_over(repo, &mut cache, &index, &app.out, app.interrupt.flag())?;
    }
    warn_of_corrupted(app, &cache.take_corrupted());
    warn_of_unrecorded(app, &report);
    if args.json {
        app.out.json(&as_json(app, &report, args.summary));
    } else if args.summary {
        app.out.line(&numbers(&report.stats).unwrap_or_else(|| "No changes.".into()));
    } else {
        say_fates(app, &report.fates);
    }
    match report.failure() {
        Some(error) if !args.allow_missing => Err(error.into()),
        _ => {
            if args.relink && !args.json {
                app.out.line("Relinked successfully");
            }
            Ok(Exit::OK)
        }
    }
}

/// A target that DVC does not know may be meant for git.
fn not_ours(error: &Error) -> CliError {
    let target = if let Error::NoSuchTarget { target } = error { target.as_str() } else { "" };
    let message = format!("{error}. Did you mean `git checkout {target}`?");
    CliError::Refused { message, kind: error.kind() }
}

fn as_json(app: &App, report: &checkout::Report, summary: bool) -> serde_json::Value {
    let Stats { modified, added, deleted } = report.stats;
    let mut shown = json!({"modified": modified, "added": added, "deleted": deleted});
    if !summary {
        let change = |(path, fate): (&PathBuf, &Fate)| {
            let fate = match fate {
                Fate::Added => "added",
                Fate::Modified => "modified",
                Fate::Deleted => "deleted",
            };
            json!({"path": self::shown(app, path), "change": fate})
        };
        shown["outs"] = report.fates.iter().map(change).collect();
    }
    shown
}

/// Names outputs that nobody has made or committed yet.
pub fn warn_of_unrecorded(app: &App, report: &checkout::Report) {
    for path in &report.unrecorded {
        app.out.warn(&format!("No file hash info found for '{}'. It won't be created.", path.display()));
    }
}

/// The numbers of files in words.
pub fn numbers(stats: &Stats) -> Option<String> {
    summary(&[("modified", stats.modified), ("added", stats.added), ("deleted", stats.deleted)])
}

/// One line for each output that changed: `M`, `A` or `D`, and the path.
pub fn say_fates(app: &App, fates: &BTreeMap<PathBuf, Fate>) {
    for (fate, letter) in [(Fate::Modified, 'M'), (Fate::Added, 'A'), (Fate::Deleted, 'D')] {
        let mut paths: Vec<String> =
            fates.iter().filter(|(_, f)| **f == fate).map(|(path, _)| shown(app, path)).collect();
        paths.sort_by_key(|path| (!path.ends_with('/'), path.clone()));
        for path in paths {
            app.out.line(&format!("{letter:<8}{path}"));
        }
    }
}
