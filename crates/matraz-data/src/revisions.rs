//! Which moments of a project a command is about: the workspace, and commits.

use indexmap::IndexMap;

use crate::experiment::queue;
use crate::view::{View, WORKSPACE};
use crate::{Error, Repo, Result};

/// Which commits, besides the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// The tip of every local branch.
    pub branches: bool,
    /// Every tag.
    pub tags: bool,
    /// Every commit that `HEAD`, a branch or a tag leads to. Branches and tags are among them.
    pub commits: bool,
    /// The commits of all experiments.
    pub experiments: bool,
    /// These.
    pub named: Vec<String>,
    /// The workspace is left out.
    pub without_workspace: bool,
    /// This one.
    pub revision: Option<String>,
    /// Also the commits before the tips of branches and before `revision`: this many in all, the first parent first.
    /// One when none is given; all when it is negative.
    pub number: Option<i64>,
    /// The commits made at this moment or later, in seconds since 1970.
    pub since: Option<i64>,
}

impl Which {
    /// Whether any commit is asked for.
    pub fn any(&self) -> bool {
        *self != Self { number: self.number, ..Self::default() }
    }
}

/// The workspace and the commits by name. Names of the same commit stand together: `main,v1`.
pub fn list<'r>(repo: &'r Repo, which: &Which) -> Result<Vec<(String, View<'r>)>> {
    let mut all = match which.without_workspace {
        true => Vec::new(),
        false => vec![(WORKSPACE.to_owned(), View::workspace(repo))],
    };
    if !which.any() {
        return Ok(all);
    }
    let Some(git) = &repo.git else {
        return Err(Error::NotInGit { root: repo.root.clone() });
    };
    let mut named: IndexMap<String, Vec<String>> = IndexMap::new();
    let mut add = |commit: String, name: String| named.entry(commit).or_default().push(name);
    let number = which.number.unwrap_or(1);
    let mut with_parents = |name: &str, tip: String| {
        add(tip.clone(), name.to_owned());
        let mut n = 1;
        while n != number
            && let Some(commit) = git.resolve(&format!("{tip}~{n}"))
        {
            add(commit.clone(), commit);
            n += 1;
        }
    };
    if let Some(revision) = &which.revision {
        let tip =
            git.resolve(revision).ok_or_else(|| Error::NoSuchRevision { revision: revision.clone() })?;
        with_parents(revision, tip);
    }
    if which.branches && !which.commits {
        for (name, commit) in git.branches()? {
            with_parents(&name, commit);
        }
    }
    if which.tags && !which.commits {
        for (name, commit) in git.tags()? {
            add(commit, name);
        }
    }
    for commit in &which.named {
        add(commit.clone(), commit.clone());
    }
    if which.commits {
        for commit in git.commits()? {
            add(commit.clone(), commit);
        }
    }
    if let Some(since) = which.since {
        for commit in git.commits()? {
            if git.commit_time(&commit)? >= since {
                add(commit.clone(), commit);
            }
        }
    }
    if which.experiments {
        let queued = queue::tasks(repo)?.into_iter().map(|task| task.rev);
        let queued = queued.filter(|commit| git.resolve_plain(commit).is_some());
        for commit in git.experiment_commits()?.into_iter().chain(queued) {
            add(commit.clone(), commit);
        }
    }
    for (commit, mut names) in named {
        let mut seen = Vec::new();
        names.retain(|name| {
            !seen.contains(name) && {
                seen.push(name.clone());
                true
            }
        });
        all.push((names.join(","), View::at(repo, &commit)?));
    }
    Ok(all)
}
