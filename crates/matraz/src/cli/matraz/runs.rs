//! `matraz runs`

use clap::Subcommand;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use matraz_base::Failure;
use matraz_loop::compare::{self, Comparison};
use matraz_loop::run::{Run, Runs, tag};
use matraz_loop::tracker::Target;
use matraz_track::db::StoreUri;
use serde_json::json;

use crate::app::App;
use crate::cli::CliError;
use crate::cli::mlflow::runs as mlflow;
use crate::cli::mlflow::store::View;
use crate::cli::table::{self, figure, numbers, words};
use crate::exit::Exit;
use crate::project::Project;

/// List, show and compare the runs of this project
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The experiment [default: the project's]
    #[arg(long, global = true, value_name = "NAME")]
    experiment: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    #[command(flatten)]
    OfProject(OfProject),
    #[command(flatten)]
    One(mlflow::One),
}

/// The commands that know pipelines and their runs.
#[derive(Subcommand, Debug)]
enum OfProject {
    /// List runs, newest first
    #[command(visible_alias = "ls")]
    List {
        /// Stage runs and runs of scripts too
        #[arg(short, long)]
        all: bool,
        /// A filter in MLflow's words: `metrics.accuracy > 0.8`
        #[arg(long, value_name = "FILTER")]
        filter: Option<String>,
        /// How many at most
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: usize,
        /// All runs of the experiment with this id, in MLflow's table
        #[arg(long, value_name = "ID", conflicts_with_all = ["all", "filter", "limit", "experiment"])]
        experiment_id: Option<String>,
        /// Which runs of that experiment
        #[arg(long, default_value = "active_only", requires = "experiment_id")]
        view: View,
    },
    /// Show one run: parameters, metrics, tags
    Show {
        /// Its id, the beginning of it, or its name [default: the newest]
        run: Option<String>,
    },
    Gc(super::runs_gc::Args),
    /// Set runs side by side and mark the better one
    Compare {
        /// Two or more runs by id, the beginning of it, or name [default: the last two]
        runs: Vec<String>,
        /// The metric that decides [default: the first]
        #[arg(short, long)]
        metric: Option<String>,
        /// All metrics, nested ones too, and all parameters
        #[arg(short, long)]
        all: bool,
        /// Print Markdown
        #[arg(long, conflicts_with = "json")]
        md: bool,
    },
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    match args.command {
        Command::OfProject(OfProject::List { experiment_id: Some(id), view, .. }) => {
            mlflow::list(&id, view, args.json, app)
        }
        Command::OfProject(command) => of_project(command, args.experiment.as_deref(), args.json, app),
        Command::One(command) => mlflow::run_one(command, app),
    }
}

fn of_project(command: OfProject, named: Option<&str>, json: bool, app: &App) -> Result<Exit, Failure> {
    let project = Project::here(app)?;
    let experiment = project.experiment(app, named);
    if matches!(command, OfProject::List { .. }) && !project.target.exists() {
        list(&[], &experiment, false, json, app);
        return Ok(Exit::OK);
    }
    let tracker = project.tracker()?;
    let state_dir = project.root.join(matraz_data::repo::DVC_DIR).join("tmp/matraz");
    // Where the store can only be read, the runs of a killed process stay open.
    let _ = matraz_loop::record::end_unfinished(&tracker, &project.target, &state_dir);
    match command {
        OfProject::List { all, filter, limit, .. } => {
            // Runs in files were made before there was a pipeline here: all of them are shown.
            let in_files = matches!(&project.target, Target::Embedded { store: StoreUri::Folder(_), .. });
            let everywhere = in_files && named.is_none();
            let kind = (!all && !everywhere).then(|| format!("tags.`{}` = 'pipeline'", tag::KIND));
            // The user's own words come first, so that an error's caret stands where the user looks.
            let filter: Vec<String> = filter.into_iter().chain(kind).collect();
            let runs = match everywhere {
                true => Some(Runs::everywhere(&tracker)?),
                false => Runs::of(&tracker, &experiment)?,
            };
            let found = match runs {
                Some(runs) => runs.search(&filter.join(" AND "), limit)?,
                None => Vec::new(),
            };
            list(&found, &experiment, all, json, app);
        }
        OfProject::Show { run } => {
            let run = Runs::existing(&tracker, &experiment)?.find_or_latest(run.as_deref())?;
            if json { app.out.json(&json!(run)) } else { show(&run, app) }
        }
        OfProject::Gc(gc) => {
            drop(tracker);
            return super::runs_gc::run(gc, project.target, json, app);
        }
        OfProject::Compare { runs: names, metric, all, md } => {
            let runs = Runs::existing(&tracker, &experiment)?;
            let chosen = if names.is_empty() {
                let mut last = runs.pipelines(2)?;
                last.reverse();
                last
            } else {
                names.iter().map(|name| runs.find(name)).collect::<Result<_, _>>()?
            };
            if names.len() == 1 {
                let message = "one run cannot be compared".into();
                let hint = Some("give two or more, or none for the last two".into());
                return Err(CliError::Usage { message, hint }.into());
            }
            if chosen.len() < 2 {
                let message = format!("experiment `{experiment}` has no two pipeline runs to compare yet");
                let hint = Some("change a parameter and run `matraz repro`".into());
                return Err(CliError::Usage { message, hint }.into());
            }
            let comparison = compare::compare(&chosen, metric.as_deref());
            if json {
                app.out.json(&json!(comparison));
            } else {
                app.out.result(&comparison_table(&comparison, metric.as_deref(), all, md));
            }
        }
    }
    Ok(Exit::OK)
}

