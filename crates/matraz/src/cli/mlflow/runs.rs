//! `mlflow runs`

use clap::{ArgGroup, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use matraz_base::value::Map;
use matraz_base::{Failure, Value};
use serde_json::{Value as Json, json};

use super::store::{Store, View, indented_json, pairs, table, text};
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;
use crate::project;

/// Manage runs
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List the runs of an experiment
    List {
        /// The id of the experiment [default: MLFLOW_EXPERIMENT_ID]
        #[arg(long)]
        experiment_id: Option<String>,
        /// Which runs
        #[arg(short, long, default_value = "active_only")]
        view: View,
    },
    #[command(flatten)]
    One(One),
}

/// The commands about one run.
#[derive(Subcommand, Debug)]
pub enum One {
    /// Print everything about a run as JSON
    Describe {
        /// The run
        #[arg(long)]
        run_id: String,
    },
    /// Mark a run as deleted
    Delete {
        /// The run
        #[arg(long)]
        run_id: String,
    },
    /// Bring a deleted run back
    Restore {
        /// The run
        #[arg(long)]
        run_id: String,
    },
    /// Link traces to a run
    LinkTraces {
        /// The run
        #[arg(long)]
        run_id: String,
        /// A trace; may be repeated, 100 times at most
        #[arg(short, long, required = true)]
        trace_id: Vec<String>,
    },
    /// Create a run and end it at once
    #[command(group = ArgGroup::new("where"))]
    Create(Create),
}

#[derive(clap::Args, Debug)]
pub struct Create {
    /// The id of the experiment [default: MLFLOW_EXPERIMENT_ID]
    #[arg(long, group = "where")]
    experiment_id: Option<String>,
    /// The name of the experiment, which is made when it is not there
    #[arg(long, group = "where")]
    experiment_name: Option<String>,
    /// A name for people
    #[arg(long)]
    run_name: Option<String>,
    /// What the run is for
    #[arg(long)]
    description: Option<String>,
    /// A tag as key=value; may be repeated
    #[arg(short, long)]
    tags: Vec<String>,
    /// How the run ended
    #[arg(long, default_value = "finished", ignore_case = true)]
    status: Ended,
    /// The run that this one belongs to
    #[arg(long)]
    parent_run_id: Option<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Ended {
    Finished,
    Failed,
    Killed,
}

impl Ended {
    fn wire_name(self) -> &'static str {
        match self {
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
        }
    }
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    match args.command {
        Command::List { experiment_id, view } => list(&experiment(experiment_id, app)?, view, false, app),
        Command::One(command) => run_one(command, app),
    }
}

/// Runs a command about one run.
pub fn run_one(command: One, app: &App) -> Result<Exit, Failure> {
    let store = Store::open(app, matches!(command, One::Create(_)))?;
    let said = match command {
        One::Describe { run_id } => {
            let answer = store.get("runs/get", &[("run_id", &run_id)])?;
            indented_json(&describe(answer.get("run").unwrap_or(&Json::Null)), 4)
        }
        One::Delete { run_id } => {
            store.post("runs/delete", &json!({ "run_id": run_id }))?;
            format!("Run with ID {run_id} has been deleted.")
        }
        One::Restore { run_id } => {
            store.post("runs/restore", &json!({ "run_id": run_id }))?;
            format!("Run with id {run_id} has been restored.")
        }
        One::LinkTraces { run_id, trace_id } => {
            store.post("traces/link-to-run", &json!({"trace_ids": trace_id, "run_id": run_id}))?;
            format!("Successfully linked {} trace(s) to run '{run_id}'", trace_id.len())
        }
        One::Create(new) => create(&store, new, app)?,
    };
    app.out.result(&said);
    Ok(Exit::OK)
}

fn experiment(given: Option<String>, app: &App) -> Result<String, Failure> {
    given.or_else(|| project::text(app.env.mlflow_experiment_id.as_ref())).ok_or_else(|| {
        let hint = Some("give --experiment-id, or set MLFLOW_EXPERIMENT_ID".into());
        CliError::Usage { message: "no experiment is named".into(), hint }.into()
    })
}

