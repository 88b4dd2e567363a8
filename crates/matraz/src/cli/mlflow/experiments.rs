//! `mlflow experiments`

mod csv;

use clap::{ArgGroup, Subcommand, ValueEnum};
use matraz_base::{Failure, Value};
use serde_json::{Value as Json, json};

use super::store::{Store, View, indented_json, pairs, table, text};
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;
use crate::printer::python_json;
use crate::project;

/// Manage experiments
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Create an experiment
    Create {
        /// Its name
        #[arg(short = 'n', long)]
        experiment_name: String,
        /// Where its runs keep their artifacts [default: the store's artifact root]
        #[arg(short = 'l', long)]
        artifact_location: Option<String>,
        /// Refused: traces are not archived
        #[arg(long, hide = true)]
        trace_archival_retention: Option<String>,
    },
    /// List experiments
    Search {
        /// Which ones
        #[arg(short, long, default_value = "active_only")]
        view: View,
        /// How many at most [default: all]
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        max_results: Option<u64>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one experiment
    #[command(group = ArgGroup::new("experiment").required(true))]
    Get {
        /// Its id
        #[arg(short = 'x', long, group = "experiment")]
        experiment_id: Option<String>,
        /// Its name
        #[arg(short = 'n', long, group = "experiment")]
        experiment_name: Option<String>,
        /// The form of the answer
        #[arg(long, default_value = "table")]
        output: Output,
    },
    /// Rename an active experiment
    Rename {
        #[command(flatten)]
        experiment: ById,
        /// The new name
        #[arg(short = 'n', long)]
        new_name: String,
    },
    /// Mark an experiment and its runs as deleted
    Delete {
        #[command(flatten)]
        experiment: ById,
    },
    /// Bring a deleted experiment and its runs back
    Restore {
        #[command(flatten)]
        experiment: ById,
    },
    /// Refused: it sets when traces are archived, which this program does not do
    #[command(hide = true)]
    Update {
        /// What was asked for
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        asked: Vec<String>,
    },
    /// Write all runs of an experiment as CSV
    Csv {
        #[command(flatten)]
        experiment: ById,
        /// The file to write [default: standard output]
        #[arg(short = 'o', long)]
        filename: Option<std::path::PathBuf>,
    },
}

/// An experiment named by its number.
#[derive(clap::Args, Debug)]
struct ById {
    /// The id of the experiment [default: MLFLOW_EXPERIMENT_ID]
    #[arg(short = 'x', long)]
    experiment_id: Option<String>,
}

impl ById {
    fn id(&self, app: &App) -> Result<String, Failure> {
        let id = self.experiment_id.clone().or_else(|| project::text(app.env.mlflow_experiment_id.as_ref()));
        id.ok_or_else(|| {
            let hint = Some("give --experiment-id, or set MLFLOW_EXPERIMENT_ID".into());
            CliError::Usage { message: "no experiment is named".into(), hint }.into()
        })
    }
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// One line per field.
    Table,
    /// JSON.
    Json,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let archives = matches!(
        args.command,
        Command::Update { .. } | Command::Create { trace_archival_retention: Some(_), .. }
    );
    if archives {
        let message = "the archival of traces is not supported yet by matraz".to_owned();
        return Err(CliError::Usage { message, hint: None }.into());
    }
    let store = Store::open(app, matches!(args.command, Command::Create { .. }))?;
    let said = match args.command {
        Command::Create { experiment_name: name, artifact_location, .. } => {
            let mut body = json!({ "name": name });
            if let Some(location) = artifact_location {
                body["artifact_location"] = location.into();
            }
            let answer = store.post("experiments/create", &body)?;
            format!("Created experiment '{name}' with id {}", text(&answer, &["experiment_id"]))
        }
        Command::Search { view, max_results, json } => search(&store, view, max_results, json)?,
        Command::Get { experiment_id, experiment_name, output } => {
            let answer = match (&experiment_id, &experiment_name) {
                (Some(id), _) => store.get("experiments/get", &[("experiment_id", id)])?,
                (None, name) => {
                    let name = name.as_deref().unwrap_or_default();
                    store.get("experiments/get-by-name", &[("experiment_name", name)])?
                }
            };
            let experiment = answer.get("experiment").unwrap_or(&Json::Null);
            match output {
                Output::Table => sheet(experiment),
                Output::Json => indented_json(&Value::from(&fields(experiment)), 2),
            }
        }
        Command::Rename { experiment, new_name } => {
            let id = experiment.id(app)?;
            store.post("experiments/update", &json!({"experiment_id": id, "new_name": new_name}))?;
            format!("Experiment with id {id} has been renamed to '{new_name}'.")
        }
        Command::Delete { experiment } => {
            let id = experiment.id(app)?;
            store.post("experiments/delete", &json!({ "experiment_id": id }))?;
            format!("Experiment with ID {id} has been deleted.")
        }
        Command::Restore { experiment } => {
            let id = experiment.id(app)?;
            store.post("experiments/restore", &json!({ "experiment_id": id }))?;
            format!("Experiment with id {id} has been restored.")
        }
        // Refused above.
        Command::Update { .. } => String::new(),
        Command::Csv { experiment, filename } => {
            csv::export(&store, &experiment.id(app)?, filename.as_deref())?
        }
    };
    app.out.result(&said);
    Ok(Exit::OK)
}

