//! `dvc status`, `matraz status`

use std::path::{Path, PathBuf};

use matraz_base::{Failure, Kind, Progress};
use matraz_data::pipeline::changes::{Changes, ParamsChange, Updates};
use matraz_data::stage::address::relative;
use matraz_data::target::TargetOptions;
use matraz_data::{remote, status};
use serde_json::{Map, Value, json};

use super::project::{open_to_read, warn_of_corrupted};
use super::push::Revisions;
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;
use crate::printer::Volume;

/// Show stages and data that changed, or what a remote lacks
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Stages, `.dvc` files, outputs or paths inside them [default: all]
    targets: Vec<String>,
    /// Compare the cache with the default remote
    #[arg(short, long)]
    cloud: bool,
    /// Compare the cache with this remote
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    /// Threads, for a comparison with a remote
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// All stages that the targets depend on, too
    #[arg(short = 'd', long)]
    with_deps: bool,
    /// Folders stand for everything below them
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Do not ask the sources of imports for changes; they are never asked yet
    #[arg(long)]
    no_updates: bool,
    #[command(flatten)]
    revisions: Revisions,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let cloud = args.cloud || args.remote.is_some();
    if !cloud {
        let mut meaningless = args.revisions.given();
        meaningless.extend(args.jobs.filter(|jobs| *jobs > 0).map(|_| "--jobs"));
        if !meaningless.is_empty() {
            let options = meaningless.join(", ");
            let message = format!("the following options are meaningless for local status: {options}");
            return Err(CliError::Refused { message, kind: Kind::Conflict }.into());
        }
    }
    let repo = open_to_read(app)?.with_threads(args.jobs);
    let how = TargetOptions { with_deps: args.with_deps, recursive: args.recursive };
    let (found, empty) = if cloud {
        let options = remote::status::Options {
            targets: how,
            remote: args.remote.clone(),
            which: args.revisions.which(),
        };
        let standings =
            remote::status::status(&repo, &args.targets, &options, &app.cwd, &app.out, &app.interrupt)?;
        let found: Map<String, Value> = standings
            .into_iter()
            .map(|(path, standing)| (relative(&path, &app.cwd), json!(standing.word())))
            .collect();
        (found, false)
    } else {
        let updates = if args.no_updates { Updates::Ignored } else { Updates::All };
        let status = status::status(&repo, &args.targets, how, updates, &app.cwd, &app.out, &app.interrupt)?;
        warn_of_corrupted(app, &status.corrupted);
        for stage in &status.frozen {
            let stage = stage.display(&app.cwd);
            app.out.warn(&format!("{stage} is frozen: its dependencies are not looked at"));
        }
        let found = status
            .changed
            .iter()
            .map(|(address, changes)| {
                (address.display(&app.cwd), entries(app, &repo.root, changes, address.name.is_none()))
            })
            .collect();
        (found, status.empty)
    };
    if args.json {
        app.out.json(&Value::Object(found));
        return Ok(Exit::OK);
    }
    if app.out.volume() <= Volume::Quiet {
        return Ok(if found.is_empty() { Exit::OK } else { Exit::NO });
    }
    if !found.is_empty() {
        let mut lines = Vec::new();
        write_map(&found, usize::from(args.cloud), &mut lines);
        app.out.line(&lines.join("\n"));
    } else if empty {
        app.out.line(
            "There are no data or pipelines tracked in this project yet.\n\
             See <https://dvc.org/doc/start> to get started!",
        );
    } else if cloud {
        let remote = args.remote.or_else(|| repo.config.default_remote()).unwrap_or_else(|| "None".into());
        app.out.line(&format!("Cache and remote '{remote}' are in sync."));
    } else {
        app.out.line("Data and pipelines are up to date.");
    }
    Ok(Exit::OK)
}

/// What differs at a stage, in the shape of DVC's JSON.
fn entries(app: &App, root: &Path, changes: &Changes, in_data_file: bool) -> Value {
    // What lies outside the project has no shorter name.
    let name = |path: &PathBuf| match path.starts_with(root) {
        true => relative(path, &app.cwd),
        false => path.display().to_string(),
    };
    let mut list = Vec::new();
    let mut deps = Map::new();
    for (path, change) in &changes.deps {
        deps.insert(name(path), json!(change.word()));
    }
    for (path, change) in &changes.params {
        let value = match change {
            ParamsChange::File(change) => json!(change.word()),
            ParamsChange::Values(values) => {
                values.iter().map(|(key, change)| (key.clone(), json!(change.word()))).collect()
            }
        };
        deps.insert(name(path), value);
    }
    if let Some(source) = &changes.update {
        deps.insert(source.clone(), json!("update available"));
    }
    if !deps.is_empty() {
        list.push(json!({ "changed deps": deps }));
    }
    if !changes.outs.is_empty() {
        let outs: Map<String, Value> =
            changes.outs.iter().map(|(path, change)| (name(path), json!(change.word()))).collect();
        list.push(json!({ "changed outs": outs }));
    }
    if changes.always {
        list.push(json!("always changed"));
    }
    if changes.command {
        list.push(json!(if in_data_file { "changed checksum" } else { "changed command" }));
    }
    Value::Array(list)
}

/// The lines of DVC's text for a mapping: `word:` padded to twenty columns, then the path.
fn write_map(map: &Map<String, Value>, indent: usize, lines: &mut Vec<String>) {
    let tabs = "\t".repeat(indent);
    for (key, value) in map {
        match value {
            Value::String(word) => lines.push(format!("{tabs}{:<20}{key}", format!("{word}:"))),
            other => {
                lines.push(format!("{tabs}{key}:"));
                write_value(other, indent + 1, lines);
            }
        }
    }
}

fn write_value(value: &Value, indent: usize, lines: &mut Vec<String>) {
    match value {
        Value::Object(map) => write_map(map, indent, lines),
        Value::Array(items) => items.iter().for_each(|item| write_value(item, indent, lines)),
        Value::String(text) => lines.push(format!("{}{text}", "\t".repeat(indent))),
        other => lines.push(format!("{}{other}", "\t".repeat(indent))),
    }
}
