//! The tracked data of a moment, item by item: what the project's files record, or what the workspace holds. These are
//! what `data status` and `diff` compare.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use matraz_base::progress::Progress;

use crate::cache::{Cache, Object};
use crate::hash::digest::Digest;
use crate::hash::md5;
use crate::hash::tree::Tree;
use crate::index::Index;
use crate::remote::Remote;
use crate::stage::{Output, Source};
use crate::target::Selection;
use crate::workspace::{self, Target};
use crate::{Repo, Result};

/// Files and folders by their path relative to the root of the project, with `/`.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// What is there. Nothing is known of the content of an output that was never made.
    pub items: BTreeMap<String, Option<Object>>,
    /// Folders whose listing neither the cache nor the remote has.
    pub unknown: BTreeSet<String>,
}

/// An output, or a part of it, that is looked at.
#[derive(Clone, Debug)]
pub struct Root<'i> {
    /// The output.
    pub output: &'i Output,
    /// Its content as recorded, also of an import that was never downloaded.
    pub object: Option<Object>,
    /// What of it, relative to it; empty for the whole.
    pub part: String,
    /// Its data come from another repository.
    pub foreign: bool,
}

/// The cached outputs inside the project that the selections mean, all when there is none.
pub fn roots<'i>(repo: &Repo, index: &'i Index, selections: Option<&[Selection]>) -> Vec<Root<'i>> {
    let whole: Vec<Selection>;
    let selections = match selections {
        Some(selections) => selections,
        None => {
            whole = (0..index.stages.len()).map(|stage| Selection { stage, only: None }).collect();
            &whole
        }
    };
    let mut roots = Vec::new();
    for selection in selections {
        let stage = &index.stages[selection.stage];
        let foreign = stage.deps.iter().any(|dep| matches!(dep.source, Source::Repo(_)));
        for output in stage.outs.iter().filter(|out| selection.includes(out)) {
            if !output.cache || !repo.contains(&output.path) || output.path == repo.root {
                continue;
            }
            let recorded = match output.digest {
                None if stage.is_import() && !foreign => stage.deps[0].digest,
                digest => digest,
            };
            let object = recorded.map(|digest| Object { digest, legacy: output.legacy });
            roots.push(Root { output, object, part: selection.part(output), foreign });
        }
    }
    roots
}

impl Entries {
    /// What is recorded of the outputs; with `deep` also of each file in a folder. A listing that the cache has lost is
    /// looked up on the remote.
    pub fn recorded(repo: &Repo, cache: &mut Cache, roots: &[Root<'_>], deep: bool) -> Result<Self> {
        let mut entries = Self::default();
        let mut remotes = HashMap::new();
        for root in roots {
            let key = key(repo, &root.output.path);
            let folder = root.object.filter(|object| object.digest.is_dir());
            if root.part.is_empty() {
                entries.items.insert(key.clone(), root.object);
            }
            let Some(object) = folder.filter(|_| deep || !root.part.is_empty()) else { continue };
            let tree = match cache.tree(&object)? {
                Some(tree) => Some(tree),
                None => tree_on_remote(repo, &mut remotes, root.output.remote.as_deref(), &object),
            };
            match tree {
                None => {
                    entries.unknown.insert(key);
                }
                Some(tree) => entries.extend(&key, &object, &tree, &root.part),
            }
        }
        Ok(entries)
    }

    /// What the workspace holds of the outputs; with `deep` also each file in a folder.
    pub fn present(
        repo: &Repo,
        roots: &[Root<'_>],
        deep: bool,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<Self> {
        let path = |root: &Root<'_>| match root.part.as_str() {
            "" => root.output.path.clone(),
            part => root.output.path.join(part),
        };
        let targets: Vec<Target> =
            roots.iter().map(|root| Target::with_legacy(path(root), root.output.legacy)).collect();
        let found = workspace::hash_many(repo, &targets, progress, stop)?;
        let mut entries = Self::default();
        for (root, content) in roots.iter().zip(found) {
            let Some(content) = content else { continue };
            let object = Object { digest: content.digest, legacy: root.output.legacy };
            let key = key(repo, &path(root));
            if root.part.is_empty() || content.tree.is_none() {
                entries.items.insert(key.clone(), Some(object));
            }
            if let Some(tree) = content.tree.filter(|_| deep) {
                entries.extend(&key, &object, &tree, "");
            }
        }
        Ok(entries)
    }

    /// Adds the files of a listing that are at or below `part`.
    fn extend(&mut self, key: &str, folder: &Object, tree: &Tree, part: &str) {
        for entry in tree.below(part) {
            self.items.insert(format!("{key}/{}", entry.path), Some(folder.file_of(entry.digest)));
        }
    }

    /// Whether `key` lies in a folder whose listing is lost.
    pub fn hides(&self, key: &str) -> bool {
        !self.unknown.is_empty() && key.match_indices('/').any(|(end, _)| self.unknown.contains(&key[..end]))
    }
}

/// The path of an item as `data status` and `diff` name it: folders end with `/`.
pub fn shown(key: &str, object: Option<&Object>) -> String {
    let folder = object.is_some_and(|object| object.digest.is_dir());
    if folder { format!("{key}/") } else { key.to_owned() }
}

/// The digest of an item, when it is known.
pub fn digest(object: Option<&Object>) -> Option<Digest> {
    object.map(|object| object.digest)
}

/// The path relative to the root of the project, with `/`.
fn key(repo: &Repo, path: &Path) -> String {
    path.strip_prefix(&repo.root).unwrap_or(path).to_string_lossy().into_owned()
}

/// Which of the recorded objects lie in the cache.
pub fn in_cache(repo: &Repo, cache: &Cache, objects: &[Object]) -> Vec<bool> {
    crate::cache::in_parallel(objects, repo.threads(), |object| cache.path(object).exists())
}

/// A listing on a remote. A remote that cannot be used has none.
fn tree_on_remote(
    repo: &Repo,
    remotes: &mut HashMap<Option<String>, Option<Remote>>,
    name: Option<&str>,
    object: &Object,
) -> Option<Tree> {
    let name = name.map(str::to_owned);
    let remote =
        remotes.entry(name.clone()).or_insert_with(|| Remote::find(repo, name.as_deref()).ok()).as_ref()?;
    let (mut reader, _) = remote.store.read(&object.key()).ok()?;
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).ok()?;
    if md5::of_bytes(&bytes) != *object.digest.bytes() {
        return None;
    }
    Tree::parse(&bytes).ok()
}

/// How an item differs between two moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Only the later moment has it.
    Added,
    /// Only the earlier moment has it.
    Deleted,
    /// Both have it, with other content.
    Modified,
    /// Both have it alike.
    Same,
    /// The folder around it is not known, so nothing can be said.
    Unknown,
}

