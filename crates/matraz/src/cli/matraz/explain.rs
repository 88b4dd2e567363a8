//! `matraz explain`

use matraz_base::Failure;
use matraz_data::Repo;
use matraz_loop::explain;
use serde_json::json;

use crate::app::App;
use crate::exit::Exit;
use crate::project::Project;

/// Why two runs or model versions differ: code, data, parameters, environment, seed, hardware
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A run by id or name, or `models:/NAME@ALIAS`, `models:/NAME/VERSION`
    a: String,
    /// The other one
    b: String,
    /// The columns that tell the rows of CSV and TSV files apart, comma-separated
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    key: Vec<String>,
    /// Print JSON
    #[arg(long, conflicts_with = "md")]
    json: bool,
    /// Print markdown, for a pull request
    #[arg(long)]
    md: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::here(app)?;
    let tracker = project.tracker()?;
    let repo = Repo::open(&app.cwd, &app.places()).ok();
    let explanation = explain::explain(&tracker, repo.as_ref(), &args.a, &args.b, &args.key)?;
    if args.json {
        app.out.json(&json!(explanation));
    } else if args.md {
        app.out.raw(&explanation.markdown());
    } else {
        app.out.result(&explanation.text());
    }
    Ok(Exit::OK)
}
