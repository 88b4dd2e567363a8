//! Remotes: places outside the project to which the cache is copied.
//!
//! A remote has the layout of a cache. Objects travel both ways with a check of their content; the listing of a folder
//! goes up after all of its files, so that a folder that can be seen on the remote is whole.

pub mod fetch;
pub mod pull;
pub mod push;
pub mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use matraz_store::{Location, Store};

use crate::cache::Object;
use crate::config::Section;
use crate::index::Index;
use crate::stage::{Output, Source};
use crate::target::Selection;
use crate::{Error, Repo, Result};

/// The folder of the run cache in caches and remotes.
pub const RUNS: &str = "runs";

/// A configured remote.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its name in the settings.
    pub name: String,
    /// Where it is.
    pub store: Store,
    /// The folder of the remote.
    root: PathBuf,
    /// New folders are open to the group.
    shared: bool,
}

impl Remote {
    /// The remote of a name, or the default one.
    pub fn find(repo: &Repo, name: Option<&str>) -> Result<Self> {
        let name = match name {
            Some(name) => name.to_lowercase(),
            None => repo.config.default_remote().ok_or_else(|| Error::NoRemote {
                known: repo.config.remotes().map(|(name, _)| name.to_owned()).collect(),
            })?,
        };
        let settings = repo.config.remote(&name).ok_or_else(|| Error::NoSuchRemote { name: name.clone() })?;
        let url = url_of(&name, settings)?;
        let location = Location::parse(&url, &repo.root)?;
        for option in ["worktree", "version_aware"] {
            if settings.get(option).is_some_and(|value| value.text().eq_ignore_ascii_case("true")) {
                return Err(Error::NotYet {
                    what: format!("the option '{option}' of the remote '{name}'"),
                    place: None,
                });
            }
        }
        let Location::Local(root) = &location;
        Ok(Self {
            store: Store::open(&location),
            root: root.clone(),
            shared: settings.contains_key("shared"),
            name,
        })
    }

    /// The remote as a cache to write to.
    pub(crate) fn as_cache(&self, repo: &Repo) -> crate::cache::Cache {
        repo.will_write(&self.root);
        crate::cache::Cache::at(self.root.clone(), self.shared)
    }
}

fn url_of(name: &str, settings: &Section) -> Result<String> {
    let url = settings.get("url").ok_or_else(|| Error::config(format!("remote '{name}' has no 'url'")))?;
    Ok(url.text())
}

/// The outputs that a transfer is about, by the remote that they go to (`None`: the default or given one).
fn by_remote<'i>(
    index: &'i Index,
    selections: &'i [Selection],
    remote: Option<&str>,
    pushing: bool,
) -> BTreeMap<Option<String>, Vec<(&'i Output, String)>> {
    let mut groups: BTreeMap<Option<String>, Vec<(&Output, String)>> = BTreeMap::new();
    for selection in selections {
        // Data of other repositories come from there and are not ours to push.
        let imported =
            index.stages[selection.stage].deps.iter().any(|dep| matches!(dep.source, Source::Repo(_)));
        if imported {
            continue;
        }
        for out in selection.outputs(index).filter(|out| out.cache && out.digest.is_some()) {
            let elsewhere = remote.is_some() && out.remote.as_deref().is_some_and(|own| Some(own) != remote);
            if elsewhere || (pushing && !out.push) {
                continue;
            }
            let parts = groups.entry(out.remote.clone()).or_default();
            parts.push((out, selection.part(out)));
        }
    }
    groups
}

/// The objects of outputs: files, then the listings of folders.
#[derive(Debug, Default)]
struct Needed {
    files: BTreeSet<Object>,
    folders: BTreeSet<Object>,
    /// The files of each folder, as far as they are wanted.
    members: BTreeMap<Object, BTreeSet<Object>>,
    /// Folders whose listing the cache does not have.
    unknown: BTreeSet<Object>,
}

impl Needed {
    /// What outputs consist of, as far as the cache has the listings of folders.
    fn of(cache: &mut crate::cache::Cache, outputs: &[(&Output, String)]) -> Result<Self> {
        let mut needed = Self::default();
        for (out, part) in outputs {
            let Some(digest) = out.digest else { continue };
            let object = Object { digest, legacy: out.legacy };
            if !digest.is_dir() {
                needed.files.insert(object);
                continue;
            }
            needed.folders.insert(object);
            match cache.tree(&object)? {
                None => {
                    needed.unknown.insert(object);
                }
                Some(tree) => {
                    let members: BTreeSet<Object> =
                        tree.below(part).map(|entry| object.file_of(entry.digest)).collect();
                    needed.files.extend(&members);
                    needed.members.entry(object).or_default().extend(members);
                }
            }
        }
        Ok(needed)
    }
}