/// Lists the runs of an experiment in MLflow's table, or as JSON.
pub fn list(experiment_id: &str, view: View, as_json: bool, app: &App) -> Result<Exit, Failure> {
    let store = Store::open(app, false)?;
    let body =
        json!({"experiment_ids": [experiment_id], "run_view_type": view.wire_name(), "max_results": 1000});
    let runs = store.search("runs/search", &body, "runs", 1000)?;
    if as_json {
        app.out.json(&json!(runs));
        return Ok(Exit::OK);
    }
    let row = |run: &Json| {
        let started = run.pointer("/info/start_time").and_then(Json::as_i64);
        let tags = pairs(run, &["data", "tags"]);
        let name = tags.iter().find(|(key, _)| *key == "mlflow.runName").and_then(|(_, name)| name.as_str());
        vec![
            started.and_then(|ms| Timestamp::from_millisecond(ms).ok()).map_or(String::new(), local_time),
            name.unwrap_or_default().to_owned(),
            text(run, &["info", "run_id"]).to_owned(),
        ]
    };
    let mut rows: Vec<Vec<String>> = runs.iter().map(row).collect();
    // MLflow's order: by the cells as they are shown, the latest first.
    rows.sort_by(|a, b| b.cmp(a));
    app.out.result(&table(&["Date", "Name", "ID"], &rows));
    Ok(Exit::OK)
}

