//! What a moment of the project plots: definitions by the file that has them, and the contents they draw.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use matraz_base::{Map, Value};
use regex::Regex;

use super::rows;
use crate::compare::data::Snapshot;
use crate::pipeline::Graph;
use crate::stage::OutputKind;
use crate::stage::address::{join, relative};
use crate::{Error, Result};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The folder that paths are relative to.
    pub cwd: PathBuf,
    /// Files, folders or names of plots; names are the beginnings of regular expressions, as in DVC. None: all.
    pub targets: Vec<String>,
    /// Properties (`x`, `template` …) that go before those of the definitions.
    pub props: Map,
}

/// The plots of one definition file, by name. A name that is no file has its files in `y`.
#[derive(Debug, Default)]
pub struct Definitions {
    /// The properties of each plot.
    pub plots: IndexMap<String, Map>,
    /// Why a folder of plots could not be listed.
    pub error: Option<Error>,
}

/// The content of a file that is plotted.
#[derive(Debug)]
pub enum Source {
    /// Rows, or what else a file of values holds.
    Values(Value),
    /// The bytes of a picture.
    Picture(Vec<u8>),
}

/// What a moment plots.
#[derive(Debug)]
pub struct Moment {
    /// Its name: `workspace` or the revision as it was asked for.
    pub revision: String,
    /// The definitions by the path of their `dvc.yaml`; those of outputs and targets are under the empty path. Paths are
    /// relative to the current folder.
    pub definitions: Result<IndexMap<String, Definitions>>,
    /// The files that the definitions need, by path.
    pub sources: IndexMap<String, Result<Source>>,
    /// Why no file could be read.
    pub sources_error: Option<Error>,
}

impl Moment {
    /// Whether anything is defined or failed to be.
    pub fn is_something(&self) -> bool {
        self.definitions.as_ref().map_or(true, |definitions| !definitions.is_empty())
    }

    /// Whether something could not be read.
    pub fn has_errors(&self) -> bool {
        let folder_failed =
            |definitions: &IndexMap<String, Definitions>| definitions.values().any(|d| d.error.is_some());
        self.sources_error.is_some()
            || self.sources.values().any(Result::is_err)
            || self.definitions.as_ref().map_or(true, folder_failed)
    }
}

/// Reads what a moment plots. A project whose definitions cannot be read is a moment with an error.
pub fn moment(revision: &str, snapshot: Result<Snapshot<'_>>, request: &Request) -> Moment {
    let revision = revision.to_owned();
    let collected = snapshot.and_then(|mut snapshot| Ok((define(&mut snapshot, request)?, snapshot)));
    let (definitions, mut snapshot) = match collected {
        Ok(collected) => collected,
        Err(error) => {
            return Moment {
                revision,
                definitions: Err(error),
                sources: IndexMap::new(),
                sources_error: None,
            };
        }
    };
    let mut sources = IndexMap::new();
    let graph = Graph::build(&snapshot.index.stages, &snapshot.view.repo.root);
    if graph.is_ok() {
        for path in wanted(&definitions, &snapshot, request) {
            let content = read(&mut snapshot, &path, request);
            sources.insert(path, content);
        }
    }
    Moment { revision, definitions: Ok(definitions), sources, sources_error: graph.err() }
}

