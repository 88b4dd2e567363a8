//! `matraz adopt`

use matraz_base::{Failure, Progress};
use matraz_loop::adopt::{self, Adopted};
use matraz_loop::tracker::{DEFAULT_STORE, Target};
use matraz_track::db::{Head, StoreUri};
use matraz_track::filestore;
use serde_json::json;

use crate::app::App;
use crate::cli::dvc::project as data;
use crate::exit::Exit;
use crate::project::Project;

/// Tie runs that MLflow recorded to the data that DVC tracks, where hashes prove the tie
///
/// Runs in a folder `mlruns` are copied into `mlflow.db` first; the folder stays as it is.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Only say what would be tied
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::here(app)?;
    let repo = data::open_to_read(app)?;
    let mut target = project.target.clone();
    if let (Target::Embedded { store: StoreUri::Folder(folder), artifacts, actor }, false) =
        (&project.target, args.dry_run)
    {
        let store = StoreUri::parse(DEFAULT_STORE, &project.root)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| matraz_loop::Error::Runtime { source })?;
        runtime.block_on(filestore::migrate(folder, &store, Head::default()))?;
        app.out.say(&format!("Copied the runs of {} into {}.", folder.display(), store));
        target = Target::Embedded { store, artifacts: artifacts.clone(), actor: actor.clone() };
    }
    let tracker = matraz_loop::Tracker::open_existing(target)?;
    let found = adopt::plan(&repo, &tracker, &app.out, &app.interrupt)?;
    if !args.dry_run {
        adopt::apply(&tracker, &found)?;
    }
    if args.json {
        app.out.json(&json!({"dry_run": args.dry_run, "runs": found}));
        return Ok(Exit::OK);
    }
    for one in &found {
        app.out.result(&lines(one).join("\n"));
    }
    let proven = found.iter().filter(|one| !one.links.is_empty() || one.commit.is_some()).count();
    let verb = if args.dry_run { "could be tied" } else { "are tied" };
    app.out.line(&format!("{proven} of {} runs {verb} to this repository.", found.len()));
    Ok(Exit::OK)
}

fn lines(one: &Adopted) -> Vec<String> {
    let known = if one.known { "  (adopted before)" } else { "" };
    let id: String = one.run_id.chars().take(8).collect();
    let mut lines = vec![format!("{}  {id}{known}", one.run_name)];
    if let Some(commit) = &one.commit {
        lines.push(format!("  commit {}", commit.chars().take(7).collect::<String>()));
    }
    for link in &one.links {
        let digest: String = link.digest.chars().take(8).collect();
        lines.push(format!("  {} {} {digest}, by {}", link.context, link.path, link.proof));
    }
    lines.extend(one.unproven.iter().map(|line| format!("  unproven: {line}")));
    if lines.len() == 1 {
        lines.push("  unproven: nothing it has is known here".into());
    }
    lines
}
