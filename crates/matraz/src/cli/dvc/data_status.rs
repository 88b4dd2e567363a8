//! `dvc data status`, `matraz data status`

use clap::ValueEnum;
use matraz_base::Failure;
use matraz_data::data_status::{self, Changes, DataStatus, Request};
use serde_json::{Map, Value, json};

use super::project::open_to_read;
use crate::app::App;
use crate::exit::Exit;
use crate::names::Grammar;

/// Show how tracked data differ between the last commit, the project's files and the workspace
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files and folders [default: all]
    targets: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// List the files of tracked folders one by one
    #[arg(long)]
    granular: bool,
    /// List what did not change, too
    #[arg(long)]
    unchanged: bool,
    /// List files that neither git nor the project tracks
    #[arg(long, value_name = "WHICH", num_args = 0..=1, default_value = "no", default_missing_value = "all")]
    untracked_files: Untracked,
    /// The remote for `--not-in-remote`
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    /// List what the remote lacks
    #[arg(long)]
    not_in_remote: bool,
    /// Believe what the last `--not-in-remote` saw on the remote
    #[arg(long)]
    no_remote_refresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Untracked {
    No,
    All,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = open_to_read(app)?;
    // In DVC the paths that are given and those that are shown start at the root of the project, wherever one stands.
    let base = if app.grammar == Grammar::Dvc { repo.root.clone() } else { app.cwd.clone() };
    let request = Request {
        targets: args.targets,
        base,
        granular: args.granular,
        untracked: args.untracked_files == Untracked::All,
        not_in_remote: args.not_in_remote,
        remote: args.remote,
        no_refresh: args.no_remote_refresh,
    };
    let mut status = data_status::status(&repo, &request, &app.cwd, &app.out, &app.interrupt)?;
    if !args.unchanged {
        status.unchanged.clear();
    }
    if args.json {
        app.out.json(&to_json(&status));
    } else {
        app.out.line(&text(&status, app.grammar.program()));
    }
    Ok(Exit::OK)
}

/// Only what is not empty, in DVC's shape.
fn to_json(status: &DataStatus) -> Value {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| {
        let empty =
            value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
        if !empty {
            map.insert(name.to_owned(), value);
        }
    };
    put("not_in_cache", json!(status.not_in_cache));
    put("not_in_remote", json!(status.not_in_remote));
    put("committed", changes_json(&status.committed));
    put("uncommitted", changes_json(&status.uncommitted));
    put("untracked", json!(status.untracked));
    put("unchanged", json!(status.unchanged));
    Value::Object(map)
}

fn changes_json(changes: &Changes) -> Value {
    let mut map = Map::new();
    let renamed: Vec<Value> =
        changes.renamed.iter().map(|(old, new)| json!({ "old": old, "new": new })).collect();
    for (name, list) in [
        ("added", json!(changes.added)),
        ("deleted", json!(changes.deleted)),
        ("modified", json!(changes.modified)),
        ("renamed", json!(renamed)),
        ("unknown", json!(changes.unknown)),
    ] {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            map.insert(name.to_owned(), list);
        }
    }
    Value::Object(map)
}

fn text(status: &DataStatus, program: &str) -> String {
    let paths = |paths: &[String]| paths.iter().map(|path| format!("        {path}")).collect::<Vec<_>>();
    let section = |title: &str, hints: &[String], lines: Vec<String>| {
        let hints = hints.iter().map(|hint| format!("  ({hint})"));
        let all: Vec<String> =
            std::iter::once(format!("{title}:")).chain(hints).chain(lines.clone()).collect();
        (!lines.is_empty()).then(|| all.join("\n"))
    };
    let use_to = |what: &str, to: &str| format!("use \"{program} {what} <file>...\" to {to}");
    let sections = [
        section("Not in cache", &[use_to("fetch", "download files")], paths(&status.not_in_cache)),
        section("Not in remote", &[use_to("push", "upload files")], paths(&status.not_in_remote)),
        section(
            "DVC committed changes",
            &["git commit the corresponding dvc files to update the repo".into()],
            changes_lines(&status.committed),
        ),
        section(
            "DVC uncommitted changes",
            &[use_to("commit", "track changes"), use_to("checkout", "discard changes")],
            changes_lines(&status.uncommitted),
        ),
        section(
            "Untracked files",
            &[format!(
                "use \"git add <file> ...\" or \"{program} add <file>...\" to commit to git or to {program}"
            )],
            paths(&status.untracked),
        ),
        section("DVC unchanged files", &[], paths(&status.unchanged)),
    ];
    let sections: Vec<String> = sections.into_iter().flatten().collect();
    let mut text = sections.join("\n\n");
    if sections.is_empty() {
        let place = if status.no_commits { " in an empty git repo" } else { "" };
        text = format!("No changes{place}.");
    }
    if status.git_dirty {
        let other = if sections.is_empty() { "" } else { "other " };
        text += &format!("\n(there are {other}changes not tracked by {program}, use \"git status\" to see)");
    }
    text
}

fn changes_lines(changes: &Changes) -> Vec<String> {
    let mut lines = Vec::new();
    for (word, paths) in [
        ("added", &changes.added),
        ("deleted", &changes.deleted),
        ("modified", &changes.modified),
        ("unknown", &changes.unknown),
    ] {
        lines.extend(paths.iter().map(|path| format!("        {word}: {path}")));
    }
    lines.extend(changes.renamed.iter().map(|(old, new)| format!("        renamed: {old} -> {new}")));
    lines
}
