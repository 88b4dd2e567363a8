//! `dvc exp show`, `matraz exp show`

use jiff::Timestamp;
use jiff::tz::TimeZone;
use matraz_base::Failure;
use matraz_base::value::python_json;
use matraz_data::experiment::show::{self, Options};
use matraz_data::experiment::table::{self, Layout};

use super::exp::{Selection, caught};
use super::exp_json::as_value;
use super::exp_table::{boxed, csv, markdown};
use super::project::open_to_read;
use crate::app::App;
use crate::exit::Exit;

/// Show experiments with their metrics and parameters
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Those that started from the tips of all branches
    #[arg(short = 'a', long)]
    all_branches: bool,
    /// Those that started from all tags
    #[arg(short = 'T', long)]
    all_tags: bool,
    /// The table is printed as it is; there is no pager in any case
    #[arg(long)]
    no_pager: bool,
    /// Without columns in which all values are equal
    #[arg(long)]
    only_changed: bool,
    /// Without columns whose names begin like this regular expression
    #[arg(long, value_name = "PATTERN")]
    drop: Vec<String>,
    /// With these columns, whatever else is asked for
    #[arg(long, value_name = "PATTERN")]
    keep: Vec<String>,
    /// Only parameters that stages read
    #[arg(long)]
    param_deps: bool,
    /// Sort the experiments of a commit by this metric or parameter
    #[arg(long, value_name = "NAME")]
    sort_by: Option<String>,
    /// Which way
    #[arg(long, value_name = "ORDER", default_value = "asc", value_parser = ["asc", "desc"])]
    sort_order: String,
    /// Commits, and no names of branches and tags
    #[arg(long)]
    sha: bool,
    /// Without failed experiments
    #[arg(long)]
    hide_failed: bool,
    /// Without queued experiments
    #[arg(long)]
    hide_queued: bool,
    /// Without the work tree
    #[arg(long)]
    hide_workspace: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print CSV
    #[arg(long)]
    csv: bool,
    /// Print a Markdown table
    #[arg(long)]
    md: bool,
    /// Show so many digits of numbers, with `--csv`
    #[arg(long, value_name = "N")]
    precision: Option<usize>,
    /// Running experiments are looked at where they run in any case
    #[arg(long, hide = true)]
    no_fetch: bool,
    /// Read all commits anew
    #[arg(short, long)]
    force: bool,
}

/// Digits of numbers in tables.
const PRECISION: usize = 5;

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = open_to_read(app)?;
    let options = Options {
        revisions: args.selection.rev.clone(),
        branches: args.all_branches,
        tags: args.all_tags,
        commits: args.selection.all_commits,
        number: args.selection.num,
        hide_queued: args.hide_queued,
        hide_failed: args.hide_failed,
        hide_workspace: args.hide_workspace,
        sha_only: args.sha,
        param_deps: args.param_deps,
        force: args.force,
    };
    let shown = match show::show(&repo, &options) {
        Ok(shown) => shown,
        Err(error) => return caught(app, Err(error.into())),
    };
    if args.json {
        app.out.result(&python_json(&as_value(&shown, &repo.root), false));
        return Ok(Exit::OK);
    }
    let layout = Layout {
        precision: if args.csv { args.precision.filter(|digits| *digits > 0) } else { Some(PRECISION) },
        fill: if args.csv { "" } else { "-" },
        sort_by: args.sort_by.as_deref(),
        descending: args.sort_order == "desc",
        time: if args.csv { &iso } else { &moment },
        tree: !args.csv,
        only_changed: args.only_changed,
        drop: &args.drop,
        keep: &args.keep,
    };
    let columns = table::table(&shown, &layout)?;
    app.out.raw(&match (args.csv, args.md) {
        (true, _) => csv(&columns),
        (_, true) => markdown(&columns),
        _ => boxed(&columns),
    });
    Ok(Exit::OK)
}

/// A moment in local time, as Python writes it in ISO format without a zone.
pub fn iso(seconds: i64) -> String {
    local(seconds).map_or_else(String::new, |time| time.strftime("%Y-%m-%dT%H:%M:%S").to_string())
}

/// A moment in local time for people: of today the time, of other days the day.
pub fn moment(seconds: i64) -> String {
    let today = Timestamp::now().to_zoned(TimeZone::system()).date();
    local(seconds).map_or_else(String::new, |time| {
        let format = if time.date() == today { "%I:%M %p" } else { "%b %d, %Y" };
        time.strftime(format).to_string()
    })
}

fn local(seconds: i64) -> Option<jiff::Zoned> {
    Timestamp::from_second(seconds).ok().map(|time| time.to_zoned(TimeZone::system()))
}
