//! What an experiment read and made: parameters, metrics, dependencies and outputs of a commit or of the work tree.
//!
//! A commit does not change, so what was read of it once is remembered, a line for each commit, in a file of the project's
//! private state.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use indexmap::IndexMap;
use matraz_base::value::python_json;
use matraz_base::{Map, Value};

use crate::compare::data::Snapshot;
use crate::compare::{metrics, params};
use crate::hash::digest::{Digest, Meta};
use crate::stage::address::relative;
use crate::stage::{Source, params as formats};
use crate::view::View;
use crate::{Error, Repo, Result};

/// The values of files, by their paths relative to the project.
pub type Files = IndexMap<String, Result<Value>>;

/// A dependency or output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// The name of its content.
    pub hash: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// The number of files of a folder.
    pub nfiles: Option<u64>,
    /// Of an output: whether the cache keeps it.
    pub use_cache: bool,
    /// Of an output: whether no stage makes it.
    pub is_data_source: bool,
}

/// What a moment of the project holds.
#[derive(Debug, Default)]
pub struct State {
    /// When it was committed: seconds since 1970.
    pub time: Option<i64>,
    /// Parameters.
    pub params: Files,
    /// Metrics.
    pub metrics: Files,
    /// What stages read, without parameters.
    pub deps: IndexMap<String, Item>,
    /// What stages make, without metrics and plots.
    pub outs: IndexMap<String, Item>,
}

impl State {
    /// Reads a moment. `deps_only` leaves out parameters that no stage reads.
    pub fn read(view: View<'_>, time: Option<i64>, deps_only: bool) -> Result<Self> {
        let root = view.repo.root.clone();
        let mut snapshot = Snapshot::take(view)?;
        let name = |path: &Path| relative(path, &root);
        let mut state = Self { time, ..Self::default() };
        for file in params::load_at(&mut snapshot, &[], deps_only, true)? {
            state.params.insert(name(&file.path), file.values);
        }
        for file in metrics::load_at(&mut snapshot, &[])? {
            state.metrics.insert(name(&file.path), file.values);
        }
        for stage in &snapshot.index.stages {
            for dep in &stage.deps {
                if matches!(dep.source, Source::Local | Source::Url) {
                    let path =
                        if dep.source == Source::Local { name(&dep.path) } else { dep.def_path.clone() };
                    state.deps.insert(path, item(dep.digest, &dep.meta));
                }
            }
            for out in stage.outs.iter().filter(|out| !out.is_metric() && !out.is_plot()) {
                let mut item = item(out.digest, &out.meta);
                item.use_cache = out.cache;
                item.is_data_source = stage.is_data_source();
                state.outs.insert(name(&out.path), item);
            }
        }
        Ok(state)
    }

    fn is_whole(&self) -> bool {
        self.params.values().chain(self.metrics.values()).all(Result::is_ok)
    }

    fn to_value(&self) -> Value {
        let files = |files: &Files| {
            let known =
                files.iter().filter_map(|(path, values)| Some((path.clone(), values.as_ref().ok()?.clone())));
            Value::Map(known.collect())
        };
        let count = |n: Option<u64>| n.and_then(|n| i64::try_from(n).ok()).map_or(Value::Null, Value::Int);
        let items = |items: &IndexMap<String, Item>| {
            let entry = |(path, item): (&String, &Item)| {
                let parts = vec![
                    item.hash.clone().map_or(Value::Null, Value::Str),
                    count(item.size),
                    count(item.nfiles),
                    Value::Bool(item.use_cache),
                    Value::Bool(item.is_data_source),
                ];
                (path.clone(), Value::List(parts))
            };
            Value::Map(items.iter().map(entry).collect())
        };
        Value::Map(Map::from_iter([
            ("time".to_owned(), self.time.map_or(Value::Null, Value::Int)),
            ("params".to_owned(), files(&self.params)),
            ("metrics".to_owned(), files(&self.metrics)),
            ("deps".to_owned(), items(&self.deps)),
            ("outs".to_owned(), items(&self.outs)),
        ]))
    }