/// An item of either of two moments.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Its path.
    pub key: String,
    /// Where it was before, when it was moved.
    pub moved_from: Option<String>,
    /// Its content before.
    pub old: Option<Object>,
    /// Its content after.
    pub new: Option<Object>,
    /// How the two differ.
    pub difference: Difference,
}

/// All items of two moments, by path. With `content_only` an output counts as there when its content is known.
pub fn compare(old: &Entries, new: &Entries, content_only: bool) -> Vec<Compared> {
    let keys: BTreeSet<&String> = old.items.keys().chain(new.items.keys()).collect();
    let mut all = Vec::with_capacity(keys.len());
    for key in keys {
        let (before, after) = (old.items.get(key), new.items.get(key));
        let (was, is) = (before.copied().flatten(), after.copied().flatten());
        let (there_before, there_after) =
            if content_only { (was.is_some(), is.is_some()) } else { (before.is_some(), after.is_some()) };
        let difference = match (there_before, there_after) {
            _ if old.hides(key) || new.hides(key) => Difference::Unknown,
            (false, true) => Difference::Added,
            (true, false) => Difference::Deleted,
            _ if was != is => Difference::Modified,
            _ => Difference::Same,
        };
        all.push(Compared { key: key.clone(), moved_from: None, old: was, new: is, difference });
    }
    all
}

/// Joins what went at one path and came with the same content at another: it was moved.
pub fn find_moves(all: Vec<Compared>) -> Vec<Compared> {
    let mut gone: HashMap<Object, Vec<usize>> = HashMap::new();
    for (n, one) in all.iter().enumerate().rev() {
        if let (Difference::Deleted, Some(object)) = (one.difference, one.old) {
            gone.entry(object).or_default().push(n);
        }
    }
    let mut taken = BTreeSet::new();
    let mut sources: HashMap<usize, usize> = HashMap::new();
    for (n, one) in all.iter().enumerate() {
        if let (Difference::Added, Some(object)) = (one.difference, one.new)
            && let Some(source) = gone.get_mut(&object).and_then(Vec::pop)
        {
            taken.insert(source);
            sources.insert(n, source);
        }
    }
    let names: Vec<String> = all.iter().map(|one| one.key.clone()).collect();
    let mut joined = Vec::with_capacity(all.len());
    for (n, mut one) in all.into_iter().enumerate() {
        if taken.contains(&n) {
            continue;
        }
        if let Some(source) = sources.get(&n) {
            one.moved_from = Some(names[*source].clone());
            one.old = one.new;
        }
        joined.push(one);
    }
    joined
}

/// A path of the project by its key.
pub fn path_of(repo: &Repo, key: &str) -> PathBuf {
    repo.root.join(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(items: &[(&str, u8)]) -> Entries {
        let object = |n: u8| Some(Object::new(Digest::file([n; 16]))).filter(|_| n > 0);
        Entries {
            items: items.iter().map(|(key, n)| ((*key).to_owned(), object(*n))).collect(),
            ..Entries::default()
        }
    }

    fn words(all: Vec<Compared>) -> Vec<String> {
        let word = |one: &Compared| match &one.moved_from {
            Some(from) => format!("{from} -> {}", one.key),
            None => format!("{:?} {}", one.difference, one.key),
        };
        all.iter().filter(|one| one.difference != Difference::Same).map(word).collect()
    }

    #[test]
    fn items_come_go_change_and_move() {
        let old = entries(&[("a", 1), ("b", 2), ("c", 3), ("d", 3), ("never", 0), ("same", 9)]);
        let mut new = entries(&[("a", 11), ("e", 3), ("f", 4), ("never", 7), ("same", 9)]);
        let found = words(find_moves(compare(&old, &new, false)));
        assert_eq!(found, ["Modified a", "Deleted b", "Deleted d", "c -> e", "Added f", "Modified never"]);
        let found = words(compare(&old, &new, true));
        assert!(found.contains(&"Added never".to_owned()), "{found:?}");
        new.items.insert("dir/s/x".into(), None);
        new.unknown.insert("dir".into());
        assert!(words(compare(&old, &new, false)).contains(&"Unknown dir/s/x".to_owned()));
    }
}
