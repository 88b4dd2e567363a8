//! Metrics files: which a project has, and the numbers in them.

use std::fs;
use std::path::{Path, PathBuf};

use matraz_base::{Map, Value};

use super::data::Snapshot;
use crate::index::{Index, is_project_file};
use crate::stage::address::join;
use crate::stage::params;
use crate::{Error, Repo, Result};

/// A metrics file.
#[derive(Debug)]
pub struct MetricsFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its numbers, texts and truth values, nested as in the file; lists and nulls are left out.
    pub values: Result<Value>,
}

/// The metrics files of the project that are there, in the order of their stages, then those that only `metrics:`
/// of a pipeline file names. Folders stand for all files below them.
pub fn load(repo: &Repo) -> Result<Vec<MetricsFile>> {
    load_from(&Index::load(repo)?)
}

/// Like [`load`], for an index that is at hand.
pub fn load_from(index: &Index) -> Result<Vec<MetricsFile>> {
    let mut files: Vec<MetricsFile> = Vec::new();
    for path in paths(index) {
        for path in expand(&path)? {
            if path.is_file() && !files.iter().any(|file| file.path == path) {
                files.push(MetricsFile { values: read(&path), path });
            }
        }
    }
    Ok(files)
}

/// The metrics of a moment. A folder stands for all files below it; `targets`, absolute paths, for what the project
/// calls metrics. Files that are not there are errors.
pub fn load_at(snapshot: &mut Snapshot<'_>, targets: &[PathBuf]) -> Result<Vec<MetricsFile>> {
    let wanted = if targets.is_empty() { paths(&snapshot.index) } else { targets.to_vec() };
    let mut files: Vec<MetricsFile> = Vec::new();
    for path in wanted {
        for path in snapshot.expand(&path)? {
            if files.iter().any(|file| file.path == path) {
                continue;
            }
            let values = snapshot.read_text(&path).and_then(|text| match text {
                Some(text) => Ok(numbers(params::parse(&path, &text)?)),
                None => Err(Error::NoSuchFile { path: path.clone() }),
            });
            files.push(MetricsFile { path, values });
        }
    }
    Ok(files)
}

/// The paths that the project calls metrics.
pub fn paths(index: &Index) -> Vec<PathBuf> {
    let outs = index.stages.iter().flat_map(|stage| &stage.outs);
    let mut paths: Vec<PathBuf> = outs.filter(|out| out.is_metric()).map(|out| out.path.clone()).collect();
    for pipeline in &index.pipelines {
        let folder = pipeline.document.path.parent().unwrap_or(Path::new("/"));
        paths.extend(pipeline.metrics.iter().map(|metrics| join(folder, metrics)));
    }
    paths
}

/// Reads one metrics file: JSON, YAML or TOML by the ending of its name.
pub fn read(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    Ok(numbers(params::parse(path, &text)?))
}

/// What counts as a metric: numbers, texts, truth values, and mappings of them.
pub fn numbers(value: Value) -> Value {
    fn keep(value: Value) -> Option<Value> {
        match value {
            Value::Map(map) => {
                let map: Map = map.into_iter().filter_map(|(key, value)| Some((key, keep(value)?))).collect();
                (!map.is_empty()).then_some(Value::Map(map))
            }
            Value::Null | Value::List(_) | Value::Date(_) => None,
            leaf => Some(leaf),
        }
    }
    keep(value).unwrap_or_else(|| Value::Map(Map::new()))
}

/// The files below a folder, sorted; a file itself.
pub(super) fn expand(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    let mut pending = vec![path.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))? {
            let path = entry.map_err(Error::io("read", &folder))?.path();
            if path.is_dir() {
                pending.push(path);
            } else if !is_project_file(&path) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_nulls_are_no_metrics() {
        let text =
            "{\"a\": 1, \"b\": [1], \"c\": null, \"d\": {\"e\": \"x\", \"f\": {\"g\": []}}, \"h\": true}";
        let value = numbers(params::parse(Path::new("m.json"), text).unwrap());
        assert_eq!(value.to_string(), "{'a': 1, 'd': {'e': 'x'}, 'h': True}");
    }
}
