//! `matraz why`

use matraz_base::{Failure, Value};
use matraz_data::Index;
use matraz_data::pipeline::Request;
use matraz_data::pipeline::why::{self, Difference, Reason, Why};
use serde_json::json;

use crate::app::App;
use crate::cli::dvc::project;
use crate::exit::Exit;

/// Say what makes stages run, value by value
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Stages, `file:stage`, or `dvc.yaml` and `.dvc` files [default: the dvc.yaml of this folder]
    stages: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = project::open_to_read(app)?;
    let index = Index::load(&repo)?;
    let request = Request { cwd: app.cwd.clone(), targets: args.stages, ..Request::default() };
    let answers = why::why(&repo, &index, &request, &app.out, &app.interrupt)?;
    if args.json {
        app.out.json(&json!(answers));
    } else {
        for answer in &answers {
            app.out.result(&lines(answer).join("\n"));
        }
    }
    Ok(Exit::OK)
}

fn lines(answer: &Why) -> Vec<String> {
    let frozen = if answer.frozen { " (frozen: what it reads is not looked at)" } else { "" };
    if !answer.runs {
        return vec![format!("{}: nothing, it is up to date{frozen}", answer.stage)];
    }
    let mut lines = vec![format!("{} runs{frozen}:", answer.stage)];
    for reason in &answer.reasons {
        lines.extend(reason_lines(reason).into_iter().map(|line| format!("  {line}")));
    }
    lines
}

fn reason_lines(reason: &Reason) -> Vec<String> {
    let value =
        |value: &Option<Value>| value.as_ref().map_or_else(|| "(none)".into(), |v| v.to_json().to_string());
    match reason {
        Reason::NeverRan => vec!["it has not run yet: dvc.lock does not have it".into()],
        Reason::Always => vec!["it runs every time".into()],
        Reason::Command { old, new } => {
            let mut lines = vec!["the command changed:".to_owned()];
            lines.extend(old.iter().filter(|line| !new.contains(line)).map(|line| format!("  - {line}")));
            lines.extend(new.iter().filter(|line| !old.contains(line)).map(|line| format!("  + {line}")));
            lines
        }
        Reason::Param { file, name, old, new } => {
            vec![format!("the parameter {name} of {file} changed: {} → {}", value(old), value(new))]
        }
        Reason::NoParamsFile { file } => vec![format!("the parameters file {file} is not there")],
        Reason::Dependency(difference) => difference_lines("it reads", difference),
        Reason::Output(difference) => difference_lines("it makes", difference),
        Reason::Upstream { stage } => vec![format!("{stage}, which comes before it, runs")],
    }
}

fn difference_lines(what: &str, difference: &Difference) -> Vec<String> {
    let Difference { path, change, old, new, files } = difference;
    let state = match (*change, old, new) {
        ("modified", Some(old), Some(new)) => format!("changed: {} → {}", short(old), short(new)),
        ("deleted", ..) => "is not there".into(),
        ("new", ..) => "is not recorded in dvc.lock".into(),
        (other, ..) => format!("is {other}"),
    };
    let mut lines = vec![format!("{path}, which {what}, {state}")];
    if let Some(files) = files {
        for (sign, list) in [("+", &files.added), ("~", &files.modified), ("-", &files.deleted)] {
            lines.extend(list.iter().take(SHOWN).map(|file| format!("  {sign} {file}")));
            if list.len() > SHOWN {
                lines.push(format!("  {sign} and {} more", list.len() - SHOWN));
            }
        }
    }
    lines
}

/// How many files of a folder are named of each kind; `--json` has all.
const SHOWN: usize = 20;

/// The first digits of a digest, and whether it is that of a folder.
fn short(digest: &str) -> String {
    let end = if digest.ends_with(".dir") { ".dir" } else { "" };
    format!("{}{end}", &digest[..digest.len().min(8)])
}
