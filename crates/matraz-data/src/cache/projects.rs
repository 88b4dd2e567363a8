//! The projects that share a cache outside of their folders.
//!
//! A list of their roots lies beside the objects, in a place that DVC does not look at: `matraz/projects`, one a line. A
//! project that only DVC works in is not on it: nothing is written into a shared cache that its owner did not ask for.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use super::gc::Root;
use super::used::{self, Search};
use crate::revisions::Which;
use crate::{Error, Repo, Result};

fn list_file(repo: &Repo) -> PathBuf {
    repo.cache_dir().join("matraz").join("projects")
}

/// The file that makes a project one of Matraz, whatever grammar it is used by.
const MARK: &str = "matraz.yaml";

/// Enters a project of Matraz whose cache lies outside of it into the list. Where that is impossible nothing happens:
/// whoever cannot write there cannot add data either.
pub fn register(repo: &Repo) {
    let cache = repo.cache_dir();
    // The work tree of an experiment lies beside the cache of its project.
    let is_private = |folder: &Path| folder.file_name().is_some_and(|name| name == ".dvc");
    let is_temporary = cache.parent().is_some_and(|above| is_private(above) && repo.root.starts_with(above));
    let is_listed = repo.places.lists_projects || repo.root.join(MARK).is_file();
    if !is_shared(repo) || is_temporary || !is_listed || read(repo).contains(&repo.root) {
        return;
    }
    let file = list_file(repo);
    let line = format!("{}\n", repo.root.display());
    // Appended, because projects may come at the same time.
    let _ = fs::create_dir_all(repo.cache_dir().join("matraz"))
        .and_then(|()| fs::OpenOptions::new().create(true).append(true).open(&file))
        .and_then(|mut file| file.write_all(line.as_bytes()));
}

/// Whether the cache lies outside of the project, so that there may be others which nobody knows of.
pub fn is_shared(repo: &Repo) -> bool {
    !repo.cache_dir().starts_with(&repo.root)
}

fn read(repo: &Repo) -> Vec<PathBuf> {
    let text = fs::read_to_string(list_file(repo)).unwrap_or_default();
    text.lines().filter(|line| !line.is_empty()).map(PathBuf::from).collect()
}

/// The other projects on the list that still use this cache.
pub fn others(repo: &Repo) -> Result<Vec<Repo>> {
    let mut found = Vec::new();
    for root in read(repo) {
        // A project that is no more uses nothing.
        if root == repo.root || !root.join(".dvc").is_dir() {
            continue;
        }
        let other = Repo::open(&root, &repo.places)?;
        if same(&other.cache_dir(), &repo.cache_dir()) {
            found.push(other);
        }
    }
    Ok(found)
}

/// All that the other projects use, in their workspaces and all their commits.
pub fn roots(repo: &Repo, progress: &dyn Progress, interrupt: &Interrupt) -> Result<Vec<Root>> {
    let mut roots = Vec::new();
    for other in others(repo)? {
        let in_git = other.git.is_some();
        let which = Which { commits: in_git, experiments: in_git, ..Which::default() };
        let search = Search { which: &which, remote: None, skip_failed: false, accept_unknown: &|_| false };
        let used = used::objects(&other, &search, progress, interrupt).map_err(|error| match error {
            Error::Interrupted => Error::Interrupted,
            error => {
                Error::CollectFailed { revision: other.root.display().to_string(), source: Box::new(error) }
            }
        })?;
        let why = format!("project {}", other.root.display());
        let objects = used.into_values().flatten();
        roots.extend(objects.map(|object| Root { object, why: why.clone() }));
    }
    Ok(roots)
}

fn same(a: &Path, b: &Path) -> bool {
    a == b || matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}
