//! `dvc exp diff`, `matraz exp diff`

use matraz_base::Failure;
use matraz_data::experiment::diff;

use super::exp::caught;
use super::metrics_diff::{Layout, Look};
use super::metrics_show::chosen;
use super::project::open_to_read;
use crate::app::App;
use crate::exit::Exit;

/// Compare metrics and parameters of two experiments
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The older experiment or commit
    #[arg(default_value = "HEAD")]
    a_rev: String,
    /// The newer experiment or commit
    #[arg(default_value = "workspace")]
    b_rev: String,
    /// Unchanged values too
    #[arg(long)]
    all: bool,
    /// Only parameters that stages read
    #[arg(long)]
    param_deps: bool,
    #[command(flatten)]
    look: Look,
    /// Round metrics to this many decimals
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    precision: Option<i32>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = open_to_read(app)?;
    caught(app, compare(&args, app, &repo))
}

fn compare(args: &Args, app: &App, repo: &matraz_data::Repo) -> Result<Exit, Failure> {
    let revisions = [args.a_rev.as_str(), args.b_rev.as_str()];
    let Some(report) = diff::diff(repo, revisions, args.all, args.param_deps)? else {
        if args.look.json {
            app.out.result("{}");
        }
        return Ok(Exit::OK);
    };
    let layout = |title, precision| Layout { title, look: args.look, change: true, precision };
    // The paths are relative to the project already.
    let root = std::path::Path::new("");
    let metrics = layout("Metric", Some(chosen(args.precision))).render(&report.metrics, revisions, root);
    let params = layout("Param", None).render(&report.params, revisions, root);
    match args.look.json {
        true => app.out.result(&format!(
            "{{\"metrics\": {}, \"params\": {}}}",
            metrics.trim_end(),
            params.trim_end()
        )),
        false => app.out.raw(&format!("{metrics}\n{params}")),
    }
    Ok(Exit::OK)
}
