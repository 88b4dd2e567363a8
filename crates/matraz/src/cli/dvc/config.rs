//! `dvc config`, `matraz config`

use matraz_base::{Failure, Kind};
use matraz_data::Error;
use matraz_data::config::{Config, Level, SectionName, Setting};
use matraz_data::repo::{DVC_DIR, Repo};
use matraz_data::stage::address::relative;
use serde_json::json;

use crate::app::App;
use crate::cli::{CliError, only_in_matraz};
use crate::exit::Exit;
use crate::names::Grammar;

/// Show or change settings
#[derive(clap::Args, Debug)]
pub struct Args {
    /// `section.option`, `remote.NAME.option` or `db.NAME.option`
    #[arg(value_parser = parse_name)]
    name: Option<Name>,
    /// The new value
    #[arg(allow_negative_numbers = true)]
    value: Option<String>,
    /// Remove the option
    #[arg(short, long)]
    unset: bool,
    /// Show all options
    #[arg(short, long)]
    list: bool,
    /// Show which file each value is from
    #[arg(long)]
    show_origin: bool,
    /// Print JSON (Matraz's own grammar alone)
    #[arg(long, requires = "list")]
    json: bool,
    #[command(flatten)]
    level: LevelArgs,
}

/// The file that is meant.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(multiple = false)]
pub struct LevelArgs {
    /// The file of the user
    #[arg(long)]
    global: bool,
    /// The file of the machine
    #[arg(long)]
    system: bool,
    /// The file of the project, shared through git
    #[arg(long)]
    project: bool,
    /// The file of this clone
    #[arg(long)]
    local: bool,
}

impl LevelArgs {
    /// The level, when one is named.
    pub fn chosen(self) -> Option<Level> {
        match self {
            Self { global: true, .. } => Some(Level::Global),
            Self { system: true, .. } => Some(Level::System),
            Self { project: true, .. } => Some(Level::Project),
            Self { local: true, .. } => Some(Level::Local),
            _ => None,
        }
    }
}

/// An option's full name.
#[derive(Clone, Debug)]
pub struct Name {
    section: SectionName,
    option: String,
}

fn parse_name(text: &str) -> Result<Name, String> {
    let parts: Vec<&str> = text.split('.').collect();
    let (section, option) = match parts.as_slice() {
        [section, option] => (SectionName::plain(section), option),
        [kind @ ("remote" | "db"), name, option] => {
            (SectionName { kind: (*kind).to_owned(), name: Some(name.to_lowercase()) }, option)
        }
        _ => {
            return Err(
                "an option is named `section.option`, `remote.NAME.option` or `db.NAME.option`".into()
            );
        }
    };
    Ok(Name { section, option: option.to_lowercase() })
}

/// The settings of the project around the current folder, of user and machine outside projects; not judged.
pub fn read(app: &App) -> Result<Config, Error> {
    let dvc_dir = Repo::find_root(&app.cwd).ok().map(|root| root.join(DVC_DIR));
    Config::read(dvc_dir.as_deref(), &app.places())
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let refused = |message: &str| CliError::Refused { message: message.to_owned(), kind: Kind::Conflict };
    only_in_matraz(app, "--json", args.json)?;
    let changes = args.value.is_some() || args.unset;
    if args.show_origin && changes {
        return Err(refused("--show-origin cannot be used with a value or --unset").into());
    }
    if args.list && (args.name.is_some() || changes) {
        return Err(refused("--list cannot be used with a name, a value or --unset").into());
    }
    let mut config = read(app)?;
    let level = args.level.chosen();
    if level.is_some_and(|level| config.path(level).is_none()) {
        return Err(Error::config("not inside a project").into());
    }
    if args.list {
        let rows = listed(&config, level);
        if args.json {
            let rows = rows.iter().map(|row| {
                let file = config.path(row.level).map(|path| path.display().to_string());
                json!({"option": row.option, "value": row.value, "file": file})
            });
            app.out.json(&rows.collect());
            return Ok(Exit::OK);
        }
        for Row { level, option, value } in rows {
            app.out.result(&format!("{}{option}={value}", prefix(app, &config, level, args.show_origin)));
        }
        return Ok(Exit::OK);
    }
    let Some(name) = args.name else { return Err(refused("the name of an option is needed").into()) };
    match (args.value, args.unset) {
        (None, false) => get(app, &config, level, &name, args.show_origin)?,
        // DVC takes no notice of a value beside `--unset`.
        (Some(_), true) if app.grammar == Grammar::Matraz => {
            return Err(refused("--unset takes no value").into());
        }
        (_, true) => {
            let absent = absent(&name);
            config.edit(level.unwrap_or(Level::Project), |file| {
                let whole = SectionName { kind: name.section.kind.clone(), name: Some(name.option.clone()) };
                let found = file.unset(&name.section, &name.option)
                    || (name.section.name.is_none() && file.remove_section(&whole));
                if found { Ok(()) } else { Err(absent) }
            })?;
        }
        (Some(value), false) => {
            let level = level.unwrap_or(Level::Project);
            let setting = config.path_setting(level, &name.section, &name.option, &value, &app.cwd);
            config.edit(level, |file| {
                file.set(&name.section, &name.option, setting);
                Ok(())
            })?;
        }
    }
    Ok(Exit::OK)
}

fn absent(name: &Name) -> Error {
    Error::config(format!("option '{}' doesn't exist in section '{}'", name.option, name.section))
}

fn get(app: &App, config: &Config, level: Option<Level>, name: &Name, origin: bool) -> Result<(), Error> {
    let levels: Vec<Level> = match level {
        Some(level) => vec![level],
        None => config.levels().collect(),
    };
    for at in levels.into_iter().rev() {
        let sections = config.at_level(at);
        if let Some(value) = sections.get(&name.section).and_then(|section| section.get(&name.option)) {
            app.out.result(&format!("{}{value}", prefix(app, config, at, origin)));
            return Ok(());
        }
    }
    // As in DVC, an unset option is an error only of a named level.
    if level.is_some() { Err(absent(name)) } else { Ok(()) }
}

/// An option that is set, and where.
struct Row {
    level: Level,
    option: String,
    value: String,
}

fn listed(config: &Config, level: Option<Level>) -> Vec<Row> {
    let levels: Vec<Level> = match level {
        Some(level) => vec![level],
        None => config.levels().collect(),
    };
    let mut rows = Vec::new();
    for level in levels {
        for (section, options) in config.at_level(level) {
            let section = match &section.name {
                Some(name) => format!("{}.{name}", section.kind),
                None => section.kind.clone(),
            };
            for (key, value) in options {
                rows.push(Row { level, option: format!("{section}.{key}"), value: value.to_string() });
            }
        }
    }
    rows
}

fn prefix(app: &App, config: &Config, level: Level, origin: bool) -> String {
    let Some(path) = config.path(level).filter(|_| origin) else { return String::new() };
    let root = Repo::find_root(&app.cwd).ok();
    match (level, root) {
        (Level::Project | Level::Local, Some(root)) => format!("{}\t", relative(path, &root)),
        _ => format!("{}\t", path.display()),
    }
}

/// The text of a setting for a value that the user typed.
pub fn setting(text: &str) -> Setting {
    Setting::Text(text.to_owned())
}
