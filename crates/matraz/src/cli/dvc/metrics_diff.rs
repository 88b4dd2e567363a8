//! `dvc metrics diff`

use std::path::{Path, PathBuf};

use matraz_base::value::python_json;
use matraz_base::{Failure, Map, Progress, Value};
use matraz_data::compare::data::Snapshot;
use matraz_data::compare::diff::{self, Differences, Values};
use matraz_data::compare::metrics;
use matraz_data::stage::address::{join, relative};
use matraz_data::view::View;
use matraz_data::{Error, Repo, Result};

use super::metrics_show::{cell, chosen};
use crate::app::App;
use crate::cli::table;
use crate::exit::Exit;

/// Compare metrics between two moments
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The older commit
    #[arg(default_value = "HEAD")]
    a_rev: String,
    /// The newer commit
    #[arg(default_value = "workspace")]
    b_rev: String,
    /// Metrics files [default: all of the project]
    #[arg(long, num_args = 0.., value_name = "PATH")]
    targets: Vec<String>,
    /// Folders stand for all files below them
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Unchanged metrics too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    look: Look,
    /// Round to this many decimals
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    precision: Option<i32>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = Repo::open_or_plain(&app.cwd, &app.places())?;
    let targets: Vec<_> = args.targets.iter().map(|target| join(&app.cwd, target)).collect();
    let load = |snapshot: &mut Snapshot<'_>| -> Result<Vec<(PathBuf, Result<Value>)>> {
        Ok(metrics::load_at(snapshot, &targets)?.into_iter().map(|file| (file.path, file.values)).collect())
    };
    let differences = compare(&repo, app, [&args.a_rev, &args.b_rev], args.all, &load)?;
    let layout =
        Layout { title: "Metric", look: args.look, change: true, precision: Some(chosen(args.precision)) };
    app.out.always(&layout.render(&differences, [&args.a_rev, &args.b_rev], &app.cwd));
    Ok(Exit::OK)
}

/// How differences are to look.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Look {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Print Markdown
    #[arg(long)]
    pub md: bool,
    /// Without the files
    #[arg(long)]
    pub no_path: bool,
}

/// Reads the files of one moment.
pub type Load<'l> = &'l dyn Fn(&mut Snapshot<'_>) -> Result<Vec<(PathBuf, Result<Value>)>>;

/// Compares two moments. What cannot be read is told and left out; a project without a commit has nothing to compare.
pub fn compare(
    repo: &Repo,
    app: &App,
    revisions: [&str; 2],
    unchanged: bool,
    load: Load<'_>,
) -> Result<Differences> {
    let git = repo.git.as_ref().ok_or_else(|| Error::NotInGit { root: repo.root.clone() })?;
    if git.head_commit().is_none() {
        return Ok(Differences::new());
    }
    let views = [View::at(repo, revisions[0])?, View::at(repo, revisions[1])?];
    // A commit against itself has values; under two names DVC finds none.
    if views[0].same_moment(&views[1]) && revisions[0] != revisions[1] {
        return Ok(Differences::new());
    }
    let mut sides: Vec<Values> = Vec::new();
    let mut failed = Vec::new();
    for (revision, view) in revisions.into_iter().zip(views) {
        let files = Snapshot::take(view).and_then(|mut snapshot| load(&mut snapshot));
        if files.as_ref().map_or(true, |files| files.iter().any(|(_, values)| values.is_err())) {
            failed.push(revision);
        }
        if let Err(error) = &files {
            app.out.warn(&format!("failed to load metrics in revision '{revision}', {error}"));
        }
        let files = files.unwrap_or_default();
        sides.push(files.into_iter().map(|(path, values)| (path, values.ok())).collect());
    }
    tell_failed(&failed, app);
    Ok(diff::diff(&sides[0], &sides[1], unchanged))
}

/// Names the revisions of which something could not be read.
pub fn tell_failed(revisions: &[&str], app: &App) {
    if !revisions.is_empty() {
        let revisions = revisions.join(", ");
        app.out.error(&format!("DVC failed to load some metrics for following revisions: '{revisions}'."));
    }
}

/// How differences are written.
pub struct Layout {
    /// What the names name.
    pub title: &'static str,
    /// The notation.
    pub look: Look,
    /// With the difference of numbers.
    pub change: bool,
    /// Decimals of floats; none: as they are.
    pub precision: Option<i32>,
}

impl Layout {
    /// The text, with its final newline.
    pub fn render(&self, differences: &Differences, revisions: [&str; 2], cwd: &Path) -> String {
        if self.look.json {
            return format!("{}\n", python_json(&as_value(differences, cwd), false));
        }
        let with_path = !self.look.no_path;
        let mut headers: Vec<String> = if with_path { vec!["Path".into()] } else { Vec::new() };
        headers.extend([self.title.into(), revisions[0].into(), revisions[1].into()]);
        if self.change {
            headers.push("Change".into());
        }
        let mut rows = Vec::new();
        for (path, names) in differences {
            for (name, delta) in names {
                let mut row = if with_path { vec![relative(path, cwd)] } else { Vec::new() };
                row.extend([
                    name.clone(),
                    cell(&delta.old, self.precision),
                    cell(&delta.new, self.precision),
                ]);
                if self.change {
                    row.push(delta.diff.as_ref().map_or("-".into(), |diff| cell(diff, self.precision)));
                }
                rows.push(row);
            }
        }
        match (self.look.md, rows.is_empty()) {
            (true, _) => format!("{}\n", table::github(&headers, &rows)),
            (false, true) => String::new(),
            (false, false) => format!("{}\n", table::plain(&headers, &rows)),
        }
    }
}

fn as_value(differences: &Differences, cwd: &Path) -> Value {
    let mut files = Map::new();
    for (path, names) in differences {
        let mut entries = Map::new();
        for (name, delta) in names {
            let mut entry = Map::new();
            entry.insert("old".into(), delta.old.clone());
            entry.insert("new".into(), delta.new.clone());
            if let Some(diff) = &delta.diff {
                entry.insert("diff".into(), diff.clone());
            }
            entries.insert(name.clone(), Value::Map(entry));
        }
        files.insert(relative(path, cwd), Value::Map(entries));
    }
    Value::Map(files)
}
