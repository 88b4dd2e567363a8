//! `dvc remote`, `matraz remote`

use clap::Subcommand;
use matraz_base::Failure;
use matraz_data::Error;
use matraz_data::config::{Config, LEVELS, Level, SectionName};

use super::config::{LevelArgs, read, setting};
use crate::app::App;
use crate::exit::Exit;
use crate::names::Grammar;

/// Set up the places that data are pushed to
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Add a remote
    Add {
        /// Its name
        name: String,
        /// Where it is: a path or a URL
        url: String,
        /// Make it the default
        #[arg(short, long)]
        default: bool,
        /// Replace one of that name
        #[arg(short, long)]
        force: bool,
        #[command(flatten)]
        level: LevelArgs,
    },
    /// Show or set the default remote
    Default {
        /// Its name
        name: Option<String>,
        /// Have no default
        #[arg(short, long)]
        unset: bool,
        #[command(flatten)]
        level: LevelArgs,
    },
    /// List all remotes
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        level: LevelArgs,
    },
    /// Change an option of a remote
    Modify {
        /// The remote
        name: String,
        /// The option
        option: String,
        /// Its new value
        #[arg(allow_negative_numbers = true)]
        value: Option<String>,
        /// Remove the option
        #[arg(short, long)]
        unset: bool,
        #[command(flatten)]
        level: LevelArgs,
    },
    /// Remove a remote
    Remove {
        /// The remote
        name: String,
        #[command(flatten)]
        level: LevelArgs,
    },
    /// Rename a remote
    Rename {
        /// The remote
        name: String,
        /// Its new name
        new: String,
        #[command(flatten)]
        level: LevelArgs,
    },
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let mut config = read(app)?;
    let as_dvc = app.grammar == Grammar::Dvc;
    match args.command {
        Command::Add { name, url, default, force, level } => {
            let name = name.to_lowercase();
            if default {
                app.out.line(&format!("Setting '{name}' as a default remote."));
            }
            let level = level.chosen().unwrap_or(Level::Project);
            let section = SectionName::remote(&name);
            let url = config.path_setting(level, &section, "url", &url, &app.cwd);
            config.edit(level, |file| {
                if file.sections().any(|known| *known == section) && !force {
                    return Err(Error::config(format!(
                        "remote '{name}' already exists. Use `-f|--force` to overwrite it."
                    )));
                }
                file.clear_section(&section);
                file.set(&section, "url", url);
                if default {
                    file.set(&core(), "remote", setting(&name));
                }
                Ok(())
            })?;
        }
        Command::Default { name: None, unset: false, level } => {
            return show_default(app, &config, level.chosen());
        }
        Command::Default { name, unset, level } => {
            let level = level.chosen().unwrap_or(Level::Project);
            let known: Vec<SectionName> = config.merged_through(level).into_keys().collect();
            config.edit(level, |file| {
                match name.filter(|_| !unset).map(|name| name.to_lowercase()) {
                    None => {
                        file.unset(&core(), "remote");
                    }
                    Some(name) if known.contains(&SectionName::remote(&name)) => {
                        file.set(&core(), "remote", setting(&name));
                    }
                    Some(_) => return Err(Error::config("default remote must be present in remote list.")),
                }
                Ok(())
            })?;
        }
        Command::List { json, level } => return list(app, &config, level.chosen(), json),
        Command::Modify { name, option, value, unset, level } => {
            let level = level.chosen().unwrap_or(Level::Project);
            let section = SectionName::remote(&name);
            if !config.merged_through(level).contains_key(&section) {
                return Err(missing(&name).into());
            }
            if value.is_none() && !unset {
                return Err(Error::config(format!("'{option}' of '{name}' needs a value, or --unset")).into());
            }
            let value = value.filter(|_| !unset);
            let value = value.map(|value| config.path_setting(level, &section, &option, &value, &app.cwd));
            config.edit(level, |file| {
                match value {
                    None => {
                        file.unset(&section, &option);
                    }
                    Some(value) => file.set(&section, &option, value),
                }
                Ok(())
            })?;
        }
        Command::Remove { name, level } => {
            remove(&mut config, &name, level.chosen().unwrap_or(Level::Project), as_dvc)?
        }
        Command::Rename { name, new, level } => {
            rename(&mut config, &name, &new, level.chosen().unwrap_or(Level::Project), as_dvc)?;
        }
    }
    Ok(Exit::OK)
}