fn define(snapshot: &mut Snapshot<'_>, request: &Request) -> Result<IndexMap<String, Definitions>> {
    let root = snapshot.view.repo.root.clone();
    let cwd = &request.cwd;
    let targets: Vec<String> = request
        .targets
        .iter()
        .map(|target| match Path::new(target).is_absolute() {
            true => relative(&join(&root, target), cwd),
            false => target.clone(),
        })
        .collect();
    let patterns = Patterns::new(&targets);
    let mut all: IndexMap<String, Definitions> = IndexMap::new();
    let pipelines: Vec<_> = snapshot
        .index
        .pipelines
        .iter()
        .filter(|pipeline| !pipeline.plots.is_empty())
        .map(|pipeline| (pipeline.document.path.clone(), pipeline.plots.clone()))
        .collect();
    for (file, plots) in pipelines {
        let shown = relative(&file, cwd);
        let folder = file.parent().unwrap_or(Path::new("/")).to_path_buf();
        let near = relative(&folder, cwd);
        let own: Vec<PathBuf> = plots.iter().map(|plot| join(&folder, &plot.id)).collect();
        let found = all.entry(shown.clone()).or_default();
        for plot in &plots {
            if !patterns.match_plot(&shown, &plot.id)? {
                continue;
            }
            if matches!(plot.props.get("y"), Some(Value::Map(_))) {
                let props = overridden(with_files_placed(&plot.props, &near), &request.props);
                found.plots.insert(plot.id.clone(), props);
                continue;
            }
            let path = join(&folder, &plot.id);
            let mut unpacked = unpack(snapshot, &placed(&near, &plot.id), cwd);
            // A file belongs to the most specific of the definitions around it.
            if let Ok(files) = &mut unpacked {
                files.retain(|file| closest(&join(cwd, file), &own) == Some(&path));
            }
            add(found, unpacked, &overridden(plot.props.clone(), &request.props));
        }
    }
    let outs: Vec<_> = snapshot
        .index
        .stages
        .iter()
        .flat_map(|stage| stage.outs.iter().map(move |out| (stage, out)))
        .filter_map(|(stage, out)| {
            let OutputKind::Plot(props) = &out.kind else { return None };
            let shown = placed(&relative(&stage.wdir, cwd), &out.def_path);
            Some((relative(&stage.address.file, cwd), shown, out.path.clone(), props.0.clone()))
        })
        .collect();
    for (file, shown, path, props) in outs {
        if patterns.match_plot(&file, &relative(&path, cwd))? {
            let unpacked = unpack(snapshot, &shown, cwd);
            add(all.entry(String::new()).or_default(), unpacked, &overridden(props, &request.props));
        }
    }
    for target in &targets {
        let path = join(cwd, target);
        if all.is_empty() || snapshot.exists(&path)? {
            let unpacked = unpack(snapshot, target, cwd);
            add(all.entry(String::new()).or_default(), unpacked, &request.props);
        }
    }
    Ok(all)
}

/// The targets as names of plots.
struct Patterns<'t>(Vec<(&'t str, Result<Regex, regex::Error>)>);

impl<'t> Patterns<'t> {
    fn new(targets: &'t [String]) -> Self {
        Self(targets.iter().map(|target| (target.as_str(), Regex::new(&format!("^(?:{target})")))).collect())
    }

    /// A path that is no regular expression is an error only where there are plots to compare it with.
    fn match_plot(&self, file: &str, id: &str) -> Result<bool> {
        let full = full_id(file, id);
        for (target, pattern) in &self.0 {
            let pattern = pattern.as_ref().map_err(|error| Error::BadPattern {
                pattern: (*target).to_owned(),
                reason: error.to_string(),
            })?;
            if pattern.is_match(id) || pattern.is_match(&full) {
                return Ok(true);
            }
        }
        Ok(self.0.is_empty())
    }
}

/// How a plot is called when several files have one of that name.
pub(super) fn full_id(file: &str, id: &str) -> String {
    if file.is_empty() { id.to_owned() } else { format!("{file}::{id}") }
}

/// The file, or all files of the folder, at a path as it is shown.
fn unpack(snapshot: &mut Snapshot<'_>, shown: &str, cwd: &Path) -> Result<Vec<String>> {
    let path = join(cwd, shown);
    Ok(match snapshot.below(&path)? {
        Some(files) => files.iter().map(|file| placed(shown, &relative(file, &path))).collect(),
        None => vec![shown.to_owned()],
    })
}

/// `path` below `folder`, by name alone: `../sub/p.csv` stays so also in `sub`.
fn placed(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{folder}/{path}") };
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let text = parts.join("/");
    if whole.starts_with('/') { format!("/{text}") } else { text }
}

fn add(found: &mut Definitions, files: Result<Vec<String>>, props: &Map) {
    match files {
        Ok(files) => {
            for file in files {
                let known = found.plots.entry(file).or_default();
                *known = overridden(std::mem::take(known), props);
            }
        }
        Err(error) => found.error = Some(error),
    }
}

