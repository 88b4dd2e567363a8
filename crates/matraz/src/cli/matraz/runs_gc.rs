//! `matraz runs gc`

use indicatif::HumanBytes;
use jiff::Timestamp;
use matraz_base::{Failure, Progress as _};
use matraz_loop::Target;
use matraz_track::gc::Wanted;
use matraz_track::gc::trash::{self, Emptied, Item, Removal as InTrash, Restored};
use matraz_track::{Service, ServiceOptions};
use serde_json::{Value, json};

use crate::app::App;
use crate::cli::CliError;
use crate::cli::mlflow::gc::{Removal, age, on_store};
use crate::exit::Exit;

/// Move what is marked as deleted into a trash, or bring it back: runs, logged models, experiments, with their artifacts
///
/// Artifacts lie beside the artifact folder and rows stay until `--empty-trash`. When ids are given only these go.
/// `mlflow gc` has no trash: it removes at once, and takes all other kinds too when ids are given.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Only say what would go, and how large it is
    #[arg(long)]
    dry_run: bool,
    /// Only what is marked for longer than this: 30d, 2d8h5m20s, 1.5h
    #[arg(long, value_name = "AGE")]
    older_than: Option<String>,
    /// These runs, comma-separated
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    run_ids: Option<Vec<String>>,
    /// These experiments with all that belongs to them, comma-separated
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    experiment_ids: Option<Vec<String>>,
    /// These logged models, comma-separated
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    logged_model_ids: Option<Vec<String>>,
    /// Remove for good at once, without the trash
    #[arg(long)]
    delete: bool,
    /// Bring back the artifacts that the last removal took, or the one of this name
    #[arg(long, value_name = "NAME", num_args = 0..=1)]
    undo: Option<Option<String>>,
    /// Remove for good what is in the trash, or the removal of this name
    #[arg(long, value_name = "NAME", num_args = 0..=1, conflicts_with = "undo")]
    empty_trash: Option<Option<String>>,
    /// List the removals in the trash
    #[arg(long, conflicts_with_all = ["undo", "empty_trash"])]
    list_trash: bool,
}

pub fn run(args: Args, target: Target, json: bool, app: &App) -> Result<Exit, Failure> {
    let (store, artifacts) = match target {
        Target::Embedded { store, artifacts, .. } => (store, artifacts),
        Target::Server { url, .. } => {
            let message =
                format!("the runs are behind the server at {url}, and its database is not reached from here");
            let hint = Some("call `mlflow gc --backend-store-uri …` where the database is".into());
            return Err(CliError::Usage { message, hint }.into());
        }
    };
    let options = ServiceOptions::new(store, artifacts);
    if let Some(name) = &args.undo {
        let restored = on_store(options, async |service| Ok(trash::undo(service, name.as_deref()).await?))?;
        return Ok(show_restored(&restored, json, app));
    }
    if let Some(name) = &args.empty_trash {
        let emptied = on_store(options, async |service| Ok(trash::empty(service, name.as_deref()).await?))?;
        return Ok(show_emptied(&emptied, json, app));
    }
    if args.list_trash {
        let removals = on_store(options, async |service| Ok(trash::list(service)?))?;
        return Ok(show_trash(&removals, json, app));
    }
    let removal = Removal {
        options: options.clone(),
        server: None,
        wanted: Wanted {
            runs: args.run_ids,
            models: args.logged_model_ids,
            experiments: args.experiment_ids,
            older_than: age(args.older_than.as_deref())?,
            only_named: true,
        },
        dry_run: args.dry_run,
        json,
    };
    if args.delete {
        return removal.run(app);
    }
    on_store(options, async |service| take(service, &removal, app).await)
}

async fn take(service: &Service, removal: &Removal, app: &App) -> Result<Exit, Failure> {
    let held = trash::held(service)?;
    let mut plan = removal.plan(service).await?;
    plan.retain(|doomed| !held.contains(&doomed.id));
    if removal.dry_run {
        removal.show(service, &plan, app);
        return Ok(Exit::OK);
    }
    if plan.is_empty() {
        if removal.json {
            app.out.json(&json!({ "trash": null, "items": [] }));
        } else {
            app.out.line("Nothing is marked as deleted that is not in the trash.");
        }
        return Ok(Exit::OK);
    }
    let name = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let taken = trash::take(service, &plan, &name).await?;
    if removal.json {
        app.out.json(&json!({ "trash": taken.name, "items": taken.items }));
        return Ok(Exit::OK);
    }
    list(&taken.items, app);
    app.out.line(&format!(
        "Moved {} into the trash, as {}.\n`matraz runs gc --undo` brings them back, `matraz runs gc --empty-trash` \
         removes them for good.",
        amount(&taken.items),
        taken.name
    ));
    Ok(Exit::OK)
}

fn show_restored(restored: &Restored, json: bool, app: &App) -> Exit {
    if json {
        app.out.json(&json!(restored));
        return Exit::OK;
    }
    list(&restored.restored, app);
    app.out.line(&format!(
        "Brought back {} of {}. They are marked as deleted as before; `matraz runs restore` takes that back.",
        amount(&restored.restored),
        restored.name
    ));
    for item in &restored.stays {
        let (title, id) = (item.kind.title(), &item.id);
        app.out.warn(&format!(
            "{title} {id} stays in the trash: its rows are gone, or other artifacts are in its place"
        ));
    }
    Exit::OK
}

fn show_emptied(emptied: &Emptied, json: bool, app: &App) -> Exit {
    if json {
        app.out.json(&json!(emptied));
        return Exit::OK;
    }
    app.out.line(&format!("Removed {} for good.", amount(&emptied.removed)));
    if !emptied.restored.is_empty() {
        list(&emptied.restored, app);
        app.out.line("These are no longer marked as deleted and have their artifacts again.");
    }
    Exit::OK
}

fn show_trash(removals: &[InTrash], json: bool, app: &App) -> Exit {
    if json {
        let told = |one: &InTrash| json!({ "name": one.name, "bytes": one.bytes(), "items": one.items });
        app.out.json(&removals.iter().map(told).collect::<Value>());
        return Exit::OK;
    }
    if removals.is_empty() {
        app.out.line("The trash is empty.");
    }
    for one in removals {
        app.out.result(&format!("{}  {}", one.name, amount(&one.items)));
    }
    Exit::OK
}

fn list(items: &[Item], app: &App) {
    for item in items {
        app.out.result(&format!("{} {}  {}", item.kind.title(), item.id, HumanBytes(item.bytes)));
    }
}

/// `1 run, 2 logged models (3 MiB)`
fn amount(items: &[Item]) -> String {
    let mut counted = Vec::new();
    for item in items {
        let title = item.kind.title().to_lowercase();
        match counted.iter_mut().find(|(known, _)| *known == title) {
            Some((_, count)) => *count += 1,
            None => counted.push((title, 1)),
        }
    }
    let words =
        counted.iter().map(|(title, count)| format!("{count} {title}{}", if *count == 1 { "" } else { "s" }));
    let words: Vec<String> = words.collect();
    let bytes = HumanBytes(items.iter().map(|item| item.bytes).sum());
    if words.is_empty() { "nothing".to_owned() } else { format!("{} ({bytes})", words.join(", ")) }
}
