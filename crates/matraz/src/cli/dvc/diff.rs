//! `dvc diff`, `matraz diff`

use matraz_base::Failure;
use matraz_data::diff::{self, Diff, Item, Request};
use matraz_data::{Digest, Error};
use serde_json::{Map, Value, json};

use super::project::open_to_read;
use crate::app::App;
use crate::cli::table;
use crate::exit::Exit;
use crate::names::Grammar;
use crate::render;

/// Show how tracked data differ between two commits, or between a commit and the workspace
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The earlier commit
    #[arg(default_value = "HEAD")]
    a_rev: String,
    /// The later commit [default: the workspace]
    b_rev: Option<String>,
    /// Only these outputs, paths in them, or `.dvc` files
    #[arg(long, num_args = 0.., value_name = "PATHS")]
    targets: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Show digests, too
    #[arg(long)]
    show_hash: bool,
    /// Print a Markdown table
    #[arg(long)]
    md: bool,
    /// Say nothing of content that the cache lacks
    #[arg(long)]
    hide_missing: bool,
}

/// DVC does not expect a target that exists nowhere.
const UNKNOWN_TARGET: u8 = 255;

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = open_to_read(app)?;
    let request = Request { from: args.a_rev, to: args.b_rev, targets: args.targets };
    let diff = match diff::diff(&repo, &request, &app.cwd, &app.out, &app.interrupt) {
        Err(error @ Error::NoSuchTarget { .. }) if app.grammar == Grammar::Dvc => {
            app.out.error(&render::error(&error, app.grammar, &app.cwd, app.out.colour()));
            return Ok(Exit(UNKNOWN_TARGET));
        }
        other => other?,
    };
    let view = View { show_hash: args.show_hash, with_missing: request.to.is_none() && !args.hide_missing };
    if args.json {
        app.out.json(&view.json(&diff));
    } else if args.md {
        app.out.line(&view.markdown(&diff));
    } else if !diff.is_empty() {
        let text = view.text(&diff);
        if !text.is_empty() {
            app.out.line(&text);
        }
    }
    Ok(Exit::OK)
}

struct View {
    show_hash: bool,
    with_missing: bool,
}

impl View {
    /// The lists in the order in which people read them.
    fn lists<'d>(&self, diff: &'d Diff) -> Vec<(&'static str, &'d [Item])> {
        let mut lists: Vec<(&str, &[Item])> = vec![
            ("added", &diff.added),
            ("deleted", &diff.deleted),
            ("renamed", &diff.renamed),
            ("modified", &diff.modified),
        ];
        if self.with_missing {
            lists.push(("not in cache", &diff.not_in_cache));
        }
        lists
    }

    fn json(&self, diff: &Diff) -> Value {
        let mut map = Map::new();
        if diff.is_empty() {
            return Value::Object(map);
        }
        for (name, items) in self.lists(diff) {
            map.insert(name.to_owned(), items.iter().map(|item| self.item_json(name, item)).collect());
        }
        Value::Object(map)
    }

    fn item_json(&self, list: &str, item: &Item) -> Value {
        let mut map = Map::new();
        let path = match &item.new_path {
            Some(new) => json!({ "old": item.path, "new": new }),
            None => json!(item.path),
        };
        map.insert("path".into(), path);
        if self.show_hash {
            let text = |digest: Option<Digest>| digest.map(|digest| digest.to_text());
            let hash = match list {
                "added" => json!(text(item.new)),
                "modified" => json!({ "old": text(item.old), "new": text(item.new) }),
                _ => json!(text(item.old)),
            };
            map.insert("hash".into(), hash);
        }
        Value::Object(map)
    }

    fn markdown(&self, diff: &Diff) -> String {
        let headers: Vec<String> = ["Status", "Hash", "Path"]
            .iter()
            .filter(|h| self.show_hash || **h != "Hash")
            .map(|h| (*h).into())
            .collect();
        let mut rows = Vec::new();
        for (name, items) in self.lists(diff) {
            for item in items {
                let mut row = vec![name.to_owned()];
                if self.show_hash {
                    row.push(short_hash(name, item));
                }
                row.push(path(item));
                rows.push(row);
            }
        }
        table::github(&headers, &rows)
    }

    fn text(&self, diff: &Diff) -> String {
        let mut text = String::new();
        let mut numbers = Vec::new();
        for (name, items) in self.lists(diff).into_iter().filter(|(_, items)| !items.is_empty()) {
            let mut title = name.to_owned();
            title[..1].make_ascii_uppercase();
            text += &format!("{title}:\n");
            for item in items {
                let hash = if self.show_hash { short_hash(name, item) } else { String::new() };
                let gap = if hash.is_empty() { "" } else { "  " };
                text += &format!("    {hash}{gap}{}\n", path(item));
            }
            text.push('\n');
            let files = items.iter().filter(|item| !path(item).ends_with('/')).count();
            if files > 0 {
                numbers.push(format!("{files} {name}"));
            }
        }
        if !numbers.is_empty() {
            text += &format!("files summary: {}\n", numbers.join(", "));
        }
        text.pop();
        text
    }
}

fn path(item: &Item) -> String {
    match &item.new_path {
        Some(new) => format!("{} -> {new}", item.path),
        None => item.path.clone(),
    }
}

/// The first eight digits, of both contents when they differ.
fn short_hash(list: &str, item: &Item) -> String {
    let short =
        |digest: Option<Digest>| digest.map_or_else(String::new, |digest| digest.hex()[..8].to_owned());
    match list {
        "added" => short(item.new),
        "modified" => format!("{}..{}", short(item.old), short(item.new)),
        _ => short(item.old),
    }
}
