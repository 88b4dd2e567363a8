//! Which experiments a command is about, and `exp list`.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::refs::{self, Experiment};
use super::start::git_of;
use crate::git::Git;
use crate::{Error, Repo, Result};

/// Commits that experiments start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baselines {
    /// All of them.
    pub all: bool,
    /// These; the present commit when there is none.
    pub revisions: Vec<String>,
    /// This many commits from each, along first parents; all when negative.
    pub number: i64,
}

impl Default for Baselines {
    fn default() -> Self {
        Self { all: false, revisions: Vec::new(), number: 1 }
    }
}

impl Baselines {
    /// The commits, in order; `None` when all are meant.
    pub fn commits(&self, git: &Git) -> Result<Option<Vec<String>>> {
        if self.all {
            return Ok(None);
        }
        let head = ["HEAD".to_owned()];
        let revisions = if self.revisions.is_empty() { &head[..] } else { &self.revisions[..] };
        let mut commits = Vec::new();
        for revision in revisions {
            add_with_parents(git, revision, self.number, &mut commits)?;
        }
        Ok(Some(commits))
    }
}

/// Adds a revision and those before it, each commit once.
pub(super) fn add_with_parents(
    git: &Git,
    revision: &str,
    number: i64,
    commits: &mut Vec<String>,
) -> Result<()> {
    if number == 0 {
        return Ok(());
    }
    let unknown = || Error::NoSuchRevision { revision: revision.to_owned() };
    let tip = git.resolve(revision).ok_or_else(unknown)?;
    let mut next = Some(tip.clone());
    let mut n = 0;
    while let Some(commit) = next {
        if !commits.contains(&commit) {
            commits.push(commit);
        }
        n += 1;
        next = if n == number { None } else { git.resolve_plain(&format!("{tip}~{n}")) };
    }
    Ok(())
}

/// The experiments of these baselines, by baseline in the order asked for; those of all by the age of their baselines,
/// the newest first.
pub fn list(
    repo: &Repo,
    baselines: &Baselines,
    remote: Option<&str>,
) -> Result<IndexMap<String, Vec<Experiment>>> {
    let git = git_of(repo)?;
    let wanted = baselines.commits(git)?;
    let mut by_baseline: HashMap<String, Vec<Experiment>> = HashMap::new();
    for one in refs::of(git, remote)? {
        by_baseline.entry(one.reference.baseline.clone()).or_default().push(one);
    }
    let order = match wanted {
        Some(commits) => commits,
        None => {
            let mut known: Vec<String> = by_baseline.keys().cloned().collect();
            known.sort_by_key(|commit| {
                (std::cmp::Reverse(git.commit_time(commit).unwrap_or(0)), commit.clone())
            });
            known
        }
    };
    let mut found = IndexMap::new();
    for baseline in order {
        if let Some(experiments) = by_baseline.remove(&baseline) {
            found.insert(baseline, experiments);
        }
    }
    Ok(found)
}

/// A name for each commit that has one: the present branch, a tag, or a branch.
pub fn names(git: &Git) -> Result<HashMap<String, String>> {
    let mut names = HashMap::new();
    for (name, commit) in git.tags()?.into_iter().chain(git.branches()?) {
        names.entry(commit).or_insert(name);
    }
    if let (Some(head), Some(branch)) = (git.head_commit(), git.branch()) {
        names.insert(head, branch);
    }
    Ok(names)
}