fn overridden(mut props: Map, with: &Map) -> Map {
    props.extend(with.iter().map(|(key, value)| (key.clone(), value.clone())));
    props
}

/// The files in `x` and `y`, which are relative to the definition's folder, as seen from the current one.
fn with_files_placed(props: &Map, folder: &str) -> Map {
    let mut seen = props.clone();
    for axis in ["x", "y"] {
        if let Some(Value::Map(files)) = props.get(axis) {
            let files = files.iter().map(|(file, columns)| (placed(folder, file), columns.clone())).collect();
            seen.insert(axis.to_owned(), Value::Map(files));
        }
    }
    seen
}

fn closest<'p>(path: &Path, parents: &'p [PathBuf]) -> Option<&'p PathBuf> {
    let around = parents.iter().filter(|parent| path.starts_with(parent));
    around.max_by_key(|parent| parent.components().count())
}

/// The files that a plot draws: those of `y`, or the plot's own, and that of `x`.
pub(super) fn files_of(id: &str, props: &Map) -> Vec<String> {
    let mut files: Vec<String> = match props.get("y") {
        Some(Value::Map(files)) => files.keys().cloned().collect(),
        _ => vec![id.to_owned()],
    };
    if let Some(Value::Map(x)) = props.get("x") {
        files.extend(x.keys().next().cloned());
    }
    let mut seen = Vec::new();
    files.retain(|file| {
        !seen.contains(file) && {
            seen.push(file.clone());
            true
        }
    });
    files
}

fn wanted(
    definitions: &IndexMap<String, Definitions>,
    snapshot: &Snapshot<'_>,
    request: &Request,
) -> Vec<String> {
    let mut files: Vec<String> = Vec::new();
    for (id, props) in definitions.values().flat_map(|found| &found.plots) {
        for file in files_of(id, props) {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    if files.is_empty() && !definitions.is_empty() {
        // Nothing is drawn, and yet the plots of the project are looked at.
        let outs = snapshot.index.stages.iter().flat_map(|stage| &stage.outs).filter(|out| out.is_plot());
        files.extend(outs.map(|out| relative(&out.path, &request.cwd)));
    }
    files
}

fn read(snapshot: &mut Snapshot<'_>, file: &str, request: &Request) -> Result<Source> {
    let path = join(&request.cwd, file);
    let mut props = Map::new();
    for out in snapshot.index.stages.iter().flat_map(|stage| &stage.outs).filter(|out| out.path == path) {
        if let OutputKind::Plot(own) = &out.kind {
            props = own.0.clone();
        }
    }
    let header = !matches!(overridden(props, &request.props).get("header"), Some(Value::Bool(false)));
    let absent = || Error::NoSuchFile { path: path.clone() };
    if super::is_picture(file) {
        return Ok(Source::Picture(snapshot.read(&path)?.ok_or_else(absent)?));
    }
    rows::check_format(&path)?;
    let text = snapshot.read_text(&path)?.ok_or_else(absent)?;
    Ok(Source::Values(rows::parse(&path, &text, header)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_placed_by_name() {
        let table = [
            (".", "a/./b", "a/b"),
            ("..", "sub/p.csv", "../sub/p.csv"),
            ("../x", "../p.csv", "../p.csv"),
            ("..", "../p", "../../p"),
            ("a", "/abs/p", "/abs/p"),
        ];
        for (folder, path, expected) in table {
            assert_eq!(placed(folder, path), expected);
        }
    }

    #[test]
    fn a_name_is_the_beginning_of_a_pattern() {
        let targets = ["loss".to_owned(), "a.c".to_owned()];
        let patterns = Patterns::new(&targets);
        for (id, expected) in [("loss.csv", true), ("abc", true), ("xloss", false), ("", false)] {
            assert_eq!(patterns.match_plot("dvc.yaml", id).unwrap(), expected, "{id}");
        }
        let bad = ["(".to_owned()];
        assert!(Patterns::new(&bad).match_plot("dvc.yaml", "x").is_err());
        assert!(Patterns::new(&[]).match_plot("dvc.yaml", "x").unwrap());
    }
}
