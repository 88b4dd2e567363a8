//! What the files of a pipeline hold now, looked at in one go and remembered while nothing touches them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use matraz_base::Progress;
use matraz_base::process::Interrupt;

use crate::cache::{Cache, Object};
use crate::hash::digest::{Digest, Meta};
use crate::hash::tree::Tree;
use crate::stage::{Output, Source, Stage};
use crate::workspace::{self, Target};
use crate::{Repo, Result};

/// The contents of paths in the workspace.
pub struct Contents<'r> {
    repo: &'r Repo,
    progress: &'r dyn Progress,
    interrupt: &'r Interrupt,
    /// By path, and whether the digest is taken as DVC 2 did.
    known: HashMap<(PathBuf, bool), Option<(Digest, Meta)>>,
    /// The listings of the folders among them: one that is in the workspace need not be read from the cache.
    trees: HashMap<Digest, Tree>,
}

impl<'r> Contents<'r> {
    /// Knows nothing yet.
    pub fn new(repo: &'r Repo, progress: &'r dyn Progress, interrupt: &'r Interrupt) -> Self {
        Self { repo, progress, interrupt, known: HashMap::new(), trees: HashMap::new() }
    }

    /// Looks at everything that the stages read and make and that is not known yet.
    pub fn look_at<'s>(&mut self, stages: impl IntoIterator<Item = &'s Stage>) -> Result<()> {
        let mut wanted: Vec<(PathBuf, bool)> = Vec::new();
        for stage in stages {
            let local = stage.deps.iter().filter(|dep| dep.source == Source::Local);
            wanted.extend(local.map(|dep| (dep.path.clone(), dep.legacy)));
            wanted.extend(stage.outs.iter().map(|out| (out.path.clone(), out.legacy)));
        }
        self.learn(wanted)
    }

    fn learn(&mut self, mut wanted: Vec<(PathBuf, bool)>) -> Result<()> {
        wanted.sort();
        wanted.dedup();
        wanted.retain(|key| !self.known.contains_key(key));
        if wanted.is_empty() {
            return Ok(());
        }
        let targets: Vec<Target> =
            wanted.iter().map(|(path, legacy)| Target::with_legacy(path, *legacy)).collect();
        let found = workspace::hash_many(self.repo, &targets, self.progress, self.interrupt.flag())?;
        for (key, content) in wanted.into_iter().zip(found) {
            // DVC keeps the listing of a folder that it hashed as DVC 2 did. A cache that cannot be written to is no
            // reason not to look.
            if let Some(tree) = content.as_ref().and_then(|content| content.tree.as_ref()).filter(|_| key.1) {
                let _ = Cache::open(self.repo).save_tree_as(tree, true);
            }
            let known = content.map(|content| {
                self.trees.extend(content.tree.map(|tree| (content.digest, tree)));
                (content.digest, content.meta)
            });
            self.known.insert(key, known);
        }
        Ok(())
    }

    /// What is at `path`; `None` when nothing is.
    pub fn of(&mut self, path: &Path, legacy: bool) -> Result<Option<(Digest, Meta)>> {
        let key = (path.to_path_buf(), legacy);
        if !self.known.contains_key(&key) {
            self.learn(vec![key.clone()])?;
        }
        Ok(self.known.get(&key).cloned().flatten())
    }

    /// What is at `path` was just stored or brought back.
    pub fn set(&mut self, path: &Path, content: Option<(Digest, Meta)>) {
        self.forget(path);
        self.known.insert((path.to_path_buf(), false), content);
    }

    /// Something may have changed at, below or around `path`.
    pub fn forget(&mut self, path: &Path) {
        self.known.retain(|(known, _), _| !known.starts_with(path) && !path.starts_with(known));
    }

    /// A command ran: anything may have changed.
    pub fn forget_all(&mut self) {
        self.known.clear();
        self.trees.clear();
    }
}

/// Which of the outputs the cache has whole. Outputs of which nothing is recorded count as missing. The listings of
/// folders that were looked at are taken from `contents`.
pub fn in_cache(
    repo: &Repo,
    cache: &mut Cache,
    outs: &[&Output],
    contents: Option<&Contents<'_>>,
    interrupt: &Interrupt,
) -> Result<Vec<bool>> {
    let mut whole = vec![true; outs.len()];
    let mut objects = Vec::new();
    let mut owners = Vec::new();
    for (n, out) in outs.iter().enumerate() {
        let Some(digest) = out.digest else {
            whole[n] = false;
            continue;
        };
        let object = Object { digest, legacy: out.legacy };
        if digest.is_dir() {
            let here = contents.and_then(|contents| contents.trees.get(&digest));
            let kept;
            let tree = match here {
                Some(tree) if !out.legacy && cache.is_checked(&object) => Some(tree),
                _ => {
                    kept = cache.tree(&object)?;
                    kept.as_ref()
                }
            };
            match tree {
                Some(tree) => {
                    objects.extend(tree.entries().iter().map(|entry| object.file_of(entry.digest)));
                    owners.resize(objects.len(), n);
                }
                None => whole[n] = false,
            }
        } else {
            objects.push(object);
            owners.push(n);
        }
    }
    let (presence, _) = cache.survey(repo, &objects, interrupt.flag())?;
    for (n, presence) in owners.into_iter().zip(presence) {
        whole[n] &= presence.is_present();
    }
    Ok(whole)
}
