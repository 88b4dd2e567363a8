//! `dvc stage list`

use matraz_base::Failure;
use matraz_data::stage::edit;
use matraz_data::stage::{PIPELINE_FILE, Stage};
use matraz_data::target::{self, TargetOptions};
use matraz_data::{Index, Repo};
use serde_json::json;

use crate::app::App;
use crate::cli::{only_in_matraz, table};
use crate::exit::Exit;

/// List stages and what they make
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Stages, files or folders [default: the dvc.yaml of this folder]
    targets: Vec<String>,
    /// All stages of the project
    #[arg(long)]
    all: bool,
    /// With --all or -R, fail when a file is broken instead of leaving it out
    #[arg(long)]
    fail: bool,
    /// Folders stand for all stages below them
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Names alone
    #[arg(long, visible_alias = "names-only")]
    name_only: bool,
    /// Print JSON (Matraz's own grammar alone)
    #[arg(long)]
    json: bool,
}

/// Descriptions are cut to this many characters.
const WIDTH: usize = 80;

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    only_in_matraz(app, "--json", args.json)?;
    let repo = Repo::open(&app.cwd, &app.places())?;
    let default = vec![PIPELINE_FILE.to_owned()];
    let targets = if args.targets.is_empty() { &default } else { &args.targets };
    let options = TargetOptions { with_deps: false, recursive: args.recursive };
    let index = match (args.all || args.recursive, args.fail) {
        (true, true) => Index::load(&repo)?,
        (true, false) => Index::load_sound(&repo)?,
        (false, _) => Index::load_for(&repo, targets, options, &app.cwd)?,
    };
    let stages: Vec<&Stage> = if args.all {
        index.stages.iter().collect()
    } else {
        let chosen = target::select(&repo, &index, targets, options, &app.cwd)?;
        chosen.iter().map(|selection| &index.stages[selection.stage]).collect()
    };
    if args.json {
        let paths = |paths: Vec<&String>| json!(paths);
        let rows = stages.iter().map(|stage| {
            json!({
                "stage": stage.address.display(&app.cwd),
                "cmd": stage.cmd.iter().flat_map(|cmd| cmd.lines()).collect::<Vec<_>>(),
                "deps": paths(stage.deps.iter().map(|dep| &dep.def_path).collect()),
                "params": paths(stage.params.iter().map(|file| &file.def_path).collect()),
                "outs": paths(stage.outs.iter().map(|out| &out.def_path).collect()),
                "frozen": stage.frozen,
                "desc": stage.desc,
            })
        });
        app.out.json(&rows.collect());
        return Ok(Exit::OK);
    }
    let rows: Vec<Vec<String>> = stages
        .iter()
        .map(|stage| {
            let text = if args.name_only { String::new() } else { shortened(&edit::summary(stage)) };
            vec![stage.address.display(&app.cwd), text]
        })
        .collect();
    if !rows.is_empty() {
        app.out.always(&format!("{}\n", table::bare(&rows)));
    }
    Ok(Exit::OK)
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}
