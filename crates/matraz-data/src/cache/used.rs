//! Which objects a project uses, now and at commits.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use super::{Cache, Object};
use crate::index::Index;
use crate::remote::{Remote, fetch};
use crate::revisions::{self, Which};
use crate::stage::{Source, Stage};
use crate::view::View;
use crate::{Error, Repo, Result};

/// How use is looked for.
pub struct Search<'a> {
    /// The commits that count besides the workspace.
    pub which: &'a Which,
    /// The remote that may have listings that the cache lacks; the default one when none is given.
    pub remote: Option<&'a str>,
    /// Leave out commits that cannot be read. The workspace is never left out.
    pub skip_failed: bool,
    /// Whether to go on when the files of a folder are unknown, since nobody has its listing.
    pub accept_unknown: &'a dyn Fn(&Path) -> bool,
}

/// The objects in use, by the remote that they go to (`None`: the default one).
pub type Used = BTreeMap<Option<String>, HashSet<Object>>;

/// What a commit or the workspace uses an object for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The name of the commit; `workspace` for what is not committed.
    pub revision: String,
    /// The address of the stage or the `.dvc` file, relative to the root of the project.
    pub stage: String,
    /// The file in the workspace, relative to the root of the project.
    pub path: PathBuf,
}

/// Collects the objects that a project uses. Data that were imported from another repository do not count: they come
/// from there again.
pub fn objects(
    repo: &Repo,
    search: &Search<'_>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Used> {
    let mut used = Used::new();
    let mut cache = Cache::open(repo);
    let mut folders: HashMap<Object, bool> = HashMap::new();
    let mut seen = HashSet::new();
    for (name, view) in revisions::list(repo, search.which)? {
        if interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        // Most commits leave the files that define stages alone.
        if view.fingerprint()?.is_some_and(|fingerprint| !seen.insert(fingerprint)) {
            continue;
        }
        let index = match Index::load_at(&view) {
            Ok(index) => index,
            Err(error) if search.skip_failed && !view.is_workspace() => {
                progress.warn(&format!("failed to collect '{name}', skipping: {error}"));
                continue;
            }
            Err(error) => return Err(Error::CollectFailed { revision: name, source: Box::new(error) }),
        };
        for stage in index.stages.iter().filter(|stage| !is_imported(stage)) {
            for out in stage.outs.iter().filter(|out| out.cache) {
                let Some(digest) = out.digest else {
                    if view.is_workspace() {
                        progress.warn(&format!(
                            "output '{}' of '{}' has no recorded content; its data in the cache are not kept",
                            repo.key(&out.path),
                            stage.address.display(&repo.root)
                        ));
                    }
                    continue;
                };
                let object = Object { digest, legacy: out.legacy };
                let mine = used.entry(out.remote.clone()).or_default();
                if !digest.is_dir() {
                    mine.insert(object);
                    continue;
                }
                if let Some(known) = folders.get(&object)
                    && (!known || mine.contains(&object))
                {
                    continue;
                }
                let remote = out.remote.as_deref().or(search.remote);
                let listing = match cache.tree(&object)? {
                    None => {
                        fetch_listing(repo, &mut cache, remote, &object, progress, interrupt)?;
                        cache.tree(&object)?
                    }
                    listing => listing,
                };
                folders.insert(object, listing.is_some());
                match listing {
                    Some(tree) => {
                        mine.extend(tree.entries().iter().map(|entry| object.file_of(entry.digest)));
                        mine.insert(object);
                    }
                    None if (search.accept_unknown)(&out.path) => progress.warn(&format!(
                        "nobody has the listing of '{}' ({name}): its files are not known and count as unused",
                        repo.key(&out.path)
                    )),
                    None => return Err(Error::UnknownFolder { folder: out.path.clone(), revision: name }),
                }
            }
        }
    }
    Ok(used)
}

/// Looks for the newest use of objects, in the workspace and all commits.
pub fn owners(
    repo: &Repo,
    objects: &HashSet<Object>,
    interrupt: &Interrupt,
) -> Result<HashMap<Object, Owner>> {
    let mut found: HashMap<Object, Owner> = HashMap::new();
    let everywhere = Which { commits: true, experiments: true, ..Which::default() };
    let everywhere = if repo.git.is_some() { everywhere } else { Which::default() };
    let mut cache = Cache::open(repo);
    let mut folders = HashSet::new();
    let mut seen = HashSet::new();
    for (name, view) in revisions::list(repo, &everywhere)? {
        if found.len() == objects.len() {
            break;
        }
        if interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        if view.fingerprint()?.is_some_and(|fingerprint| !seen.insert(fingerprint)) {
            continue;
        }
        let Ok(index) = Index::load_at(&view) else { continue };
        for stage in &index.stages {
            for out in stage.outs.iter().filter(|out| out.cache) {
                let Some(digest) = out.digest else { continue };
                let object = Object { digest, legacy: out.legacy };
                let mut note = |object: Object, path: &Path| {
                    if objects.contains(&object) {
                        found.entry(object).or_insert_with(|| Owner {
                            revision: name.clone(),
                            stage: stage.address.display(&repo.root),
                            path: PathBuf::from(repo.key(path)),
                        });
                    }
                };
                note(object, &out.path);
                if digest.is_dir()
                    && folders.insert(object)
                    && let Some(tree) = cache.tree(&object)?
                {
                    for entry in tree.entries() {
                        note(object.file_of(entry.digest), &out.path.join(&entry.path));
                    }
                }
            }
        }
    }
    Ok(found)
}

fn is_imported(stage: &Stage) -> bool {
    stage.deps.iter().any(|dep| matches!(dep.source, Source::Repo(_)))
}

/// Gets the listing of a folder from its remote, if there is one that has it.
pub(crate) fn fetch_listing(
    repo: &Repo,
    cache: &mut Cache,
    remote: Option<&str>,
    object: &Object,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let remote = match Remote::find(repo, remote) {
        Ok(remote) => remote,
        Err(Error::NoRemote { .. } | Error::NotYet { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut report = fetch::Report::default();
    fetch::copy_down(repo, cache, &remote, &[*object].into(), &mut report, progress, interrupt)
}

impl View<'_> {
    /// A name for the content of all files that may define stages, the same for commits in which these are the same;
    /// `None` for the workspace.
    fn fingerprint(&self) -> Result<Option<[u8; 16]>> {
        const KINDS: [&str; 9] =
            [".dvc", ".yaml", ".yml", ".lock", ".json", ".toml", ".py", ".dvcignore", ".dvc/config"];
        let Some(files) = self.committed_files()? else { return Ok(None) };
        let mut text = String::new();
        for (path, content) in files {
            let path = path.to_string_lossy();
            if KINDS.iter().any(|kind| path.ends_with(kind)) {
                text.push_str(&format!("{content} {path}\0"));
            }
        }
        Ok(Some(crate::hash::md5::of_bytes(text.as_bytes())))
    }
}