fn search(store: &Store, view: View, most: Option<u64>, as_json: bool) -> Result<String, Failure> {
    let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let body = json!({"view_type": view.wire_name(), "max_results": most.min(1000)});
    let found = store.search("experiments/search", &body, "experiments", most)?;
    if as_json {
        return Ok(python_json(&Json::from(found)));
    }
    let row = |experiment: &Json| {
        ["experiment_id", "name", "artifact_location"]
            .map(|field| text(experiment, &[field]).to_owned())
            .to_vec()
    };
    let mut rows: Vec<Vec<String>> = found.iter().map(row).collect();
    rows.sort();
    Ok(table(&["Experiment Id", "Name", "Artifact Location"], &rows))
}

/// One line per field.
fn sheet(experiment: &Json) -> String {
    let time = |field: &str| {
        experiment.get(field).and_then(Json::as_i64).map_or("N/A".to_owned(), |ms| ms.to_string())
    };
    let tags: Vec<String> = pairs(experiment, &["tags"])
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    let lines = [
        ("Experiment ID", text(experiment, &["experiment_id"]).to_owned()),
        ("Name", text(experiment, &["name"]).to_owned()),
        ("Artifact Location", text(experiment, &["artifact_location"]).to_owned()),
        ("Lifecycle Stage", text(experiment, &["lifecycle_stage"]).to_owned()),
        ("Creation Time", time("creation_time")),
        ("Last Update Time", time("last_update_time")),
        ("Tags", tags.join(", ")),
    ];
    lines.map(|(name, value)| format!("{name:<19}: {value}")).join("\n")
}

/// The fields of MLflow's entity, in the order of their names.
fn fields(experiment: &Json) -> Json {
    let tags: serde_json::Map<String, Json> = pairs(experiment, &["tags"])
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect();
    let field = |name: &str| experiment.get(name).cloned().unwrap_or(Json::Null);
    json!({
        "artifact_location": field("artifact_location"),
        "creation_time": field("creation_time"),
        "effective_trace_archival_retention": null,
        "experiment_id": field("experiment_id"),
        "last_update_time": field("last_update_time"),
        "lifecycle_stage": field("lifecycle_stage"),
        "name": field("name"),
        "tags": tags,
        "trace_location": null,
        "workspace": "default",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheets() {
        let experiment = json!({
            "experiment_id": "5", "name": "clix", "artifact_location": "mlflow-artifacts:/5", "lifecycle_stage": "active",
            "creation_time": 7, "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}],
        });
        let want = "Experiment ID      : 5\nName               : clix\nArtifact Location  : mlflow-artifacts:/5\n\
                    Lifecycle Stage    : active\nCreation Time      : 7\nLast Update Time   : N/A\nTags               : a=1, b=2";
        assert_eq!(sheet(&experiment), want);
    }
}
