//! `dvc cache`, `matraz cache`

use clap::Subcommand;
use matraz_base::Failure;
use matraz_data::config::{Level, SectionName};
use matraz_data::{Error, Repo};

use super::cache_migrate;
use super::config::{LevelArgs, read};
use crate::app::App;
use crate::exit::Exit;

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
        #[command(flatten)]
        level: LevelArgs,
    },
    Migrate(cache_migrate::Args),
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let (value, unset, level) = match args.command {
        Command::Dir { value, unset, level } => (value, unset, level),
        Command::Migrate(args) => return cache_migrate::run(args, app),
    };
    let section = SectionName::plain("cache");
    if value.is_none() && !unset {
        match level.chosen() {
            None => {
                let repo = Repo::open(&app.cwd, &app.places())?;
                app.out.result(&repo.cache_dir().display().to_string());
            }
            Some(level) => {
                let sections = read(app)?.at_level(level);
                let set = sections.get(&section).and_then(|options| options.get("dir"));
                let set =
                    set.ok_or_else(|| Error::config("option 'dir' doesn't exist in section 'cache'"))?;
                app.out.result(&set.to_string());
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
                return Err(Error::config("option 'dir' doesn't exist in section 'cache'"));
            }
            None => {}
        }
        Ok(())
    })?;
    Ok(Exit::OK)
}
