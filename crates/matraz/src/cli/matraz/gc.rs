//! `matraz gc`

use std::path::Path;

use indicatif::HumanBytes;
use jiff::Timestamp;
use matraz_base::{Failure, Kind, Progress};
use matraz_data::Repo;
use matraz_data::cache::gc::{self, Disposal, Doomed, Place, Plan};
use matraz_data::cache::projects;
use matraz_data::cache::trash::{self, Removal};
use matraz_data::stage::address::relative;
use serde_json::{Value, json};

use crate::app::App;
use crate::cli::CliError;
use crate::cli::dvc::gc as shared;
use crate::cli::dvc::project::Project;
use crate::exit::Exit;

/// Move objects that nothing uses from the cache (and a remote) into a trash, or bring them back
///
/// The trash keeps every removal until `--empty-trash`. `dvc gc` has none: it frees the space at once.
#[derive(clap::Args, Debug)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    what: shared::Args,
    /// Do not keep what only runs need; what model versions need is kept
    #[arg(long)]
    no_runs: bool,
    /// Free the space at once, without the trash
    #[arg(long)]
    delete: bool,
    /// Bring back what the last removal took, or the one of this name
    #[arg(long, value_name = "NAME", num_args = 0..=1)]
    undo: Option<Option<String>>,
    /// Free the space of all removals in the trash, or of the one of this name
    #[arg(long, value_name = "NAME", num_args = 0..=1, conflicts_with = "undo")]
    empty_trash: Option<Option<String>>,
    /// List the removals in the trash
    #[arg(long, conflicts_with_all = ["undo", "empty_trash"])]
    list_trash: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    if let Some(name) = &args.undo {
        return undo(name.as_deref(), args.json, app);
    }
    if let Some(name) = &args.empty_trash {
        let project = Project::open(app)?;
        let emptied = trash::empty(&project.repo, name.as_deref())?;
        if args.json {
            app.out.json(&json!({ "emptied": emptied.iter().map(removal).collect::<Vec<_>>() }));
            return Ok(Exit::OK);
        }
        let (objects, bytes) = total(&emptied);
        app.out.line(&format!("Freed {} of {objects} objects.", HumanBytes(bytes)));
        return Ok(Exit::OK);
    }
    if args.list_trash {
        let project = Project::open(app)?;
        let removals = trash::list(&project.repo)?;
        if args.json {
            app.out.json(&removals.iter().map(removal).collect());
            return Ok(Exit::OK);
        }
        if removals.is_empty() {
            app.out.line("The trash is empty.");
        }
        for one in removals {
            app.out.result(&format!("{}  {} objects, {}", one.name, one.objects, HumanBytes(one.bytes)));
        }
        return Ok(Exit::OK);
    }
    collect(&args, app)
}

fn collect(args: &Args, app: &App) -> Result<Exit, Failure> {
    let dry = args.what.dry;
    guard_shared(args, app)?;
    let Some(agreed) = shared::prepare(&args.what, dry || args.json, !args.no_runs, app)? else {
        app.out.line("Nothing was removed. Use `-f` to go on without being asked.");
        return Ok(Exit::NO);
    };
    let name = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let disposal = if args.delete { Disposal::Delete } else { Disposal::Trash(&name) };
    let removed = match dry {
        true => None,
        false => gc::apply(&agreed.project.repo, &agreed.plan, disposal, &app.out, &app.interrupt)?,
    };
    let plan = &agreed.plan;
    if args.json {
        let trash = removed.map(|removed| removed.name);
        app.out.json(&json!({
            "dry": dry,
            "trash": trash,
            "objects": plan.objects(),
            "bytes": plan.bytes(),
            "places": places(plan, &app.cwd),
            "kept": plan.kept.iter().map(|kept| json!({
                "object": kept.object.digest.to_text(), "size": kept.size, "why": kept.why,
            })).collect::<Vec<_>>(),
        }));
        return Ok(Exit::OK);
    }
    if dry {
        for kept in &plan.kept {
            let size = HumanBytes(kept.size).to_string();
            app.out.result(&format!("{size:>12}  {}  kept for {}", kept.object.digest.to_text(), kept.why));
        }
    } else if !plan.kept.is_empty() {
        let kept = plan.kept.iter().map(|kept| kept.size).sum();
        let (count, size) = (plan.kept.len(), HumanBytes(kept));
        app.out.line(&format!("Kept {count} objects ({size}) that model versions, runs or other projects need; `--dry` lists them."));
    }
    let amount = format!("{} objects ({})", plan.objects(), HumanBytes(plan.bytes()));
    if plan.objects() == 0 {
        app.out.line("Nothing is unused.");
    } else if dry {
        for sweep in &plan.sweeps {
            for doomed in &sweep.doomed {
                app.out.result(&line(doomed, &app.cwd));
            }
        }
        app.out.line(&format!("{amount} would be removed."));
    } else if let Some(removed) = removed {
        app.out.line(&format!(
            "Moved {amount} into the trash, as {}.\n`matraz gc --undo` brings them back, `matraz gc --empty-trash` \
             frees their space.",
            removed.name
        ));
    } else {
        app.out.line(&format!("Removed {amount}."));
    }
    Ok(Exit::OK)
}

