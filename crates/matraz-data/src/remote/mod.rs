//! Remotes: places outside the project to which the cache is copied.
//!
//! A remote has the layout of a cache. Objects travel both ways with a check of their content; the listing of a folder
//! goes up after those of its files that were to be pushed. That a listing is on a remote says nothing about the files
//! that it names (only a part of a folder may have been pushed): each is looked for.

pub mod fetch;
pub mod pull;
pub mod push;
pub mod seen;
pub mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use indexmap::IndexSet;
use matraz_base::progress::Progress;
use matraz_store::{Location, Store};

use crate::cache::Object;
use crate::config::Section;
use crate::index::Index;
use crate::revisions::{self, Which};
use crate::source::fetch::Imported;
use crate::source::partial::is_partial;
use crate::stage::{Output, Source};
use crate::target::{self, TargetOptions};
use crate::view::View;
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

    /// The folder of the remote.
    pub(crate) fn root(&self) -> &Path {
        &self.root
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

/// What of an output is to travel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Parcel {
    /// The path of the output.
    pub path: PathBuf,
    /// Its content.
    pub object: Object,
    /// Only what is at or below this path inside it; empty for all.
    pub part: String,
}

impl Parcel {
    /// All of an output; `None` when nothing is recorded of it.
    pub fn whole(out: &Output) -> Option<Self> {
        let object = Object { digest: out.digest?, legacy: out.legacy };
        Some(Self { path: out.path.clone(), object, part: String::new() })
    }
}

/// What travels, by the remote that it goes to (`None`: the default or given one).
pub(crate) type Parcels = BTreeMap<Option<String>, IndexSet<Parcel>>;

/// What a transfer is about.
pub(crate) struct Request<'a> {
    pub targets: &'a [String],
    pub options: TargetOptions,
    /// The commits whose data travel besides those of the workspace.
    pub which: &'a Which,
    /// The remote that the user named.
    pub remote: Option<&'a str>,
    /// Data leave the project: outputs that must not be pushed stay.
    pub pushing: bool,
    /// A commit that cannot be read or lacks a target is an error instead of a warning.
    pub strict: bool,
    /// The folder that targets are relative to.
    pub cwd: &'a Path,
}

impl Request<'_> {
    /// What travels. A commit that cannot be read or lacks a target is left out with a warning; an error when that
    /// happens to all.
    fn parcels(
        &self,
        repo: &Repo,
        wanted: impl Fn(&Output) -> bool,
        progress: &dyn Progress,
    ) -> Result<Parcels> {
        Ok(self.parcels_and_imports(repo, wanted, progress)?.0)
    }

    /// What travels, and the data that were imported from other repositories: those travel by other ways.
    fn parcels_and_imports(
        &self,
        repo: &Repo,
        wanted: impl Fn(&Output) -> bool,
        progress: &dyn Progress,
    ) -> Result<(Parcels, Vec<Imported>)> {
        let mut parcels = Parcels::new();
        let mut imports = Vec::new();
        let mut failure = None;
        let mut found = false;
        for (name, view) in revisions::list(repo, self.which)? {
            match self.collect(&view, &wanted, &mut parcels, &mut imports) {
                Ok(()) => found = true,
                Err(error) if self.strict => return Err(error),
                Err(error) => {
                    if self.which.any() {
                        progress.warn(&format!("failed to collect '{name}', skipping: {error}"));
                    }
                    failure = Some(error);
                }
            }
        }
        match failure {
            Some(error) if !found => Err(error),
            _ => Ok((parcels, imports)),
        }
    }

    /// Adds what travels of one moment.
    fn collect(
        &self,
        view: &View<'_>,
        wanted: &impl Fn(&Output) -> bool,
        parcels: &mut Parcels,
        imports: &mut Vec<Imported>,
    ) -> Result<()> {
        let index = match view.is_workspace() {
            true => Index::load_for(view.repo, self.targets, self.options, self.cwd)?,
            false => Index::load_at(view)?,
        };
        for selection in target::select(view.repo, &index, self.targets, self.options, self.cwd)? {
            // Data of other repositories come from there and are not ours to push.
            let stage = &index.stages[selection.stage];
            if stage.is_import() && (matches!(stage.deps[0].source, Source::Repo(_)) || is_partial(stage)) {
                if selection.includes(&stage.outs[0]) && wanted(&stage.outs[0]) {
                    let part = selection.part(&stage.outs[0]);
                    imports.push(Imported { stage: stage.clone(), part });
                }
                continue;
            }
            for out in selection.outputs(&index).filter(|out| out.cache && wanted(out)) {
                let elsewhere = self.remote.is_some()
                    && out.remote.as_deref().is_some_and(|own| Some(own) != self.remote);
                if elsewhere || (self.pushing && !out.push) {
                    continue;
                }
                if let Some(whole) = Parcel::whole(out) {
                    let parcel = Parcel { part: selection.part(out), ..whole };
                    parcels.entry(out.remote.clone()).or_default().insert(parcel);
                }
            }
        }
        Ok(())
    }
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
    /// Files and listings in one row.
    fn all(&self) -> Vec<Object> {
        self.files.union(&self.folders).copied().collect()
    }

    /// What parcels consist of, as far as the cache has the listings of folders.
    fn of<'p>(
        cache: &mut crate::cache::Cache,
        parcels: impl IntoIterator<Item = &'p Parcel>,
    ) -> Result<Self> {
        let mut needed = Self::default();
        for Parcel { object, part, .. } in parcels {
            if !object.digest.is_dir() {
                needed.files.insert(*object);
                continue;
            }
            needed.folders.insert(*object);
            match cache.tree(object)? {
                None => {
                    needed.unknown.insert(*object);
                }
                Some(tree) => {
                    let members: BTreeSet<Object> =
                        tree.below(part).map(|entry| object.file_of(entry.digest)).collect();
                    needed.files.extend(&members);
                    needed.members.entry(*object).or_default().extend(members);
                }
            }
        }
        Ok(needed)
    }
}
