//! A stage and what the lock file remembers of it.

use std::path::PathBuf;

use indexmap::IndexMap;
use matraz_base::{Map, Value};

use super::address::Address;
use super::dependency::{Dependency, ParamsFile};
use super::output::Output;
use crate::hash::digest::{Digest, Meta};

/// A step of a pipeline, or the owner of data that no command makes.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its name.
    pub address: Address,
    /// What it runs; none for a `.dvc` file.
    pub cmd: Option<Cmd>,
    /// The folder in which it runs and to which its paths are relative: absolute.
    pub wdir: PathBuf,
    /// The files and folders that it reads.
    pub deps: Vec<Dependency>,
    /// The parameters that it reads.
    pub params: Vec<ParamsFile>,
    /// The files and folders that it makes; metrics and plots are among them.
    pub outs: Vec<Output>,
    /// Changes of what it reads do not run it again.
    pub frozen: bool,
    /// It runs every time.
    pub always_changed: bool,
    /// For people.
    pub desc: Option<String>,
    /// The owner's own notes; `meta.matraz` is ours.
    pub meta: Option<Value>,
    /// What `dvc.lock` remembers.
    pub lock: Option<LockEntry>,
    /// The hash of an import's own file.
    pub md5: Option<String>,
    /// Its definition names values by `${…}`.
    pub parametrized: bool,
    /// It was made from a `foreach` or `matrix` entry: the name of that entry.
    pub generated_from: Option<String>,
    /// The values from files that its definition names, by file and dotted path.
    pub used: IndexMap<PathBuf, Map>,
}

/// The command of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cmd {
    /// One text, perhaps of several lines.
    One(String),
    /// A list, run one after another.
    Many(Vec<String>),
}

impl Cmd {
    /// The commands to run, each in a shell of its own: a text is split into lines.
    pub fn lines(&self) -> Vec<&str> {
        match self {
            Self::One(text) => text.lines().filter(|line| !line.trim().is_empty()).collect(),
            Self::Many(list) => list.iter().map(String::as_str).collect(),
        }
    }

    /// The command as it stands in a file.
    pub fn to_value(&self) -> Value {
        match self {
            Self::One(text) => Value::Str(text.clone()),
            Self::Many(list) => Value::List(list.iter().cloned().map(Value::Str).collect()),
        }
    }
}

/// What `dvc.lock` says about a stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LockEntry {
    /// The command that ran.
    pub cmd: Option<Cmd>,
    /// What it read, sorted by path.
    pub deps: Vec<LockedItem>,
    /// The parameters by file, `params.yaml` first.
    pub params: IndexMap<String, Map>,
    /// What it made, sorted by path.
    pub outs: Vec<LockedItem>,
}

/// A dependency or output in a lock file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LockedItem {
    /// The path, as `dvc.yaml` has it.
    pub path: String,
    /// The digest of its content.
    pub digest: Option<Digest>,
    /// Size and the like.
    pub meta: Meta,
    /// The digest was made by DVC 2.
    pub legacy: bool,
    /// Valid entries that Matraz keeps and does not read.
    pub extra: Map,
}

impl Stage {
    /// A stage at `address` that works in `wdir` and has nothing yet.
    pub fn new(address: Address, wdir: PathBuf) -> Self {
        Self {
            address,
            cmd: None,
            wdir,
            deps: Vec::new(),
            params: Vec::new(),
            outs: Vec::new(),
            frozen: false,
            always_changed: false,
            desc: None,
            meta: None,
            lock: None,
            md5: None,
            parametrized: false,
            generated_from: None,
            used: IndexMap::new(),
        }
    }

    /// Whether it stands in a `.dvc` file.
    pub fn is_data(&self) -> bool {
        self.address.name.is_none()
    }

    /// Whether it only owns data: it runs nothing and comes from nowhere.
    pub fn is_data_source(&self) -> bool {
        self.cmd.is_none() && self.deps.is_empty()
    }

    /// Whether its data were imported: no command, one source and one output.
    pub fn is_import(&self) -> bool {
        self.cmd.is_none() && self.deps.len() == 1 && self.outs.len() == 1
    }

    /// Whether it runs every time because it says nothing about what it reads and makes.
    pub fn is_callback(&self) -> bool {
        self.cmd.is_some() && self.deps.is_empty() && self.params.is_empty() && self.outs.is_empty()
    }
}