fn core() -> SectionName {
    SectionName::plain("core")
}

fn missing(name: &str) -> Error {
    Error::config(format!("remote '{name}' doesn't exist."))
}

/// The default remote of one level, or after the merge.
fn default_of(config: &Config, level: Option<Level>) -> Option<String> {
    let sections = match level {
        Some(level) => config.at_level(level),
        None => config.merged_through(Level::Local),
    };
    sections.get(&core())?.get("remote").map(ToString::to_string)
}

fn show_default(app: &App, config: &Config, level: Option<Level>) -> Result<Exit, Failure> {
    match default_of(config, level) {
        Some(name) => {
            app.out.result(&name);
            Ok(Exit::OK)
        }
        None => {
            app.out.result("No default remote set");
            Ok(Exit::NO)
        }
    }
}

fn list(app: &App, config: &Config, level: Option<Level>, as_json: bool) -> Result<Exit, Failure> {
    let default = default_of(config, level);
    let sections = match level {
        Some(level) => config.at_level(level),
        None => config.merged_through(Level::Local),
    };
    let mut listed = Vec::new();
    for (section, options) in sections {
        let (true, Some(name)) = (section.kind == "remote", section.name) else { continue };
        let url = options.get("url").ok_or_else(|| Error::RemoteWithoutUrl { name: name.clone() })?;
        if as_json {
            let is_default = default.as_ref() == Some(&name);
            listed.push(serde_json::json!({"name": name, "url": url.to_string(), "default": is_default}));
            continue;
        }
        let mark = if default.as_ref() == Some(&name) { "\t(default)" } else { "" };
        app.out.result(&in_columns(&format!("{name}\t{url}{mark}")));
    }
    if as_json {
        app.out.json(&listed.into());
    }
    Ok(Exit::OK)
}

/// Tabs become spaces up to the next multiple of eight, as a terminal shows them.
fn in_columns(text: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for c in text.chars() {
        if c == '\t' {
            let width = 8 - column % 8;
            out.push_str(&" ".repeat(width));
            column += width;
        } else {
            out.push(c);
            column += 1;
        }
    }
    out
}

/// Removes a remote, and the defaults of this level and the stronger ones that name it.
fn remove(config: &mut Config, name: &str, level: Level, as_dvc: bool) -> Result<(), Error> {
    let name = name.to_lowercase();
    config.edit(level, |file| {
        if file.remove_section(&SectionName::remote(&name)) { Ok(()) } else { Err(missing(&name)) }
    })?;
    for at in stronger(config, level) {
        if default_of(config, Some(at)).as_deref() == Some(&name) {
            config.edit(at, |file| {
                file.unset(&core(), "remote");
                Ok(())
            })?;
        } else if as_dvc {
            config.edit(at, |_| Ok(()))?;
        }
    }
    Ok(())
}

fn rename(config: &mut Config, name: &str, new: &str, level: Level, as_dvc: bool) -> Result<(), Error> {
    let (old, new) = (name.to_lowercase(), new.to_lowercase());
    let (from, to) = (SectionName::remote(&old), SectionName::remote(&new));
    if config.remote(&new).is_some() {
        return Err(Error::config(format!("rename failed: the remote '{new}' exists already")));
    }
    config.edit(level, |file| {
        if !file.sections().any(|section| *section == from) {
            return Err(missing(&old));
        }
        file.rename_section(&from, &to);
        Ok(())
    })?;
    for at in stronger(config, level) {
        if default_of(config, Some(at)).as_deref() == Some(&old) {
            config.edit(at, |file| {
                file.set(&core(), "remote", setting(&new));
                Ok(())
            })?;
        } else if as_dvc {
            config.edit(at, |_| Ok(()))?;
        }
    }
    Ok(())
}

/// The level and those that go before it, the strongest first, as far as there is a place for their files. DVC makes
/// the files that it looks through.
fn stronger(config: &Config, level: Level) -> Vec<Level> {
    let all = LEVELS.into_iter().rev().take_while(|at| *at >= level);
    all.filter(|at| config.path(*at).is_some()).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn tabs_reach_the_next_column() {
        assert_eq!(super::in_columns("origin\ts3://bucket/p"), "origin  s3://bucket/p");
        assert_eq!(super::in_columns("relative\tx\t(default)"), "relative        x       (default)");
    }
}
