//! Addresses of models, as MLflow writes them, and the files behind them.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::error::{Error, Result};
use crate::promote::{self, Version};
use crate::run;
use crate::tracker::Tracker;

/// The address of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelUri {
    /// `models:/NAME@ALIAS`
    Alias {
        /// The registered model.
        name: String,
        /// The alias.
        alias: String,
    },
    /// `models:/NAME/N`, `models:/NAME/latest` or `models:/NAME/STAGE`
    Version {
        /// The registered model.
        name: String,
        /// A number, `latest` or the name of a stage.
        version: String,
    },
    /// `models:/m-…`
    Logged {
        /// The logged model's id.
        id: String,
    },
    /// `runs:/RUN_ID/PATH`
    Run {
        /// The run's id.
        id: String,
        /// The artifact path.
        path: String,
    },
    /// A folder of this machine.
    Folder(PathBuf),
}

impl ModelUri {
    /// Reads an address; what has no scheme is a folder, relative to `base`.
    pub fn parse(uri: &str, base: &Path) -> Result<Self> {
        let bad = || Error::BadModelUri { uri: uri.to_owned() };
        if let Some(rest) = uri.strip_prefix("models:/") {
            let rest = rest.trim_start_matches('/');
            let parsed = if let Some((name, alias)) = rest.split_once('@') {
                Self::Alias { name: name.to_owned(), alias: alias.to_owned() }
            } else if let Some((name, version)) = rest.split_once('/') {
                Self::Version { name: name.to_owned(), version: version.to_owned() }
            } else if rest.starts_with("m-") {
                Self::Logged { id: rest.to_owned() }
            } else {
                return Err(bad());
            };
            let complete = match &parsed {
                Self::Alias { name, alias: part } | Self::Version { name, version: part } => {
                    !name.is_empty() && !part.is_empty() && !part.contains('/')
                }
                _ => true,
            };
            return if complete { Ok(parsed) } else { Err(bad()) };
        }
        if let Some(rest) = uri.strip_prefix("runs:/") {
            let (id, path) = rest.trim_start_matches('/').split_once('/').ok_or_else(bad)?;
            return Ok(Self::Run { id: id.to_owned(), path: path.to_owned() });
        }
        let path = uri.strip_prefix("file://").unwrap_or(uri);
        if path.is_empty() || path.contains("://") {
            return Err(bad());
        }
        Ok(Self::Folder(base.join(path)))
    }
}

/// A model that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The folder with its `MLmodel`, on this machine.
    pub folder: PathBuf,
    /// The registered version it is, if it was addressed as one.
    pub version: Option<Version>,
}

/// Finds the files of a model. What lies behind a server is downloaded below `downloads`; `tracker` is asked for
/// only when the address is no folder.
pub fn find<'t>(
    tracker: impl Fn() -> Result<&'t Tracker>,
    uri: &ModelUri,
    downloads: &Path,
) -> Result<Found> {
    let (version, location) = match uri {
        ModelUri::Folder(folder) => return Ok(Found { folder: folder.clone(), version: None }),
        ModelUri::Logged { id } => (None, logged(tracker()?, id)?),
        ModelUri::Run { id, path } => (None, of_run(tracker()?, id, path)?),
        ModelUri::Alias { .. } | ModelUri::Version { .. } => {
            let version = registered(tracker()?, uri)?;
            let location = files_of(tracker()?, &version)?;
            (Some(version), location)
        }
    };
    let files = files_at(tracker()?, &location, downloads)?;
    Ok(Found { folder: files.folder, version })
}

fn registered(tracker: &Tracker, uri: &ModelUri) -> Result<Version> {
    let (name, number) = match uri {
        ModelUri::Alias { name, alias } => {
            let query = [("name", name.as_str()), ("alias", alias.as_str())];
            let answer = tracker.wait(tracker.client().get("registered-models/alias", &query))?;
            let number = answer.pointer("/model_version/version").and_then(Json::as_str);
            let missing = Error::Answer { call: "registered-models/alias", field: "version" };
            (name, number.ok_or(missing)?.to_owned())
        }
        ModelUri::Version { name, version } if version.bytes().all(|b| b.is_ascii_digit()) => {
            (name, version.clone())
        }
        ModelUri::Version { name, version } => {
            let stages = if version == "latest" { json!([]) } else { json!([version]) };
            let body = json!({"name": name, "stages": stages});
            let answer =
                tracker.wait(tracker.client().post("registered-models/get-latest-versions", &body))?;
            let found = answer.get("model_versions").and_then(Json::as_array).into_iter().flatten();
            let numbers = found.filter_map(|v| v.get("version")?.as_str()?.parse::<u64>().ok());
            let missing = || Error::NoRun { reference: version.clone(), experiment: name.clone() };
            (name, numbers.max().ok_or_else(missing)?.to_string())
        }
        other => return Err(Error::BadModelUri { uri: format!("{other:?}") }),
    };
    promote::version(tracker, name, &number)
}

