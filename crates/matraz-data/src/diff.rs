//! `diff`: how tracked data differ between two commits, or between a commit and the workspace.

use std::collections::BTreeSet;
use std::path::Path;

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use crate::cache::Cache;
use crate::entries::{self, Compared, Difference, Entries};
use crate::hash::digest::Digest;
use crate::index::Index;
use crate::target::{self, Selection, TargetOptions};
use crate::view::{View, WORKSPACE};
use crate::{Error, Repo, Result};

/// What is compared.
#[derive(Clone, Debug)]
pub struct Request {
    /// The earlier commit.
    pub from: String,
    /// The later commit; the workspace when none is given.
    pub to: Option<String>,
    /// Only these outputs, paths in them, or `.dvc` files; everything when there is none.
    pub targets: Vec<String>,
}

/// Files and folders that differ, each list sorted by path. Folders end with `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// New ones.
    pub added: Vec<Item>,
    /// Those that are gone.
    pub deleted: Vec<Item>,
    /// Those with other content.
    pub modified: Vec<Item>,
    /// Those with the same content at another path.
    pub renamed: Vec<Item>,
    /// Those whose earlier content the cache does not have. Looked at for the workspace alone.
    pub not_in_cache: Vec<Item>,
}

/// A file or folder in a [`Diff`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its path relative to the root of the project; of a renamed one the earlier path.
    pub path: String,
    /// The later path of a renamed one.
    pub new_path: Option<String>,
    /// Its content before.
    pub old: Option<Digest>,
    /// Its content after.
    pub new: Option<Digest>,
}

impl Diff {
    /// Whether nothing differs and nothing is missing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares. Targets are taken from the folder `cwd`; one that neither moment knows is an error.
pub fn diff(
    repo: &Repo,
    request: &Request,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Diff> {
    let git = repo.git.as_ref().ok_or_else(|| Error::NotInGit { root: repo.root.clone() })?;
    if git.head_commit().is_none() {
        return Ok(Diff::default());
    }
    let old_view = View::at(repo, &request.from)?;
    let new_view = View::at(repo, request.to.as_deref().unwrap_or(WORKSPACE))?;
    if old_view.same_moment(&new_view) {
        return Ok(Diff::default());
    }
    let (old_index, new_index) = (Index::load_at(&old_view)?, Index::load_at(&new_view)?);
    let (old_chosen, lost) = select(repo, &old_index, &request.targets, cwd)?;
    let (new_chosen, lost_too) = select(repo, &new_index, &request.targets, cwd)?;
    if let Some(target) = lost.intersection(&lost_too).next() {
        return Err(Error::NoSuchTarget { target: (*target).clone() });
    }
    let mut cache = Cache::open(repo);
    let old_roots = entries::roots(repo, &old_index, Some(&old_chosen));
    let new_roots = entries::roots(repo, &new_index, Some(&new_chosen));
    let old = Entries::recorded(repo, &mut cache, &old_roots, true)?;
    let new = if new_view.is_workspace() {
        Entries::present(repo, &new_roots, true, progress, interrupt.flag())?
    } else {
        Entries::recorded(repo, &mut cache, &new_roots, true)?
    };
    let mut diff = Diff::default();
    if new_view.is_workspace() {
        let recorded: Vec<_> =
            old.items.iter().filter_map(|(key, object)| object.map(|object| (key, object))).collect();
        let objects: Vec<_> = recorded.iter().map(|(_, object)| *object).collect();
        let present = entries::in_cache(repo, &cache, &objects);
        for ((key, object), _) in recorded.into_iter().zip(present).filter(|(_, present)| !present) {
            let path = entries::shown(key, Some(&object));
            diff.not_in_cache.push(Item { path, new_path: None, old: Some(object.digest), new: None });
        }
    }
    for one in entries::find_moves(entries::compare(&old, &new, false)) {
        diff.put(one);
    }
    for list in [&mut diff.added, &mut diff.deleted, &mut diff.modified, &mut diff.renamed] {
        list.sort_by(|a, b| a.path.cmp(&b.path));
    }
    diff.not_in_cache.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(diff)
}

impl Diff {
    fn put(&mut self, one: Compared) {
        let (old, new) = (entries::digest(one.old.as_ref()), entries::digest(one.new.as_ref()));
        if let Some(from) = one.moved_from {
            let path = entries::shown(&from, one.old.as_ref());
            let new_path = Some(entries::shown(&one.key, one.new.as_ref()));
            self.renamed.push(Item { path, new_path, old, new });
            return;
        }
        let (list, object) = match one.difference {
            Difference::Added => (&mut self.added, one.new),
            Difference::Deleted => (&mut self.deleted, one.old),
            // DVC names a changed item by what it was.
            Difference::Modified => (&mut self.modified, one.old),
            Difference::Same | Difference::Unknown => return,
        };
        let path = entries::shown(&one.key, object.as_ref());
        list.push(Item { path, new_path: None, old, new });
    }
}

/// What the targets mean at a moment, and those that mean nothing then.
fn select<'t>(
    repo: &Repo,
    index: &Index,
    targets: &'t [String],
    cwd: &Path,
) -> Result<(Vec<Selection>, BTreeSet<&'t String>)> {
    let options = TargetOptions::default();
    if targets.is_empty() {
        return Ok((target::select(repo, index, targets, options, cwd)?, BTreeSet::new()));
    }
    let (mut chosen, mut lost) = (Vec::new(), BTreeSet::new());
    for target in targets {
        match target::select(repo, index, std::slice::from_ref(target), options, cwd) {
            Ok(found) => chosen.extend(found),
            Err(_) => {
                lost.insert(target);
            }
        }
    }
    Ok((chosen, lost))
}
