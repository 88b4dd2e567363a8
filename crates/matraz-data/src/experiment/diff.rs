//! `exp diff`: metrics and parameters of two moments.

use std::path::PathBuf;

use super::start::git_of;
use super::state::{Files, State};
use crate::compare::diff::{self, Differences, Values};
use crate::view::View;
use crate::{Repo, Result};

/// How two moments differ.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Metrics by file and name.
    pub metrics: Differences,
    /// Parameters by file and name.
    pub params: Differences,
}

/// Compares. `None` in a repository without a commit.
pub fn diff(repo: &Repo, revisions: [&str; 2], unchanged: bool, deps_only: bool) -> Result<Option<Report>> {
    if git_of(repo)?.head_commit().is_none() {
        return Ok(None);
    }
    let mut sides = Vec::new();
    for revision in revisions {
        sides.push(View::at(repo, revision)?);
    }
    let mut states = Vec::new();
    for view in sides {
        states.push(State::read(view, None, deps_only).unwrap_or_default());
    }
    let values = |files: &Files| -> Values {
        files.iter().map(|(path, values)| (PathBuf::from(path), values.as_ref().ok().cloned())).collect()
    };
    let compare = |files: fn(&State) -> &Files| {
        diff::diff(&values(files(&states[0])), &values(files(&states[1])), unchanged)
    };
    Ok(Some(Report { metrics: compare(|state| &state.metrics), params: compare(|state| &state.params) }))
}
