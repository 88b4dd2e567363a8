//! What a stage reads.

use std::path::PathBuf;

use matraz_base::{Map, Value};

use crate::hash::digest::{Digest, Meta};

/// A file or folder that a stage reads, or that an import came from.
#[derive(Clone, Debug, Default)]
pub struct Dependency {
    /// Where it is: absolute, without `.` and `..`. Of no meaning unless the source is local; `ds://NAME` for a
    /// dataset.
    pub path: PathBuf,
    /// The path as the file has it: relative to the stage's working folder, absolute, or an URL.
    pub def_path: String,
    /// What its content was when the stage ran last.
    pub digest: Option<Digest>,
    /// Size and the like that go with the digest.
    pub meta: Meta,
    /// The digest was made by DVC 2.
    pub legacy: bool,
    /// Where it comes from.
    pub source: Source,
    /// Options for the address that it comes from.
    pub fs_config: Option<Value>,
    /// Valid entries of the file that Matraz keeps and does not read (`etag`, `checksum`, `files` …).
    pub extra: Map,
}

/// Where a dependency comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Source {
    /// A path of this machine.
    #[default]
    Local,
    /// An URL with a scheme.
    Url,
    /// Another git repository: `{url, rev, rev_lock, …}`.
    Repo(Value),
    /// A dataset of the project, as it stands now. What it was when the stage ran last is kept in
    /// [`extra`](Dependency::extra) under `dataset`.
    Dataset(super::dataset::Standing),
}

/// A parameters file that a stage reads, and which of its values.
#[derive(Clone, Debug, Default)]
pub struct ParamsFile {
    /// Where it is: absolute, without `.` and `..`.
    pub path: PathBuf,
    /// The path as `dvc.yaml` has it: relative to the stage's working folder.
    pub def_path: String,
    /// The dotted names of the values; empty for the whole file.
    pub keys: Vec<String>,
    /// The values when the stage ran last; none before that.
    pub locked: Option<Map>,
}
