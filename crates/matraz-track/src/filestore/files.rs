//! The files of the folder: YAML documents, a file per tag or param, and a file of lines per metric.

use std::path::{Path, PathBuf};

use matraz_base::yaml;
use serde_json::Value as Json;

use super::Import;
use crate::db::Arg;

/// The name of the document that describes a folder.
pub(super) const META: &str = "meta.yaml";

/// The folders of experiments with their ids, deleted ones last.
pub(super) fn experiments(folder: &Path) -> Vec<(PathBuf, i64)> {
    let mut found = Vec::new();
    for place in [folder.to_path_buf(), folder.join(".trash")] {
        for path in folders(&place) {
            if let Ok(id) = name_of(&path).parse() {
                found.push((path, id));
            }
        }
    }
    found
}

/// The folders in a folder, in the order of their names.
pub(super) fn folders(folder: &Path) -> Vec<PathBuf> {
    listed(folder, |kind| kind.is_dir())
}

/// The files in a folder, in the order of their names.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    listed(folder, |kind| kind.is_file())
}

fn listed(folder: &Path, wanted: impl Fn(std::fs::FileType) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> =
        entries.filter(|entry| entry.file_type().is_ok_and(&wanted)).map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

pub(super) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// All files below a folder with their paths as keys: `loss`, `val/loss`.
pub(super) fn keyed(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> =
        files(folder).into_iter().map(|path| (name_of(&path), path)).collect();
    for inner in folders(folder) {
        let name = name_of(&inner);
        found.extend(keyed(&inner).into_iter().map(|(key, path)| (format!("{name}/{key}"), path)));
    }
    found
}

impl Import {
    /// A document, unless it cannot be read; that is noted.
    pub(super) fn document(&mut self, path: &Path) -> Option<Json> {
        let text = self.text(path)?;
        match yaml::parse_with(&text, yaml::Dialect::PyYaml11) {
            Ok(node) if node.as_map().is_some() => Some(node.to_value().to_json()),
            Ok(_) => {
                self.skip(path, "it is not a mapping");
                None
            }
            Err(error) => {
                self.skip(path, error.to_string());
                None
            }
        }
    }

    /// A file of text, unless it cannot be read; that is noted.
    pub(super) fn text(&mut self, path: &Path) -> Option<String> {
        match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) => {
                self.skip(path, error.to_string());
                None
            }
        }
    }

    /// Keys with values: one file each.
    pub(super) fn pairs(&mut self, folder: &Path) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for (key, path) in keyed(folder) {
            if let Some(value) = self.text(&path) {
                pairs.push((key, value));
            }
        }
        pairs
    }
}

/// A field as text; numbers are written out.
pub(super) fn text(document: &Json, field: &str) -> Option<String> {
    match document.get(field)? {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// A field as whole number, written as one or as text.
pub(super) fn number(document: &Json, field: &str) -> Option<i64> {
    match document.get(field)? {
        Json::String(text) => text.trim().parse().ok(),
        other => other.as_i64(),
    }
}

/// A field as text for the database, with a value for where it is absent.
pub(super) fn text_or(document: &Json, field: &str, default: &str) -> Arg {
    text(document, field).unwrap_or_else(|| default.to_owned()).into()
}
