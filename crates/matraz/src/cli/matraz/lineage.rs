//! `matraz lineage`

use matraz_base::Failure;
use matraz_data::Repo;
use matraz_loop::lineage::{self, Directions, Lineage, Store};
use serde_json::json;

use crate::app::App;
use crate::exit::Exit;
use crate::project::Project;

/// What is behind a model version, a run or a file, and what was made from it
///
/// SUBJECT is one of `runs:/ID`, `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `PATH`, `PATH@REVISION`, a revision of git,
/// an MD5, or the name of a run.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The thing that is asked about
    subject: String,
    /// Only what is behind it
    #[arg(long, conflicts_with = "down")]
    up: bool,
    /// Only what was made from it
    #[arg(long)]
    down: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "mermaid")]
    json: bool,
    /// Print a diagram of Mermaid
    #[arg(long)]
    mermaid: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::here(app)?;
    // Without a project or a store the other one still has answers.
    let repo = Repo::open(&app.cwd, &app.places()).ok();
    let tracker = project.target.exists().then(|| project.tracker()).transpose()?;
    let directions = Directions { up: !args.down, down: !args.up };
    let trace = async {
        let store = Store::new(tracker.as_ref().map(matraz_loop::Tracker::client));
        let here = repo.as_ref().map(|repo| (repo, app.cwd.as_path()));
        let subject = lineage::resolve(&store, here, &args.subject).await?;
        lineage::trace(&store, repo.as_ref(), &subject, directions).await
    };
    let found: Result<Lineage, matraz_loop::Error> = match &tracker {
        Some(tracker) => tracker.wait(trace),
        None => tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|source| matraz_loop::Error::Runtime { source })?
            .block_on(trace),
    };
    let found = found?;
    if args.json {
        app.out.json(&json!(found));
    } else if args.mermaid {
        app.out.raw(&found.mermaid());
    } else {
        app.out.result(&found.tree());
    }
    Ok(Exit::OK)
}