    fn from_value(value: &Value) -> Option<Self> {
        let files = |key: &str| -> Option<Files> {
            let map = value.get(key)?.as_map()?;
            Some(map.iter().map(|(path, values)| (path.clone(), Ok(values.clone()))).collect())
        };
        let count = |value: &Value| match value {
            Value::Int(n) => u64::try_from(*n).ok(),
            _ => None,
        };
        let items = |key: &str| -> Option<IndexMap<String, Item>> {
            let map = value.get(key)?.as_map()?;
            map.iter()
                .map(|(path, item)| match item.as_list()? {
                    [hash, size, nfiles, use_cache, is_data_source] => Some((
                        path.clone(),
                        Item {
                            hash: hash.as_str().map(str::to_owned),
                            size: count(size),
                            nfiles: count(nfiles),
                            use_cache: *use_cache == Value::Bool(true),
                            is_data_source: *is_data_source == Value::Bool(true),
                        },
                    )),
                    _ => None,
                })
                .collect()
        };
        let time = match value.get("time")? {
            Value::Int(n) => Some(*n),
            _ => None,
        };
        Some(Self {
            time,
            params: files("params")?,
            metrics: files("metrics")?,
            deps: items("deps")?,
            outs: items("outs")?,
        })
    }
}

fn item(digest: Option<Digest>, meta: &Meta) -> Item {
    let hash = digest.map(|digest| digest.to_string());
    Item { hash, size: meta.size, nfiles: meta.nfiles, ..Item::default() }
}

/// What is known of commits.
pub struct Known<'r> {
    repo: &'r Repo,
    file: PathBuf,
    /// Of each commit, the line about it.
    lines: HashMap<String, String>,
}

impl<'r> Known<'r> {
    /// Reads what is known, or nothing.
    pub fn load(repo: &'r Repo, forget: bool) -> Self {
        let file = repo.state_dir().join("experiments");
        let text = if forget { String::new() } else { fs::read_to_string(&file).unwrap_or_default() };
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let lines = lines.map(|(commit, line)| (commit.to_owned(), line.to_owned())).collect();
        Self { repo, file, lines }
    }

    /// The states of commits, in their order. `deps_only` as for [`State::read`].
    pub fn states(&self, commits: &[String], deps_only: bool) -> Result<Vec<Result<State>>> {
        let threads = self.repo.threads().min(commits.len().max(1));
        let next = AtomicUsize::new(0);
        let mut found: Vec<(usize, Result<State>, bool)> = std::thread::scope(|scope| {
            let work = || {
                let mut mine = Vec::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(commit) = commits.get(n) else { return mine };
                    match self.lines.get(commit).filter(|_| !deps_only).and_then(|line| read_line(line)) {
                        Some(state) => mine.push((n, Ok(state), true)),
                        None => mine.push((n, self.read(commit, deps_only), false)),
                    }
                }
            };
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().filter_map(|worker| worker.join().ok()).flatten().collect()
        });
        found.sort_by_key(|(n, ..)| *n);
        if !deps_only {
            self.remember(commits, &found);
        }
        Ok(found.into_iter().map(|(_, state, _)| state).collect())
    }

    fn read(&self, commit: &str, deps_only: bool) -> Result<State> {
        let time = self.repo.git.as_ref().map(|git| git.commit_time(commit)).transpose()?;
        State::read(View::at(self.repo, commit)?, time, deps_only)
    }

    /// Adds what was read. What cannot be written is read again the next time.
    fn remember(&self, commits: &[String], found: &[(usize, Result<State>, bool)]) {
        let mut text = String::new();
        for (n, state, known) in found {
            if let (Ok(state), false) = (state, known)
                && state.is_whole()
            {
                text.push_str(&format!("{} {}\n", commits[*n], python_json(&state.to_value(), false)));
            }
        }
        if text.is_empty() {
            return;
        }
        let _ = fs::create_dir_all(self.repo.state_dir());
        let file = File::options().create(true).append(true).open(&self.file);
        let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
    }
}

fn read_line(line: &str) -> Option<State> {
    formats::parse_json(Path::new("experiments"), line).ok().as_ref().and_then(State::from_value)
}

/// Forgets what is known of commits.
pub fn forget(repo: &Repo) -> Result<()> {
    let file = repo.state_dir().join("experiments");
    match fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &file)(error)),
        _ => Ok(()),
    }
}