/// Where the files of a registered version are.
pub fn files_of(tracker: &Tracker, version: &Version) -> Result<String> {
    let query = [("name", version.model.as_str()), ("version", version.version.as_str())];
    let answer = tracker.wait(tracker.client().get("model-versions/get-download-uri", &query))?;
    let uri = answer.get("artifact_uri").and_then(Json::as_str);
    let uri = uri.ok_or(Error::Answer { call: "model-versions/get-download-uri", field: "artifact_uri" })?;
    match uri.strip_prefix("models:/") {
        Some(id) if id.starts_with("m-") => logged(tracker, id),
        _ => Ok(uri.to_owned()),
    }
}

fn logged(tracker: &Tracker, id: &str) -> Result<String> {
    let answer = tracker.wait(tracker.client().get(&format!("logged-models/{id}"), &[]))?;
    let uri = answer.pointer("/model/info/artifact_uri").and_then(Json::as_str);
    uri.map(str::to_owned).ok_or(Error::Answer { call: "logged-models", field: "artifact_uri" })
}

/// A model below a run's artifacts, or, as MLflow 3 logs them, the run's logged model of that name.
fn of_run(tracker: &Tracker, id: &str, path: &str) -> Result<String> {
    let run = run::get(tracker, id)?;
    if !tracker.wait(tracker.client().list(&run.artifact_uri, path))?.is_empty() {
        return Ok(format!("{}/{path}", run.artifact_uri));
    }
    let body = json!({
        "experiment_ids": [run.experiment_id],
        "filter": format!("source_run_id = '{id}'"),
    });
    let answer = tracker.wait(tracker.client().post("logged-models/search", &body))?;
    let models = answer.get("models").and_then(Json::as_array).into_iter().flatten();
    let named = models.filter(|model| model.pointer("/info/name").and_then(Json::as_str) == Some(path));
    let uri = named.filter_map(|model| model.pointer("/info/artifact_uri")?.as_str()).next();
    uri.map(str::to_owned).ok_or(Error::NoModel { run: run.name, path: path.to_owned() })
}

/// Files of an artifact location on this machine.
pub(crate) struct Files {
    /// The folder.
    pub folder: PathBuf,
    /// Their paths below it.
    pub names: Vec<String>,
}

/// The files at an artifact location: where they are when that is on this machine, else downloaded below `downloads`.
pub(crate) fn files_at(tracker: &Tracker, location: &str, downloads: &Path) -> Result<Files> {
    let listed = tracker.wait(tracker.client().files(location, ""))?;
    let names: Vec<String> = listed.into_iter().map(|entry| entry.path).collect();
    if let Some(folder) = tracker.artifact_folder(location).filter(|folder| folder.is_dir()) {
        return Ok(Files { folder, names });
    }
    for name in &names {
        // Listed paths come from the server and are checked by the client's typed paths before they get here.
        tracker.wait(tracker.client().download(&format!("{location}/{name}"), &downloads.join(name)))?;
    }
    Ok(Files { folder: downloads.to_path_buf(), names })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let base = Path::new("/base");
        let version = |name: &str, version: &str| {
            Some(ModelUri::Version { name: name.into(), version: version.into() })
        };
        let table = [
            (
                "models:/obesity@champion",
                Some(ModelUri::Alias { name: "obesity".into(), alias: "champion".into() }),
            ),
            ("models:/obesity/2", version("obesity", "2")),
            ("models:/obesity/latest", version("obesity", "latest")),
            ("models:/m-1f", Some(ModelUri::Logged { id: "m-1f".into() })),
            ("runs:/a1/model/x", Some(ModelUri::Run { id: "a1".into(), path: "model/x".into() })),
            ("model", Some(ModelUri::Folder("/base/model".into()))),
            ("models:/obesity", None),
            ("models:/@x", None),
            ("models:/a/b/c", None),
            ("runs:/a1", None),
            ("s3://bucket/model", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(ModelUri::parse(text, base).ok(), expected, "{text}");
        }
    }
}
