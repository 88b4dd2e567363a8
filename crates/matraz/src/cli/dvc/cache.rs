//! `dvc cache`, `matraz cache`

use clap::Subcommand;
use matraz_base::Failure;
use matraz_data::config::{Level, SectionName};
use matraz_data::{Error, Repo};
use serde_json::json;

use super::cache_migrate;
use super::config::{LevelArgs, read};
use crate::app::App;
use crate::cli::only_in_matraz;
use crate::exit::Exit;
use crate::names::Grammar;

/// Where the cache is
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Show or change the folder of the cache
    Dir {
        /// The new folder
        value: Option<String>,
        /// Use the folder in the project again
        #[arg(short, long)]
        unset: bool,
        /// Print JSON (Matraz's own grammar alone)
        #[arg(long, conflicts_with_all = ["value", "unset"])]
        json: bool,
        #[command(flatten)]
        level: LevelArgs,
    },
    Migrate(cache_migrate::Args),
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let (value, unset, json, level) = match args.command {
        Command::Dir { value, unset, json, level } => (value, unset, json, level),
        Command::Migrate(args) => return cache_migrate::run(args, app),
    };
    only_in_matraz(app, "--json", json)?;
    let show = |folder: String| match json {
        true => app.out.json(&json!({"dir": folder})),
        false => app.out.result(&folder),
    };
    let section = SectionName::plain("cache");
    if value.is_none() && !unset {
        match level.chosen() {
            None => {
                let repo = match Repo::open(&app.cwd, &app.places()) {
                    // DVC only sees that nothing is set.
                    Err(Error::NotInProject { .. }) if app.grammar == Grammar::Dvc => {
                        return Err(unset_dir().into());
                    }
                    other => other?,
                };
                show(repo.cache_dir().display().to_string());
            }
            Some(level) => {
                let sections = read(app)?.at_level(level);
                let set = sections.get(&section).and_then(|options| options.get("dir"));
                let set = set.ok_or_else(unset_dir)?;
                show(set.to_string());
            }
        }
        return Ok(Exit::OK);
    }
    let mut config = read(app)?;
    let level = level.chosen().unwrap_or(Level::Project);
    let setting = value.map(|value| config.path_setting(level, &section, "dir", &value, &app.cwd));
    config.edit(level, |file| {
        match setting {
            Some(setting) => file.set(&section, "dir", setting),
            None if !file.unset(&section, "dir") => {
                return Err(unset_dir());
            }
            None => {}
        }
        Ok(())
    })?;
    Ok(Exit::OK)
}

fn unset_dir() -> Error {
    Error::config("option 'dir' doesn't exist in section 'cache'")
}
