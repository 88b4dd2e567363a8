//! Which moments of a project are compared.

use indexmap::IndexMap;

use crate::view::{View, WORKSPACE};
use crate::{Repo, Result};

/// Which revisions, besides the workspace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Which {
    /// The tip of every local branch.
    pub branches: bool,
    /// Every tag.
    pub tags: bool,
    /// Every commit.
    pub commits: bool,
}

/// The workspace and the revisions by name. Names of the same commit stand together: `main,v1`.
pub fn list<'r>(repo: &'r Repo, which: Which) -> Result<Vec<(String, View<'r>)>> {
    let mut named: IndexMap<String, Vec<String>> = IndexMap::new();
    if let Some(git) = &repo.git {
        if which.branches {
            for (name, commit) in git.branches()? {
                named.entry(commit).or_default().push(name);
            }
        }
        if which.tags {
            for (name, commit) in git.tags()? {
                named.entry(commit).or_default().push(name);
            }
        }
        if which.commits {
            for commit in git.commits()? {
                named.entry(commit.clone()).or_insert_with(|| vec![commit]);
            }
        }
    }
    let mut all = vec![(WORKSPACE.to_owned(), View::workspace(repo))];
    for (commit, names) in named {
        all.push((names.join(","), View::at(repo, &commit)?));
    }
    Ok(all)
}