fn list(runs: &[Run], experiment: &str, all: bool, as_json: bool, app: &App) {
    if as_json {
        app.out.json(&json!(runs));
        return;
    }
    if runs.is_empty() {
        app.out.line(&format!("No runs in experiment `{experiment}` yet; `matraz repro` makes one."));
        return;
    }
    let metrics = leading_metrics(runs);
    let mut columns = vec![words("run"), words("id"), words("status"), words("started")];
    if all {
        columns.push(words("kind"));
    }
    columns.extend(metrics.iter().map(|key| numbers(key)));
    let row = |run: &Run| {
        let mut cells =
            vec![run.name.clone(), short(&run.id), run.status.to_lowercase(), when(run.start_time)];
        if all {
            cells.push(run.tag(tag::KIND).unwrap_or("-").to_owned());
        }
        cells.extend(
            metrics.iter().map(|key| run.metrics.get(*key).map_or_else(|| "-".into(), |x| figure(*x))),
        );
        cells
    };
    app.out.result(&table::table(&columns, &runs.iter().map(row).collect::<Vec<_>>()));
}

/// The metrics without a dot or a slash in their name: those of a whole, not of its classes or steps.
fn leading_metrics(runs: &[Run]) -> Vec<&String> {
    let mut keys: Vec<&String> = Vec::new();
    for key in runs.iter().flat_map(|run| run.metrics.keys()) {
        if !key.contains(['.', '/']) && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

fn show(run: &Run, app: &App) {
    let mut lines =
        vec![format!("{} ({})", run.name, run.id), format!("status      {}", run.status.to_lowercase())];
    lines.push(format!("started     {}", when(run.start_time)));
    if let Some(end) = run.end_time {
        lines.push(format!("took        {:.1} s", (end - run.start_time) as f64 / 1000.0));
    }
    lines.push(format!("artifacts   {}", run.artifact_uri));
    let mut section = |title: &str, pairs: Vec<(String, String)>| {
        if !pairs.is_empty() {
            let width = pairs.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
            lines.push(format!("\n{title}"));
            lines.extend(pairs.iter().map(|(key, value)| format!("  {key:width$}  {value}")));
        }
    };
    let text = |pairs: &indexmap::IndexMap<String, String>| {
        pairs.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    section("params", text(&run.params));
    section("metrics", run.metrics.iter().map(|(key, x)| (key.clone(), figure(*x))).collect());
    section("tags", text(&run.tags));
    app.out.result(&lines.join("\n"));
}

fn comparison_table(comparison: &Comparison, leading: Option<&str>, all: bool, md: bool) -> String {
    let shown = |key: &str| all || !key.contains(['.', '/']) || leading == Some(key);
    let mut metrics: Vec<_> = comparison.metrics.iter().filter(|column| shown(&column.key)).collect();
    if let Some(place) = metrics.iter().position(|column| leading == Some(column.key.as_str())) {
        let first = metrics.remove(place);
        metrics.insert(0, first);
    }
    let mut params: Vec<&String> = comparison.changed_params.iter().collect();
    if all {
        params.extend(comparison.same_params.keys());
    }
    let mut columns = vec![words("run")];
    columns.extend(metrics.first().map(|column| numbers(&column.key)));
    columns.extend(params.iter().map(|name| numbers(name)));
    columns.extend(metrics.iter().skip(1).map(|column| numbers(&column.key)));
    columns.push(words(""));
    let rows: Vec<Vec<String>> = comparison
        .runs
        .iter()
        .enumerate()
        .map(|(n, run)| {
            let metric = |column: &compare::MetricColumn| {
                run.metrics.get(&column.key).map_or_else(|| "-".to_owned(), |x| figure(*x))
            };
            let mut cells = vec![run.name.clone()];
            cells.extend(metrics.first().map(|column| metric(column)));
            cells.extend(
                params.iter().map(|name| run.params.get(*name).cloned().unwrap_or_else(|| "-".into())),
            );
            cells.extend(metrics.iter().skip(1).map(|column| metric(column)));
            cells.push(if comparison.best == Some(n) { "← better".into() } else { String::new() });
            cells
        })
        .collect();
    if md { table::markdown(&columns, &rows) } else { table::table(&columns, &rows) }
}

/// The first letters of an id.
fn short(id: &str) -> String {
    id.chars().take(8).collect()
}

/// A time in the user's zone.
fn when(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).map_or_else(
        |_| "-".into(),
        |time| time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}