fn local_time(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// A run in the form of MLflow's `Run.to_dictionary()`.
fn describe(run: &Json) -> Value {
    let info = [
        "artifact_uri",
        "end_time",
        "experiment_id",
        "lifecycle_stage",
        "run_id",
        "run_name",
        "start_time",
        "status",
        "user_id",
    ];
    let info = info.map(|field| {
        (field.to_owned(), run.pointer(&format!("/info/{field}")).map_or(Value::Null, Value::from))
    });
    let texts = |group: &str| {
        let pairs = pairs(run, &["data", group]).into_iter();
        Value::Map(pairs.map(|(key, value)| (key.to_owned(), Value::from(value))).collect())
    };
    let metrics = pairs(run, &["data", "metrics"]).into_iter();
    let metrics = metrics.map(|(key, value)| (key.to_owned(), Value::Float(number(value)))).collect();
    let list = |path: &str, item: fn(&Json) -> Json| {
        let items = run.pointer(path).and_then(Json::as_array).into_iter().flatten();
        Value::List(items.map(|found| Value::from(&item(found))).collect())
    };
    let map = |fields: Vec<(&str, Value)>| {
        Value::Map(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    };
    map(vec![
        ("info", Value::Map(Map::from_iter(info))),
        (
            "data",
            map(vec![("metrics", Value::Map(metrics)), ("params", texts("params")), ("tags", texts("tags"))]),
        ),
        (
            "inputs",
            map(vec![
                ("model_inputs", list("/inputs/model_inputs", Json::clone)),
                ("dataset_inputs", list("/inputs/dataset_inputs", dataset_input)),
            ]),
        ),
        ("outputs", map(vec![("model_outputs", list("/outputs/model_outputs", Json::clone))])),
    ])
}

/// A data set with its tags as a mapping.
fn dataset_input(found: &Json) -> Json {
    let tags: serde_json::Map<String, Json> =
        pairs(found, &["tags"]).into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
    let field = |name: &str| found.pointer(&format!("/dataset/{name}")).cloned().unwrap_or(Json::Null);
    json!({
        "dataset": {
            "digest": field("digest"), "name": field("name"), "profile": field("profile"), "schema": field("schema"),
            "source": field("source"), "source_type": field("source_type"),
        },
        "tags": tags,
    })
}

fn number(value: &Json) -> f64 {
    match value {
        Json::String(text) if text == "Infinity" => f64::INFINITY,
        Json::String(text) if text == "-Infinity" => f64::NEG_INFINITY,
        other => other.as_f64().unwrap_or(f64::NAN),
    }
}

fn create(store: &Store, new: Create, app: &App) -> Result<String, Failure> {
    let mut tags = vec![
        ("mlflow.user".to_owned(), project::user(app)),
        ("mlflow.source.name".to_owned(), app.grammar.program().to_owned()),
        ("mlflow.source.type".to_owned(), "LOCAL".to_owned()),
    ];
    let usage = |message: String| Failure::from(CliError::Usage { message, hint: None });
    for (index, tag) in new.tags.iter().enumerate() {
        let malformed = || usage(format!("invalid tag format: '{tag}'; tags must be in key=value format"));
        let (key, value) = tag.split_once('=').ok_or_else(malformed)?;
        if new.tags[..index].iter().any(|other| other.split_once('=').is_some_and(|(known, _)| known == key))
        {
            return Err(usage(format!("duplicate tag key: '{key}'")));
        }
        tags.push((key.to_owned(), value.to_owned()));
    }
    tags.extend(new.description.map(|text| ("mlflow.note.content".to_owned(), text)));
    if let Some(parent) = new.parent_run_id {
        store.get("runs/get", &[("run_id", &parent)])?;
        tags.push(("mlflow.parentRunId".to_owned(), parent));
    }
    let experiment_id = match new.experiment_name {
        Some(name) => experiment_by_name(store, &name)?,
        None => experiment(new.experiment_id, app)?,
    };
    let tags: Vec<Json> = tags.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    let now = || Timestamp::now().as_millisecond();
    let mut body = json!({"experiment_id": experiment_id, "user_id": project::user(app), "start_time": now(), "tags": tags});
    if let Some(name) = &new.run_name {
        body["run_name"] = name.as_str().into();
    }
    let answer = store.post("runs/create", &body)?;
    let run_id = text(&answer, &["run", "info", "run_id"]);
    let status = new.status.wire_name();
    store.post("runs/update", &json!({"run_id": run_id, "status": status, "end_time": now()}))?;
    if let Some(url) = store.url() {
        let name = text(&answer, &["run", "info", "run_name"]);
        app.out.line(&format!("🏃 View run {name} at: {url}/#/experiments/{experiment_id}/runs/{run_id}"));
        app.out.line(&format!("🧪 View experiment at: {url}/#/experiments/{experiment_id}"));
    }
    let made =
        json!({"run_id": run_id, "experiment_id": experiment_id, "status": status, "run_name": new.run_name});
    Ok(indented_json(&Value::from(&made), 2))
}

fn experiment_by_name(store: &Store, name: &str) -> Result<String, Failure> {
    let known = store.call(async |client| {
        match client.get("experiments/get-by-name", &[("experiment_name", name)]).await {
            Err(error) if error.is_missing() => Ok(None),
            other => other.map(Some),
        }
    })?;
    let id = match known {
        Some(answer) => text(&answer, &["experiment", "experiment_id"]).to_owned(),
        None => {
            text(&store.post("experiments/create", &json!({ "name": name }))?, &["experiment_id"]).to_owned()
        }
    };
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_described_as_mlflow_does() {
        let run = json!({
            "info": {"run_id": "r", "status": "FINISHED", "start_time": 5},
            "data": {"metrics": [{"key": "m", "value": 1.0}, {"key": "n", "value": "NaN"}], "params": [{"key": "p", "value": "1"}]},
            "inputs": {"dataset_inputs": [{"dataset": {"name": "d", "digest": "1"}, "tags": [{"key": "c", "value": "train"}]}]},
        });
        let shown = indented_json(&describe(&run), 1);
        for part in [
            "\"end_time\": null",
            "\"m\": 1.0",
            "\"n\": NaN",
            "\"p\": \"1\"",
            "\"c\": \"train\"",
            "\"model_outputs\": []",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }
}
