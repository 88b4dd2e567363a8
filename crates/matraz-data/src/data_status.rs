//! `data status`: tracked data between the last commit, the project's files and the workspace.

use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use crate::cache::{Cache, Object};
use crate::entries::{self, Compared, Difference, Entries, Root};
use crate::index::Index;
use crate::remote::{Remote, seen};
use crate::stage::address::{join, relative};
use crate::view::View;
use crate::{Error, Repo, Result};

/// What is looked at.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Only what is at or below these paths; everything when there is none.
    pub targets: Vec<String>,
    /// The folder to which targets and the paths in the answer are relative.
    pub base: PathBuf,
    /// List the files in folders too.
    pub granular: bool,
    /// List files that neither git nor the project tracks.
    pub untracked: bool,
    /// List what the remote lacks.
    pub not_in_remote: bool,
    /// The remote; the default one when none is given.
    pub remote: Option<String>,
    /// Believe what an earlier look at the remote has seen.
    pub no_refresh: bool,
}

/// How tracked data stand.
#[derive(Clone, Debug, Default)]
pub struct DataStatus {
    /// Recorded content that the cache lacks.
    pub not_in_cache: Vec<String>,
    /// Recorded content that the remote lacks.
    pub not_in_remote: Vec<String>,
    /// How the project's files differ from the last commit.
    pub committed: Changes,
    /// How the workspace differs from the project's files.
    pub uncommitted: Changes,
    /// Files that git does not know, relative to the current folder.
    pub untracked: Vec<String>,
    /// What differs in neither way.
    pub unchanged: Vec<String>,
    /// The repository has no commit yet.
    pub no_commits: bool,
    /// Git sees changes.
    pub git_dirty: bool,
}

/// Paths by what happened to them. Folders end with `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New ones.
    pub added: Vec<String>,
    /// Those with other content.
    pub modified: Vec<String>,
    /// Those that are gone.
    pub deleted: Vec<String>,
    /// Those that were moved: the earlier and the later path.
    pub renamed: Vec<(String, String)>,
    /// Those in a folder whose earlier content is not known.
    pub unknown: Vec<String>,
}

impl Changes {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Looks at the project.
pub fn status(
    repo: &Repo,
    request: &Request,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<DataStatus> {
    let scope = Scope::new(repo, request);
    let mut status = DataStatus::default();
    let mut cache = Cache::open(repo);
    let index = Index::load(repo)?;
    let roots = entries::roots(repo, &index, None);
    let recorded = Entries::recorded(repo, &mut cache, &roots, request.granular)?;
    let present = Entries::present(repo, &roots, request.granular, progress, interrupt.flag())?;
    let uncommitted = entries::compare(&recorded, &present, true);
    status.not_in_cache = not_in_cache(repo, &cache, &scope, &uncommitted);
    let mut unchanged = scope.sort_out(uncommitted, &mut status.uncommitted);
    if request.not_in_remote {
        let lacking = not_in_remote(repo, &scope, request, &roots, &recorded)?;
        status.not_in_remote = lacking;
    }
    if let Some(git) = &repo.git {
        status.no_commits = git.head_commit().is_none();
        let committed = if status.no_commits {
            Entries::default()
        } else {
            let head = Index::load_at(&View::at(repo, "HEAD")?)?;
            Entries::recorded(repo, &mut cache, &entries::roots(repo, &head, None), request.granular)?
        };
        let same = scope.sort_out(entries::compare(&committed, &recorded, true), &mut status.committed);
        unchanged.retain(|path| same.binary_search(path).is_ok());
        let untracked = if request.untracked { git.untracked_files()? } else { Vec::new() };
        status.git_dirty = !untracked.is_empty() || git.is_dirty()?;
        let targets: Vec<PathBuf> = request.targets.iter().map(|target| join(cwd, target)).collect();
        for path in untracked {
            let wanted = targets.is_empty() || targets.iter().any(|target| path.starts_with(target));
            if wanted && repo.contains(&path) {
                status.untracked.push(relative(&path, cwd));
            }
        }
    }
    status.unchanged = unchanged;
    Ok(status)
}

/// Which items are wanted, and how they are named.
struct Scope<'r> {
    repo: &'r Repo,
    base: &'r Path,
    targets: Vec<PathBuf>,
}

impl<'r> Scope<'r> {
    fn new(repo: &'r Repo, request: &'r Request) -> Self {
        let targets = request.targets.iter().map(|target| join(&request.base, target)).collect();
        Self { repo, base: &request.base, targets }
    }

