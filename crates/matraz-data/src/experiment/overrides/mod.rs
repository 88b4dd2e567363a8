//! `--set-param`: changes of parameters in the grammar of Hydra's overrides (`lr=0.1`, `+new=1`, `~old`, `k=[1,2]`), and
//! sweeps, which stand for several values (`lr=1,2`, `range(1,5)`, `choice(a,b)`).

mod apply;
mod function;
mod grammar;
mod interpolate;
mod python;
mod toml;
mod value;
mod yaml;

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use matraz_base::{Map, Value};

pub use grammar::{Action, Override, Setting};

use super::error::ExperimentError;
use crate::stage::address::{join, relative};
use crate::stage::{PARAMS_FILE, params};
use crate::{Error, Result};

/// Changes by the file, as the user named it.
pub type Changes = IndexMap<String, Vec<String>>;

/// Groups what the user wrote (`[FILE:]KEY=VALUE`) by file.
pub fn by_file(settings: &[String]) -> Changes {
    let mut changes = Changes::new();
    for setting in settings {
        let name = setting.split('=').next().unwrap_or_default();
        let (file, change) = match name.contains(':') {
            true => setting.split_once(':').unwrap_or((PARAMS_FILE, setting)),
            false => (PARAMS_FILE, setting.as_str()),
        };
        changes.entry(file.to_owned()).or_default().push(change.to_owned());
    }
    changes
}

/// Whether one of the changes stands for several values.
pub fn is_sweep(changes: &Changes) -> Result<bool> {
    for change in changes.values().flatten() {
        if matches!(grammar::parse(change)?.setting, Setting::Many(_)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The changes of each experiment that the sweeps make: all combinations, the last one varying first. Of several changes
/// of one key the last one counts.
pub fn combinations(changes: &Changes) -> Result<Vec<Changes>> {
    let mut all = vec![Changes::new()];
    for (file, texts) in changes {
        let key = |text: &str| text.split('=').next().unwrap_or_default().to_owned();
        let last: IndexMap<String, &String> = texts.iter().map(|text| (key(text), text)).collect();
        for text in last.into_values() {
            let options = match grammar::parse(text)?.setting {
                Setting::Many(values) => {
                    let key = text.split_once('=').map_or(text.as_str(), |(key, _)| key);
                    values.into_iter().map(|value| format!("{key}={value}")).collect()
                }
                _ => vec![text.clone()],
            };
            all = all
                .into_iter()
                .flat_map(|known| {
                    options.iter().map(move |option| {
                        let mut next = known.clone();
                        next.entry(file.clone()).or_default().push(option.clone());
                        next
                    })
                })
                .collect();
        }
    }
    Ok(all)
}

/// The files with the changes made, as they are to be written. `cwd` is the folder in which the user stands.
pub fn changed_files(changes: &Changes, cwd: &Path) -> Result<Vec<(PathBuf, String)>> {
    changes.iter().map(|(file, texts)| changed_file(&join(cwd, file), texts, cwd)).collect()
}

fn changed_file(path: &Path, texts: &[String], cwd: &Path) -> Result<(PathBuf, String)> {
    let refuse = |reason: &str| -> Error {
        ExperimentError::BadParamsFile { file: relative(path, cwd), reason: reason.to_owned() }.into()
    };
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase()).unwrap_or_default();
    let before =
        matraz_base::file::read_if_present(path).map_err(Error::io("read", path))?.unwrap_or_default();
    let Value::Map(old) = params::parse(path, &before)? else {
        return Err(refuse("it is no mapping of names to values"));
    };
    let mut new = Value::Map(old);
    for text in texts {
        apply::apply(&mut new, &grammar::parse(text)?)?;
    }
    let new = match interpolate::resolved(&new).map_err(|reason| refuse(&reason))? {
        Value::Map(map) => map,
        _ => Map::new(),
    };
    let text = match suffix.as_str() {
        "json" => matraz_base::value::python_json(&Value::Map(new), false),
        "py" => python::edit(&before, &new).map_err(|reason| refuse(&reason))?,
        "toml" => toml::edit(&before, &new).map_err(|reason| refuse(&reason))?,
        _ => yaml::rewrite(&before, &new),
    };
    Ok((path.to_path_buf(), text))
}