/// A project that only DVC works in is on no list: on a cache that others may share, garbage goes into the trash, from which
/// it can be brought back, unless the others are named.
fn guard_shared(args: &Args, app: &App) -> Result<(), Failure> {
    let repo = Repo::open(&app.cwd, &app.places())?;
    if !projects::is_shared(&repo) || !args.what.projects.is_empty() {
        return Ok(());
    }
    let cache = repo.cache_dir().display().to_string();
    if args.delete && !args.what.dry {
        let message = format!(
            "the cache {cache} lies outside of the project: name the projects that share it with `-p`, or leave out \
             `--delete`, so that `--undo` can bring everything back"
        );
        return Err(CliError::Refused { message, kind: Kind::Conflict }.into());
    }
    app.out.warn(&format!(
        "the cache {cache} lies outside of the project; projects that use it by DVC alone are not known: name them with `-p`"
    ));
    Ok(())
}

fn undo(name: Option<&str>, as_json: bool, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let done = trash::undo(&project.repo, name, &app.interrupt)?;
    if as_json {
        app.out.json(&json!({
            "undone": done.name, "restored": done.restored, "present": done.present, "lost": done.lost,
        }));
        return Ok(Exit::OK);
    }
    app.out.line(&format!("Brought back {} objects of {}.", done.restored, done.name));
    if done.present > 0 {
        app.out.line(&format!("{} were there again already.", done.present));
    }
    if done.lost > 0 {
        app.out.error(&format!("{} are no more in the trash.", done.lost));
    }
    Ok(Exit::OK)
}

fn removal(one: &Removal) -> Value {
    json!({ "name": one.name, "objects": one.objects, "bytes": one.bytes, "roots": one.roots })
}

fn total(removals: &[Removal]) -> (usize, u64) {
    (removals.iter().map(|one| one.objects).sum(), removals.iter().map(|one| one.bytes).sum())
}

fn line(doomed: &Doomed, cwd: &Path) -> String {
    let size = HumanBytes(doomed.size).to_string();
    let path = relative(&doomed.path, cwd);
    match &doomed.owner {
        Some(owner) => {
            let revision = owner.revision.get(..7).filter(|_| owner.revision.len() == 40);
            let revision = revision.unwrap_or(&owner.revision);
            format!("{size:>12}  {path}  {} ({} at {revision})", owner.path.display(), owner.stage)
        }
        None => format!("{size:>12}  {path}  never committed"),
    }
}

fn places(plan: &Plan, cwd: &Path) -> Vec<Value> {
    let doomed = |doomed: &Doomed| {
        let owner = doomed
            .owner
            .as_ref()
            .map(|owner| json!({ "revision": owner.revision, "stage": owner.stage, "path": owner.path }));
        json!({
            "object": doomed.object.digest.to_text(),
            "path": relative(&doomed.path, cwd),
            "size": doomed.size,
            "owner": owner,
        })
    };
    let kind = |place: &Place| match place {
        Place::Cache { .. } => ("cache", None),
        Place::Remote { name, .. } => ("remote", Some(name.clone())),
    };
    plan.sweeps
        .iter()
        .filter(|sweep| !sweep.doomed.is_empty())
        .map(|sweep| {
            let (kind, name) = kind(&sweep.place);
            let objects: Vec<Value> = sweep.doomed.iter().map(doomed).collect();
            json!({ "place": kind, "name": name, "root": sweep.root, "objects": objects })
        })
        .collect()
}
