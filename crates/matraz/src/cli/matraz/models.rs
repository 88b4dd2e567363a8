//! `matraz models`

use clap::Subcommand;
use matraz_base::Failure;
use matraz_loop::promote;
use matraz_loop::run::Runs;
use serde_json::json;

use crate::app::App;
use crate::cli::mlflow;
use crate::cli::table::{self, numbers, words};
use crate::exit::Exit;
use crate::project::Project;

/// Serve models, predict with them, register and list versions
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    #[command(flatten)]
    Shared(mlflow::models::Command),
    /// Register the model of a run as a version; a second time gives the same version
    Register {
        /// The run by id, the beginning of it, or name [default: the newest finished pipeline run]
        run: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the versions of a model, newest first
    #[command(visible_alias = "ls")]
    List {
        /// The registered model [default: that of matraz.yaml]
        model: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    match args.command {
        Command::Shared(command) => command.run(app),
        Command::Register { run, json } => register(run.as_deref(), json, app),
        Command::List { model, json } => list(model, json, app),
    }
}

fn register(run: Option<&str>, as_json: bool, app: &App) -> Result<Exit, Failure> {
    let project = Project::here(app)?;
    let model = promote::model(&project.settings)?;
    let tracker = project.tracker()?;
    let run = Runs::existing(&tracker, &project.experiment(app, None))?.find_or_latest(run)?;
    let version = promote::register(&tracker, &run, model)?;
    if as_json {
        app.out.json(&json!(version));
    } else {
        let how = if version.new { "registered" } else { "registered before:" };
        app.out.result(&format!("{how} {} version {} from run {}", version.model, version.version, run.name));
    }
    Ok(Exit::OK)
}

fn list(model: Option<String>, as_json: bool, app: &App) -> Result<Exit, Failure> {
    let project = Project::here(app)?;
    let name = match model {
        Some(name) => name,
        None => promote::model(&project.settings)?.name.clone(),
    };
    let tracker = project.tracker()?;
    let listed = promote::list(&tracker, &name)?;
    if as_json {
        app.out.json(&json!(listed));
        return Ok(Exit::OK);
    }
    if listed.is_empty() {
        app.out.line(&format!("No version of `{name}` is registered yet; `matraz promote` registers one."));
        return Ok(Exit::OK);
    }
    let metrics: Vec<String> = listed
        .iter()
        .flat_map(|entry| entry.metrics.keys())
        .filter(|key| !key.contains(['.', '/']))
        .fold(Vec::new(), |mut keys, key| {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
            keys
        });
    let mut columns = vec![numbers("version"), words("aliases"), words("run"), words("gate")];
    columns.extend(metrics.iter().map(|key| numbers(key)));
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|entry| {
            let mut cells = vec![
                entry.version.version.clone(),
                entry.aliases.join(", "),
                entry.run_name.clone().unwrap_or_else(|| "-".into()),
                entry.gate.clone().unwrap_or_else(|| "-".into()),
            ];
            let figure =
                |key: &String| entry.metrics.get(key).map_or_else(|| "-".into(), |x| table::figure(*x));
            cells.extend(metrics.iter().map(figure));
            cells
        })
        .collect();
    app.out.result(&table::table(&columns, &rows));
    Ok(Exit::OK)
}
