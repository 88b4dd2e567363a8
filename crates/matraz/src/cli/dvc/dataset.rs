//! `dvc dataset`, `matraz dataset`

use clap::Subcommand;
use matraz_base::{Failure, Kind, Map, Value};
use matraz_data::Error;
use matraz_data::dataset::{self, Updated};
use matraz_data::stage::dataset::{Dataset, Kind as Place};

use super::plots::caught;
use super::project::{Project, say_how_to_track};
use super::source::given;
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;

/// Named data elsewhere that stages depend on by `ds://NAME`
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Add(AddArgs),
    Update(UpdateArgs),
}

/// Name a dataset and lock it to what it is now
#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("place").required(true).args(["dc", "dvc", "url"]))]
struct AddArgs {
    /// The name of the dataset
    name: String,
    /// The name in DataChain; its catalog is not asked yet
    #[arg(long, value_name = "NAME")]
    dc: Option<String>,
    /// A git or DVC repository: a folder, or an address that git can clone
    #[arg(long, value_name = "URL")]
    dvc: Option<String>,
    /// A path, or `remote://NAME/path`
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The revision to follow, with `--dvc`: a commit, branch or tag
    #[arg(long, value_name = "REVISION")]
    rev: Option<String>,
    /// A path inside the repository, with `--dvc`
    #[arg(long)]
    path: Option<String>,
    /// Replace a dataset of this name
    #[arg(short, long)]
    force: bool,
}

/// Lock a dataset to what it is now
#[derive(clap::Args, Debug)]
struct UpdateArgs {
    /// The name of the dataset
    name: String,
    /// The revision to follow from now on
    #[arg(long, alias = "version", value_name = "REVISION", num_args = 0..=1)]
    rev: Option<Option<String>>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    match args.command {
        Command::Add(args) => add(args, app),
        Command::Update(args) => update(args, app),
    }
}

fn add(args: AddArgs, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (rev, path) = (given(args.rev), given(args.path));
    for (option, is_given) in [("--rev", rev.is_some()), ("--path", path.is_some())] {
        if is_given && args.dvc.is_none() {
            let message = format!("{option} can't be used without --dvc");
            return Err(CliError::Refused { message, kind: Kind::Conflict }.into());
        }
    }
    let (kind, url) = match (args.dvc, args.dc, args.url) {
        (Some(url), ..) => (Place::Dvc, url),
        (_, Some(url), _) => (Place::DataChain, url),
        (.., url) => (Place::Url, url.unwrap_or_default()),
    };
    let wanted = Dataset { name: args.name, url, kind, path: path.unwrap_or_default(), rev };
    let added = dataset::add(&project.repo, wanted, args.force, &app.cwd, &app.out, &app.interrupt)?;
    app.out.line(&first_time("Adding", &added));
    say_how_to_track(app, &project.repo, &added.files);
    Ok(Exit::OK)
}

fn update(args: UpdateArgs, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let rev = given(args.rev);
    let updated =
        dataset::update(&project.repo, &args.name, rev.as_deref(), &app.cwd, &app.out, &app.interrupt);
    let updated = match updated {
        Err(error @ Error::NoSuchDataset { .. }) => return caught(error, app),
        other => other?,
    };
    let name = &updated.dataset.name;
    app.out.line(&match &updated.before {
        None => first_time("Updating", &updated),
        Some(_) if !updated.changed => "Nothing to update".into(),
        Some(before) if updated.dataset.kind == Place::Dvc => {
            format!("Updating {name} ({} -> {})", short(before), short(&updated.lock))
        }
        Some(_) => format!("Updating {name} ({})", updated.dataset.url),
    });
    say_how_to_track(app, &project.repo, &updated.files);
    Ok(Exit::OK)
}

fn first_time(verb: &str, updated: &Updated) -> String {
    let Dataset { name, url, path, rev, .. } = &updated.dataset;
    let path = if path.is_empty() { String::new() } else { format!(":/{}", path.trim_start_matches('/')) };
    let rev = rev.as_ref().map(|rev| format!(" @ {rev}")).unwrap_or_default();
    format!("{verb} {name} ({url}{path}{rev})")
}

/// The beginning of the commit.
fn short(lock: &Map) -> String {
    lock.get("rev_lock").and_then(Value::as_str).unwrap_or_default().chars().take(9).collect()
}