    fn includes(&self, key: &str) -> bool {
        let path = entries::path_of(self.repo, key);
        self.targets.is_empty() || self.targets.iter().any(|target| path.starts_with(target))
    }

    fn name(&self, key: &str, object: Option<&Object>) -> String {
        let path = relative(&entries::path_of(self.repo, key), self.base);
        entries::shown(&path, object)
    }

    /// Puts what differs into `changes`; returns what does not, sorted.
    fn sort_out(&self, all: Vec<Compared>, changes: &mut Changes) -> Vec<String> {
        let mut same = Vec::new();
        // As in DVC, only what is wanted on both sides counts as moved.
        let wanted = all.into_iter().filter(|one| self.includes(&one.key)).collect();
        for one in entries::find_moves(wanted) {
            let name = self.name(&one.key, one.new.as_ref().or(one.old.as_ref()));
            if let Some(from) = &one.moved_from {
                changes.renamed.push((self.name(from, one.old.as_ref()), name));
                continue;
            }
            match one.difference {
                Difference::Added => changes.added.push(name),
                Difference::Deleted => changes.deleted.push(name),
                Difference::Modified => changes.modified.push(name),
                Difference::Unknown if one.new.is_some() => changes.unknown.push(name),
                Difference::Same if one.old.is_some() => same.push(name),
                Difference::Same | Difference::Unknown => {}
            }
        }
        same.sort();
        same
    }
}

fn not_in_cache(repo: &Repo, cache: &Cache, scope: &Scope<'_>, all: &[Compared]) -> Vec<String> {
    let recorded: Vec<(&str, Object)> = all
        .iter()
        .filter_map(|one| one.old.map(|object| (one.key.as_str(), object)))
        .filter(|(key, _)| scope.includes(key))
        .collect();
    let objects: Vec<Object> = recorded.iter().map(|(_, object)| *object).collect();
    let present = entries::in_cache(repo, cache, &objects);
    let absent = recorded.into_iter().zip(present).filter(|(_, present)| !present);
    absent.map(|((key, object), _)| scope.name(key, Some(&object))).collect()
}

/// What the remotes lack of the outputs that are pushed. Without any remote that is everything.
fn not_in_remote(
    repo: &Repo,
    scope: &Scope<'_>,
    request: &Request,
    roots: &[Root<'_>],
    recorded: &Entries,
) -> Result<Vec<String>> {
    let mut lacking = Vec::new();
    for root in roots.iter().filter(|root| root.output.push && !root.foreign) {
        let name = root.output.remote.as_deref().or(request.remote.as_deref());
        let remote = match Remote::find(repo, name) {
            Ok(remote) => Some(remote),
            Err(Error::NoRemote { .. }) => None,
            Err(Error::NoSuchRemote { name }) => {
                return Err(Error::config(format!("remote '{name}' doesn't exist")));
            }
            Err(error) => return Err(error),
        };
        let own: Vec<(&String, Object)> = below(repo, recorded, root)
            .filter_map(|(key, object)| object.map(|object| (key, object)))
            .filter(|(key, _)| scope.includes(key))
            .collect();
        let keys: Vec<String> = own.iter().map(|(_, object)| object.key()).collect();
        let there = match &remote {
            None => vec![false; keys.len()],
            Some(remote) if request.no_refresh => {
                let seen = seen::load(repo, &remote.name);
                keys.iter().map(|key| seen.contains(key)).collect()
            }
            Some(remote) => {
                let there = remote.store.exists_many(&keys)?;
                seen::note(repo, &remote.name, &keys, &there);
                there
            }
        };
        for ((key, object), _) in own.into_iter().zip(there).filter(|(_, there)| !there) {
            lacking.push(scope.name(key, Some(&object)));
        }
    }
    lacking.sort();
    lacking.dedup();
    Ok(lacking)
}

/// The recorded items of one output.
fn below<'e>(
    repo: &Repo,
    entries: &'e Entries,
    root: &Root<'_>,
) -> impl Iterator<Item = (&'e String, Option<Object>)> + use<'e> {
    let key = relative(&root.output.path, &repo.root);
    let own = entries.items.get_key_value(&key);
    let (from, to) = (format!("{key}/"), format!("{key}0"));
    own.into_iter().chain(entries.items.range(from..to)).map(|(key, object)| (key, *object))
}
