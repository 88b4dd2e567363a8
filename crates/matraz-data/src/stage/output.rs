//! What a stage makes.

use std::path::PathBuf;

use matraz_base::{Map, Value};

use crate::hash::digest::{Digest, Meta};

/// A file or folder that a stage makes or that a `.dvc` file tracks.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Where it is: absolute, without `.` and `..`.
    pub path: PathBuf,
    /// The path as the file has it: relative to the stage's working folder (of a `.dvc` file: to its `wdir`),
    /// or absolute.
    pub def_path: String,
    /// What its content should be; none before the stage ran first.
    pub digest: Option<Digest>,
    /// Size and the like that go with the digest.
    pub meta: Meta,
    /// The digest was made by DVC 2: of text, with line ends made uniform.
    pub legacy: bool,
    /// Its content is kept in the cache.
    pub cache: bool,
    /// It is not removed before the stage runs.
    pub persist: bool,
    /// It goes to remotes.
    pub push: bool,
    /// The one remote that it goes to.
    pub remote: Option<String>,
    /// What it is for.
    pub kind: OutputKind,
    /// For people.
    pub desc: Option<String>,
    /// What the owner calls this sort of data.
    pub data_type: Option<String>,
    /// The owner's labels.
    pub labels: Vec<String>,
    /// The owner's own notes.
    pub owner_meta: Option<Value>,
    /// Valid entries of the file that Matraz keeps and does not read (`files`, `cloud`, `etag` …).
    pub extra: Map,
}

/// What an output is for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum OutputKind {
    /// Data for other stages or for people.
    #[default]
    Data,
    /// Numbers to compare.
    Metric,
    /// A table or picture to draw.
    Plot(PlotProps),
}

/// How a plot is drawn: the keys `x`, `y`, `x_label`, `y_label`, `title`, `template`, `header`, as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlotProps(pub Map);

impl PlotProps {
    /// The keys that may stand here.
    pub const KEYS: [&str; 7] = ["x", "y", "x_label", "y_label", "title", "template", "header"];

    /// The text under `key`.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }
}

impl Output {
    /// Takes over what its owner wrote about `old`, which this output replaces.
    pub(crate) fn take_notes(&mut self, old: &Output) {
        self.desc = old.desc.clone();
        self.data_type = old.data_type.clone();
        self.labels = old.labels.clone();
        self.owner_meta = old.owner_meta.clone();
        self.remote = old.remote.clone();
        self.push = old.push;
    }

    /// An output at `path` as `dvc.yaml` writes it when it says nothing about it.
    pub fn new(path: PathBuf, def_path: impl Into<String>) -> Self {
        Self { path, def_path: def_path.into(), cache: true, push: true, ..Self::default() }
    }

    /// Whether this is a metrics file.
    pub fn is_metric(&self) -> bool {
        self.kind == OutputKind::Metric
    }

    /// Whether this is a plot.
    pub fn is_plot(&self) -> bool {
        matches!(self.kind, OutputKind::Plot(_))
    }
}
