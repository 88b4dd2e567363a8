//! Parameters files: which a project has, and the values in them.

use std::path::{Path, PathBuf};

use matraz_base::Value;

use super::data::Snapshot;
use crate::index::Index;
use crate::stage::address::join;
use crate::stage::{PARAMS_FILE, params};
use crate::{Error, Repo, Result};

/// A parameters file.
#[derive(Debug)]
pub struct ParamsFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its values, nested as in the file; of a file of which stages read only some values, those.
    pub values: Result<Value>,
}

/// The parameters of the project: `params.yaml` at its root whole, what stages read, and the files that `params:` of
/// a pipeline file names.
pub fn load(repo: &Repo) -> Result<Vec<ParamsFile>> {
    load_from(&Index::load(repo)?, &repo.root)
}

/// Like [`load`], for an index that is at hand.
pub fn load_from(index: &Index, root: &Path) -> Result<Vec<ParamsFile>> {
    let mut files = Vec::new();
    for (path, keys) in wanted(index, root, false) {
        for path in super::metrics::expand(&path)? {
            if let Some(text) = matraz_base::file::read_if_present(&path).map_err(Error::io("read", &path))? {
                files
                    .push(ParamsFile { values: params::parse(&path, &text).map(|v| choose(v, &keys)), path });
            }
        }
    }
    Ok(files)
}

/// The parameters of a moment; `targets`, absolute paths, instead of what the project reads. Files that are not there
/// are errors.
///
/// DVC cannot read single values of a Python file when one of them is a tuple; `like_dvc` does the same.
pub fn load_at(
    snapshot: &mut Snapshot<'_>,
    targets: &[PathBuf],
    deps_only: bool,
    like_dvc: bool,
) -> Result<Vec<ParamsFile>> {
    let root = snapshot.view.repo.root.clone();
    let mut wanted = wanted(&snapshot.index, &root, deps_only);
    if !targets.is_empty() {
        wanted = targets.iter().map(|path| (path.clone(), Vec::new())).collect();
    }
    let default = root.join(PARAMS_FILE);
    let asked_for = |index: &Index| index.stages.iter().flat_map(|s| &s.params).any(|p| p.path == default);
    let mut files = Vec::new();
    for (path, keys) in wanted {
        for path in snapshot.expand(&path)? {
            let values = match snapshot.read_text(&path) {
                // Nobody has to have the default file.
                Ok(None) if path == default && targets.is_empty() && !asked_for(&snapshot.index) => continue,
                Ok(None) => Err(Error::NoSuchFile { path: path.clone() }),
                Ok(Some(text)) => match python_tuple(&path, &text, &keys).filter(|_| like_dvc) {
                    Some(key) => Err(Error::TupleParam { path: path.clone(), key: key.clone() }),
                    None => params::parse(&path, &text).map(|values| choose(values, &keys)),
                },
                Err(error) => Err(error),
            };
            files.push(ParamsFile { path, values });
        }
    }
    if targets.is_empty() {
        add_used(&mut files, &snapshot.index);
    }
    Ok(files)
}

fn python_tuple<'k>(path: &Path, text: &str, keys: &'k [String]) -> Option<&'k String> {
    path.extension().filter(|suffix| *suffix == "py").and_then(|_| params::tuple_among(text, keys))
}

/// What templates name from other files.
fn add_used(files: &mut Vec<ParamsFile>, index: &Index) {
    let known = files.len();
    for (path, values) in index.stages.iter().flat_map(|stage| &stage.used) {
        if files[..known].iter().any(|file| file.path == *path) {
            continue;
        }
        let place = files.iter().position(|file| file.path == *path).unwrap_or(files.len());
        if place == files.len() {
            files.push(ParamsFile { path: path.clone(), values: Ok(Value::Map(matraz_base::Map::new())) });
        }
        if let Ok(Value::Map(all)) = &mut files[place].values {
            all.extend(values.clone());
        }
    }
}

/// Which files, and which of their values (none: all). `deps_only` leaves out what no stage reads.
pub fn wanted(index: &Index, root: &Path, deps_only: bool) -> Vec<(PathBuf, Vec<String>)> {
    let mut wanted: Vec<(PathBuf, Vec<String>)> = Vec::new();
    for params in index.stages.iter().flat_map(|stage| &stage.params) {
        add(&mut wanted, &params.path, &params.keys);
    }
    if !deps_only {
        for pipeline in &index.pipelines {
            let folder = pipeline.document.path.parent().unwrap_or(Path::new("/"));
            for params in &pipeline.params {
                add(&mut wanted, &join(folder, params), &[]);
            }
        }
        add(&mut wanted, &root.join(PARAMS_FILE), &[]);
    }
    wanted
}

/// No keys stand for the whole file, which holds every key.
fn add(wanted: &mut Vec<(PathBuf, Vec<String>)>, path: &Path, keys: &[String]) {
    match wanted.iter_mut().find(|(known, _)| known == path) {
        Some((_, known)) if keys.is_empty() || known.is_empty() => known.clear(),
        Some((_, known)) => {
            for key in keys {
                if !known.contains(key) {
                    known.push(key.clone());
                }
            }
        }
        None => wanted.push((path.to_path_buf(), keys.to_vec())),
    }
}

/// The values at dotted `keys`, still nested; all when there are none.
pub(super) fn choose(values: Value, keys: &[String]) -> Value {
    if keys.is_empty() {
        return values;
    }
    let mut chosen = Value::Map(matraz_base::Map::new());
    for key in keys {
        let parts: Vec<&str> = key.split('.').collect();
        copy(&values, &mut chosen, &parts);
    }
    chosen
}

fn copy(from: &Value, into: &mut Value, parts: &[&str]) {
    let (Value::Map(from), Value::Map(into), [first, rest @ ..]) = (from, into, parts) else { return };
    let Some(value) = from.get(*first) else { return };
    if rest.is_empty() || !matches!(value, Value::Map(_)) {
        into.insert((*first).to_owned(), value.clone());
        return;
    }
    let inner = into.entry((*first).to_owned()).or_insert_with(|| Value::Map(matraz_base::Map::new()));
    copy(value, inner, rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_chosen_by_dotted_names_and_stay_nested() {
        let values = params::parse(Path::new("p.yaml"), "a: {b: {c: 1, d: 2}, e: 3}\nf: 4\n").unwrap();
        let keys = ["a.b.c".to_owned(), "a.e".to_owned(), "x.y".to_owned()];
        assert_eq!(choose(values.clone(), &keys).to_string(), "{'a': {'b': {'c': 1}, 'e': 3}}");
        assert_eq!(choose(values.clone(), &[]), values);
    }
}
