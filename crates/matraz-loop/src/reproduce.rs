//! `reproduce`: makes a run again from what was kept of it, and compares.
//!
//! [`prepare`] checks the run's commit out beside the work tree, applies the changes that were not committed, and brings the
//! data back that the run read; the caller runs the pipeline there, without the run cache; [`judge`] compares what came of
//! it with what the run recorded. The folder has a cache of its own, so that nothing of the project is touched.

mod judge;
mod prepare;

use std::path::PathBuf;

use matraz_data::Repo;
use serde::Serialize;

pub use judge::judge;
pub(crate) use prepare::environment;
pub use prepare::{pipeline_run, prepare, tidy_up};

use crate::environment::Difference;

/// Something that the run had and that cannot be had any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The commit, the path or the like.
    pub what: String,
    /// Why it cannot be had.
    pub why: String,
}

/// Whether the pipeline can run again.
pub enum Prepared {
    /// It can.
    Ready(Box<Ready>),
    /// It cannot.
    Impossible(Vec<Missing>),
}

/// A folder in which the pipeline of a run can run again.
pub struct Ready {
    /// The project in it.
    pub repo: Repo,
    /// Its root, the work tree of git.
    pub folder: PathBuf,
    /// The stages to run.
    pub targets: Vec<String>,
    /// How the environment differs from that of the run.
    pub environment: Vec<Difference>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every output is the same, bit by bit, and every metric within the tolerance.
    Identical,
    /// Something differs.
    Different,
    /// It could not be tried.
    Impossible,
}

/// A run made again.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The run.
    pub run_id: String,
    /// Its name.
    pub run_name: String,
    /// Its commit.
    pub commit: Option<String>,
    /// What came of it.
    pub verdict: Verdict,
    /// What cannot be had.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// The stage that failed this time, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// How the environment differs.
    pub environment: Vec<Difference>,
    /// What the stages read and made.
    pub data: Vec<Compared>,
    /// The metrics.
    pub metrics: Vec<ComparedMetric>,
}

/// Data of the run, then and now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// The path from the project's root.
    pub path: String,
    /// Whether stages made it; else they read it.
    pub made: bool,
    /// The digest then.
    pub expected: String,
    /// The digest now; `None` when it is not there.
    pub found: Option<String>,
    /// Whether that is the same, or for a metrics file within the tolerance.
    pub same: bool,
    /// How it differs, where that can be said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub how: Vec<String>,
}

/// A metric of the run, then and now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedMetric {
    /// Its key.
    pub key: String,
    /// The value then.
    pub expected: f64,
    /// The value now; `None` when there is none.
    pub found: Option<f64>,
    /// Whether they are within the tolerance.
    pub same: bool,
}
