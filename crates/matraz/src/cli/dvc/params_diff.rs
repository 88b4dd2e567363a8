//! `dvc params diff`

use std::path::PathBuf;

use matraz_base::{Failure, Value};
use matraz_data::compare::data::Snapshot;
use matraz_data::compare::params;
use matraz_data::stage::address::join;
use matraz_data::{Repo, Result};

use super::metrics_diff::{Layout, Look, compare};
use crate::app::App;
use crate::exit::Exit;
use crate::names::Grammar;

/// Compare parameters between two moments
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The older commit
    #[arg(default_value = "HEAD")]
    a_rev: String,
    /// The newer commit
    #[arg(default_value = "workspace")]
    b_rev: String,
    /// Parameters files [default: all of the project]
    #[arg(long, num_args = 0.., value_name = "PATH")]
    targets: Vec<String>,
    /// Unchanged parameters too
    #[arg(long)]
    all: bool,
    /// Only what stages read
    #[arg(long)]
    deps: bool,
    #[command(flatten)]
    look: Look,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = Repo::open_or_plain(&app.cwd, &app.places())?;
    // DVC takes them from the root of the project, wherever one stands.
    let base = if app.grammar == Grammar::Dvc { &repo.root } else { &app.cwd };
    let targets: Vec<_> = args.targets.iter().map(|target| join(base, target)).collect();
    let load = |snapshot: &mut Snapshot<'_>| -> Result<Vec<(PathBuf, Result<Value>)>> {
        let files = params::load_at(snapshot, &targets, args.deps, app.grammar == Grammar::Dvc)?;
        Ok(files.into_iter().map(|file| (file.path, file.values)).collect())
    };
    let differences = compare(&repo, app, [&args.a_rev, &args.b_rev], args.all, &load)?;
    let layout = Layout { title: "Param", look: args.look, change: false, precision: None };
    app.out.always(&layout.render(&differences, [&args.a_rev, &args.b_rev], &app.cwd));
    Ok(Exit::OK)
}
