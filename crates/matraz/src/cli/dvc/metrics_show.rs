//! `dvc metrics show`

use std::collections::BTreeSet;
use std::path::Path;

use matraz_base::value::{python_float, python_json};
use matraz_base::{Failure, Map, Progress, Value};
use matraz_data::compare::data::Snapshot;
use matraz_data::compare::metrics::{self, MetricsFile};
use matraz_data::revisions::{self, Which};
use matraz_data::stage::address::{join, relative};
use matraz_data::{Error, Repo};

use crate::app::App;
use crate::cli::table;
use crate::exit::Exit;

/// Decimals that are shown when nothing else is asked for.
pub const PRECISION: usize = 5;

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
    #[arg(long, value_name = "N")]
    precision: Option<usize>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = Repo::open(&app.cwd, &app.places())?;
    let targets: Vec<_> = args.targets.iter().map(|target| join(&app.cwd, target)).collect();
    let which = Which {
        branches: args.all_branches,
        tags: args.all_tags,
        commits: args.all_commits,
        ..Which::default()
    };
    let mut found: Vec<(String, Vec<MetricsFile>)> = Vec::new();
    for (name, view) in revisions::list(&repo, &which)? {
        let files = metrics::load_at(&mut Snapshot::take(view)?, &targets)?;
        found.push((name, files));
    }
    if found.len() == 1 {
        found[0].0 = String::new();
    }
    hide_workspace(&repo, &mut found);
    let failed: Vec<&str> = found
        .iter()
        .filter(|(_, files)| files.iter().any(|file| file.values.is_err()))
        .map(|(name, _)| name.as_str())
        .collect();
    if !failed.is_empty() {
        app.out.warn(&format!("failed to load some metrics of these revisions: '{}'", failed.join(", ")));
    }
    if args.json {
        let all = found.iter().map(|(name, files)| (name.clone(), data_of(files, &repo, &app.cwd))).collect();
        app.out.result(&python_json(&Value::Map(all), false));
    } else {
        let many = args.all_branches || args.all_tags || args.all_commits;
        app.out.result(&rendered(&found, many, args.precision.unwrap_or(PRECISION), args.md, &app.cwd));
    }
    Ok(Exit::OK)
}

/// The workspace is left out when it is as the branch it stands on.
fn hide_workspace(repo: &Repo, found: &mut Vec<(String, Vec<MetricsFile>)>) {
    let Some(branch) = repo.git.as_ref().and_then(matraz_data::git::Git::branch) else { return };
    let same = |a: &[MetricsFile], b: &[MetricsFile]| {
        a.len() == b.len()
            && a.iter().zip(b).all(|(a, b)| match (&a.values, &b.values) {
                (Ok(x), Ok(y)) => a.path == b.path && x == y,
                _ => false,
            })
    };
    let current = found.iter().skip(1).find(|(name, _)| *name == branch);
    if let Some((_, files)) = current
        && same(files, &found[0].1)
    {
        found.remove(0);
    }
}

fn data_of(files: &[MetricsFile], repo: &Repo, cwd: &Path) -> Value {
    let mut by_file = Map::new();
    for file in files {
        let outcome = match &file.values {
            Ok(values) => one("data", values.clone()),
            Err(error) => one("error", encoded(error, &file.path, &repo.root)),
        };
        by_file.insert(relative(&file.path, cwd), outcome);
    }
    one("data", Value::Map(by_file))
}

fn one(key: &str, value: Value) -> Value {
    Value::Map(std::iter::once((key.to_owned(), value)).collect())
}

/// An error in the words of Python, which those who read the JSON of DVC expect.
fn encoded(error: &Error, path: &Path, root: &Path) -> Value {
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_uppercase()).unwrap_or_default();
    let shown = relative(path, root);
    let (kind, message) = match error {
        Error::NoSuchFile { .. } => {
            ("FileNotFoundError".to_owned(), format!("[Errno 2] No such file or directory: '{shown}'"))
        }
        Error::NotAvailable { .. } => {
            ("FileNotFoundError".to_owned(), format!("[Errno 2] No storage files available: '{shown}'"))
        }
        Error::Definition { message, .. } => {
            let format = if matches!(suffix.as_str(), "JSON" | "TOML") { suffix.as_str() } else { "YAML" };
            let message =
                format!("unable to read: '{shown}', {format} file structure is corrupted: {message}");
            (format!("{format}FileCorruptedError"), message)
        }
        other => ("DvcException".to_owned(), other.to_string()),
    };
    let entries = [("type".to_owned(), Value::Str(kind)), ("msg".to_owned(), Value::Str(message))];
    Value::Map(entries.into_iter().collect())
}

fn rendered(
    found: &[(String, Vec<MetricsFile>)],
    many: bool,
    precision: usize,
    markdown: bool,
    cwd: &Path,
) -> String {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut rows: Vec<(String, String, Map)> = Vec::new();
    for (revision, files) in found {
        for file in files {
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
                names.iter().map(|name| leaves.get(name).map_or("-".into(), |leaf| cell(leaf, precision))),
            );
            row
        })
        .collect();
    if markdown { table::github(&headers, &rows) } else { table::plain(&headers, &rows) }
}

/// A value in a table: floats are rounded to `precision` decimals.
pub fn cell(value: &Value, precision: usize) -> String {
    match value {
        Value::Null => "-".into(),
        Value::Float(x) if x.is_finite() => {
            let rounded: f64 = format!("{x:.precision$}").parse().unwrap_or(*x);
            python_float(rounded)
        }
        other => other.to_string(),
    }
}
