//! `dvc metrics show`

use std::collections::BTreeSet;
use std::path::Path;

use matraz_base::value::{python_float, python_json};
use matraz_base::{Failure, Map, Progress, Value};
use matraz_data::Repo;
use matraz_data::compare::data::Snapshot;
use matraz_data::compare::metrics::{self, MetricsFile};
use matraz_data::revisions::{self, Which};
use matraz_data::stage::address::{join, relative};

use super::metrics_diff::tell_failed;
use super::python_error::encoded;
use crate::app::App;
use crate::cli::table;
use crate::exit::Exit;

/// Decimals that are shown when nothing else is asked for.
const PRECISION: i32 = 5;

/// Print metrics
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Metrics files [default: all of the project]
    targets: Vec<String>,
    /// Of all branches
    #[arg(short, long)]
    all_branches: bool,
    /// Of all tags
    #[arg(short = 'T', long)]
    all_tags: bool,
    /// Of all commits
    #[arg(short = 'A', long)]
    all_commits: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print a Markdown table
    #[arg(long)]
    md: bool,
    /// Folders stand for all files below them
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Round to this many decimals
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    precision: Option<i32>,
}

/// The decimals to show; 0 stands for the default, as in DVC.
pub fn chosen(precision: Option<i32>) -> i32 {
    precision.filter(|precision| *precision != 0).unwrap_or(PRECISION)
}

/// The metrics of a moment, by its name; an error when its definitions cannot be read.
type Found = Vec<(String, matraz_data::Result<Vec<MetricsFile>>)>;

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = Repo::open_or_plain(&app.cwd, &app.places())?;
    let targets: Vec<_> = args.targets.iter().map(|target| join(&app.cwd, target)).collect();
    let which = Which {
        branches: args.all_branches,
        tags: args.all_tags,
        commits: args.all_commits,
        ..Which::default()
    };
    let many = args.all_branches || args.all_tags || args.all_commits;
    let mut found: Found = Vec::new();
    for (name, view) in revisions::list(&repo, &which)? {
        let name = if many { name } else { String::new() };
        let files = Snapshot::take(view).and_then(|mut snapshot| metrics::load_at(&mut snapshot, &targets));
        if let Err(error) = &files {
            app.out.warn(&format!("failed to load metrics in revision '{name}', {error}"));
        }
        found.push((name, files));
    }
    hide_workspace(&repo, &mut found);
    let is_whole = |files: &matraz_data::Result<Vec<MetricsFile>>| {
        files.as_ref().is_ok_and(|files| files.iter().all(|file| file.values.is_ok()))
    };
    let failed: Vec<&str> =
        found.iter().filter(|(_, files)| !is_whole(files)).map(|(name, _)| name.as_str()).collect();
    tell_failed(&failed, app);
    if args.json {
        let all = found.iter().map(|(name, files)| (name.clone(), data_of(files, &repo, &app.cwd))).collect();
        app.out.result(&python_json(&Value::Map(all), false));
    } else {
        app.out.always(&rendered(&found, many, chosen(args.precision), args.md, &app.cwd));
    }
    Ok(Exit::OK)
}

/// The workspace is left out when it is as the branch it stands on.
fn hide_workspace(repo: &Repo, found: &mut Found) {
    let Some(branch) = repo.git.as_ref().and_then(matraz_data::git::Git::branch) else { return };
    let same = |a: &[MetricsFile], b: &[MetricsFile]| {
        a.len() == b.len()
            && a.iter().zip(b).all(|(a, b)| match (&a.values, &b.values) {
                // Not a number is the same as before, though no number equals it.
                (Ok(x), Ok(y)) => {
                    a.path == b.path && (x == y || python_json(x, true) == python_json(y, true))
                }
                _ => false,
            })
    };
    let current = found.iter().skip(1).find(|(name, _)| *name == branch);
    if let (Some((_, Ok(files))), Some((_, Ok(now)))) = (current, found.first())
        && same(files, now)
    {
        drop(found.remove(0));
    }
}

fn data_of(files: &matraz_data::Result<Vec<MetricsFile>>, repo: &Repo, cwd: &Path) -> Value {
    let files = match files {
        Ok(files) => files,
        Err(error) => return one("error", Value::Map(encoded(error, cwd))),
    };
    let mut by_file = Map::new();
    for file in files {
        let outcome = match &file.values {
            Ok(values) => one("data", values.clone()),
            Err(error) => one("error", Value::Map(encoded(error, &repo.root))),
        };
        by_file.insert(relative(&file.path, cwd), outcome);
    }
    one("data", Value::Map(by_file))
}

fn one(key: &str, value: Value) -> Value {
    Value::Map(std::iter::once((key.to_owned(), value)).collect())
}

fn rendered(found: &Found, many: bool, precision: i32, markdown: bool, cwd: &Path) -> String {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut rows: Vec<(String, String, Map)> = Vec::new();
    for (revision, files) in found {
        for file in files.iter().flatten() {
            let mut leaves = Map::new();
            if let Ok(values) = &file.values {
                for (name, leaf) in values.flatten() {
                    if !matches!(leaf, Value::Map(_)) {
                        names.insert(name.clone());
                        leaves.insert(name, leaf.clone());
                    }
                }
            }
            rows.push((revision.clone(), relative(&file.path, cwd), leaves));
        }
    }
    let mut headers: Vec<String> = if many { vec!["Revision".into()] } else { Vec::new() };
    headers.push("Path".into());
    headers.extend(names.iter().cloned());
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(revision, path, leaves)| {
            let mut row = if many { vec![revision] } else { Vec::new() };
            row.push(path);
            row.extend(
                names
                    .iter()
                    .map(|name| leaves.get(name).map_or("-".into(), |leaf| cell(leaf, Some(precision)))),
            );
            row
        })
        .collect();
    match (markdown, rows.is_empty()) {
        (true, _) => format!("{}\n", table::github(&headers, &rows)),
        (false, true) => String::new(),
        (false, false) => format!("{}\n", table::plain(&headers, &rows)),
    }
}

/// A value in a table: floats are rounded to `precision` decimals, or to tens and more when it is negative.
pub fn cell(value: &Value, precision: Option<i32>) -> String {
    let (Value::Float(x), Some(precision)) = (value, precision) else {
        return if *value == Value::Null { "-".into() } else { value.to_string() };
    };
    if !x.is_finite() {
        return value.to_string();
    }
    let rounded = match usize::try_from(precision) {
        Ok(decimals) => format!("{x:.decimals$}").parse().unwrap_or(*x),
        Err(_) => {
            let unit = 10f64.powi(-precision);
            (x / unit).round_ties_even() * unit
        }
    };
    python_float(rounded)
}
