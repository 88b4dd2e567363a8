//! Other repositories as sources of data: `get`, `import`, `update`, `list`, `du`, and plain paths (`get-url`,
//! `import-url`, `list-url`).
//!
//! A [`Source`] is a repository at one moment: a folder of this machine as it is now, or a commit of a folder or of a
//! clone. Files that git has and data that DVC tracks form one [tree](tree); data are looked for in the work tree, the
//! caches and the remotes of the source ([`objects`]), and in the sources that it imported them from. Nothing is ever
//! written to a source.

pub mod artifact;
mod bring;
mod clone;
pub(crate) mod fetch;
pub mod get;
pub mod import;
pub mod import_url;
pub mod list;
mod objects;
pub mod partial;
mod tree;
pub mod update;
pub mod url;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::config::{Config, Section, SectionName, Setting};
use crate::git::{CommitFile, Git};
use crate::hash::tree::Tree;
use crate::ignore::Ignore;
use crate::index::Index;
use crate::repo::{DVC_DIR, DVCIGNORE};
use crate::stage::address::join;
use crate::view::View;
use crate::{Error, Places, Repo, Result};

pub use tree::Node;

/// The name of a remote that a request makes out of its options, in a repository without a default one.
const OWN_REMOTE: &str = "request";

/// Which repository is meant, and how its settings are changed for the occasion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// A folder, or an address that git can clone.
    pub url: String,
    /// The revision; the work tree of a folder, or the default branch of a clone, when none is given.
    pub rev: Option<String>,
    /// A file with settings that are put on top of the repository's own.
    pub config: Option<String>,
    /// Settings that are put on top of the repository's own.
    pub settings: IndexMap<SectionName, Section>,
    /// The remote that is its default.
    pub remote: Option<String>,
    /// Options of the default remote.
    pub remote_config: IndexMap<String, String>,
}

/// A repository at one moment.
pub struct Source {
    /// How the user named it.
    pub url: String,
    /// Paths are taken from here: the root of the project, or of the repository when it is none.
    root: PathBuf,
    git: Option<Arc<Git>>,
    /// The commit; none for the work tree.
    commit: Option<String>,
    files: OnceCell<BTreeMap<String, CommitFile>>,
    /// Projects by their root, as they are met.
    projects: RefCell<HashMap<PathBuf, Rc<Project>>>,
    /// Sources that this one imported from.
    others: RefCell<HashMap<String, Rc<Source>>>,
    request: Request,
    cwd: PathBuf,
    places: Places,
    /// A cache that is asked first: that of the project that imports.
    own_cache: Option<PathBuf>,
    /// How many repositories led here by imports.
    depth: usize,
    /// The temporary clone, removed when this is dropped.
    clone: Option<tempfile::TempDir>,
}

/// A project in a source.
struct Project {
    repo: Repo,
    index: Index,
    /// The cached outputs by their paths below the root, with the number of their stage and their own.
    outs: BTreeMap<String, (usize, usize)>,
    /// The listings of folders that were read, by the path of the output.
    listings: RefCell<HashMap<String, Rc<Tree>>>,
    /// Where objects may be, by the name of the remote of their output.
    places: RefCell<HashMap<Option<String>, objects::Places>>,
}

impl Source {
    /// Opens a repository. Relative paths are taken from `cwd`. The first place where data are looked for is
    /// `own_cache`.
    pub fn open(request: &Request, cwd: &Path, places: &Places, own_cache: Option<&Path>) -> Result<Self> {
        let path = join(cwd, &request.url);
        let mut clone = None;
        let (root, git) = match local(&path, request.rev.is_some())? {
            Some(found) => found,
            None => {
                let folder = clone.insert(clone::clone(&request.url, cwd)?);
                (folder.path().to_path_buf(), Git::discover(folder.path()))
            }
        };
        let commit = match (&request.rev, &git) {
            (None, _) if clone.is_none() => None,
            (rev, Some(git)) => Some(resolve(git, rev.as_deref())?),
            (_, None) => return Err(Error::NotInGit { root }),
        };
        Ok(Self {
            url: request.url.clone(),
            root,
            git: git.map(Arc::new),
            commit,
            files: OnceCell::new(),
            projects: RefCell::default(),
            others: RefCell::default(),
            request: request.clone(),
            cwd: cwd.to_path_buf(),
            places: places.clone(),
            own_cache: own_cache.map(Path::to_path_buf),
            depth: 0,
            clone,
        })
    }

    /// The commit from which files are read, or the last one of the work tree.
    pub fn commit(&self) -> Result<String> {
        let last = || self.git.as_ref().and_then(|git| git.head_commit());
        self.commit.clone().or_else(last).ok_or_else(|| Error::NotInGit { root: self.root.clone() })
    }

    /// Whether it was cloned from elsewhere.
    pub(crate) fn is_clone(&self) -> bool {
        self.clone.is_some()
    }

    /// How a path that a person in `cwd` gives is called here: from where the person stands inside a work tree, from
    /// the root otherwise.
    pub fn name_of(&self, path: &str, cwd: &Path) -> Result<String> {
        let base = match (&self.commit, cwd.strip_prefix(&self.root)) {
            (None, Ok(inside)) if !path.is_empty() => inside.to_string_lossy().into_owned(),
            _ => String::new(),
        };
        let mut names: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
        if path.starts_with('/') {
            names.clear();
        }
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." if names.pop().is_none() => return Err(self.no_such_path(path)),
                ".." => {}
                name => names.push(name),
            }
        }
        Ok(names.join("/"))
    }

    /// How a path that a file records is called here.
    fn name_from_root(&self, path: &str) -> Result<String> {
        self.name_of(path, Path::new(""))
    }

    fn no_such_path(&self, path: &str) -> Error {
        Error::NoSuchPath { path: path.to_owned(), source_url: self.url.clone() }
    }

    /// The files of the commit, by their paths below the root of the work tree of git.
    fn files(&self) -> Result<&BTreeMap<String, CommitFile>> {
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        let files = match (&self.git, &self.commit) {
            (Some(git), Some(commit)) => git.tree_at(commit)?,
            _ => BTreeMap::new(),
        };
        Ok(self.files.get_or_init(|| files))
    }

    /// The text of a file, by its absolute path; `None` when there is none.
    fn text(&self, path: &Path) -> Result<Option<String>> {
        let bytes = match (&self.git, &self.commit) {
            (Some(git), Some(commit)) => git.read_at(commit, path)?,
            _ => return matraz_base::file::read_if_present(path).map_err(Error::io("read", path)),
        };
        let Some(bytes) = bytes else { return Ok(None) };
        String::from_utf8(bytes).map(Some).map_err(|_| Error::NotText { path: path.to_path_buf() })
    }

    /// The path of something below the root as git has it.
    fn in_git(&self, path: &str) -> String {
        let top = self.git.as_ref().map_or(self.root.as_path(), |git| git.root());
        let prefix = self.root.strip_prefix(top).map(|inside| inside.to_string_lossy().into_owned());
        match prefix.as_deref() {
            Ok("") | Err(_) => path.to_owned(),
            Ok(prefix) if path.is_empty() => prefix.to_owned(),
            Ok(prefix) => format!("{prefix}/{path}"),
        }
    }

    /// The project that holds a path, and the path below the root of the project.
    fn project(&self, path: &str) -> Result<Option<(Rc<Project>, String)>> {
        let mut folder = path;
        loop {
            if self.is_project(folder)? {
                let rest = path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/').to_owned();
                return Ok(Some((self.open_project(folder)?, rest)));
            }
            if folder.is_empty() {
                return Ok(None);
            }
            folder = folder.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
    }

    /// Whether a folder below the root is the root of a project.
    fn is_project(&self, folder: &str) -> Result<bool> {
        if self.commit.is_none() {
            return Ok(self.root.join(folder).join(DVC_DIR).is_dir());
        }
        let folder = self.in_git(folder);
        let inside = if folder.is_empty() { format!("{DVC_DIR}/") } else { format!("{folder}/{DVC_DIR}/") };
        let mut following = self.files()?.range(inside.clone()..);
        Ok(following.next().is_some_and(|(path, _)| path.starts_with(&inside)))
    }

    fn open_project(&self, folder: &str) -> Result<Rc<Project>> {
        let root = self.root.join(folder);
        if let Some(known) = self.projects.borrow().get(&root) {
            return Ok(Rc::clone(known));
        }
        let project = Rc::new(self.load_project(&root)?);
        self.projects.borrow_mut().insert(root, Rc::clone(&project));
        Ok(project)
    }

    fn load_project(&self, root: &Path) -> Result<Project> {
        let dvc_dir = root.join(DVC_DIR);
        let (mut config, ignore) = match (&self.git, &self.commit) {
            (Some(git), Some(commit)) => {
                let bytes = git.read_at(commit, &dvc_dir.join("config"))?;
                let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                let config = Config::of_commit(&dvc_dir, text.as_deref(), &self.places)?;
                (config, Ignore::committed(root, self.ignore_files(git)?))
            }
            _ => (Config::read(Some(&dvc_dir), &self.places)?, Ignore::new(root)),
        };
        self.change_settings(&mut config)?;
        let git = self.git.as_ref().and_then(|git| Git::discover(git.root()));
        let repo = Repo::foreign(root.to_path_buf(), git, config, &self.places, ignore);
        let view = match &self.commit {
            Some(commit) => View::at(&repo, commit)?,
            None => View::workspace(&repo),
        };
        let index = Index::load_at(&view)?;
        let mut outs = BTreeMap::new();
        for (number, stage) in index.stages.iter().enumerate() {
            for (at, out) in stage.outs.iter().enumerate() {
                if let (true, Ok(inside)) = (out.cache, out.path.strip_prefix(root)) {
                    outs.insert(inside.to_string_lossy().into_owned(), (number, at));
                }
            }
        }
        Ok(Project { repo, index, outs, listings: RefCell::default(), places: RefCell::default() })
    }

    /// The `.dvcignore` files of the commit by absolute path.
    fn ignore_files(&self, git: &Git) -> Result<HashMap<PathBuf, String>> {
        let mut texts = HashMap::new();
        for (path, file) in self.files()? {
            if path == DVCIGNORE || path.ends_with(&format!("/{DVCIGNORE}")) {
                let text = String::from_utf8_lossy(&git.content(file)?).into_owned();
                texts.insert(git.root().join(path), text);
            }
        }
        Ok(texts)
    }

    /// Puts the settings of the request on top of those of a project.
    fn change_settings(&self, config: &mut Config) -> Result<()> {
        let request = &self.request;
        if let Some(file) = &request.config {
            config.overlay(&self.with_absolute_paths(Config::read_file(&join(&self.cwd, file))?));
        }
        config.overlay(&self.with_absolute_paths(request.settings.clone()));
        let text = |text: &str| Setting::Text(text.to_owned());
        if let Some(remote) = &request.remote {
            let core = Section::from_iter([("remote".to_owned(), text(remote))]);
            config.overlay(&IndexMap::from_iter([(SectionName::plain("core"), core)]));
        }
        if !request.remote_config.is_empty() {
            let name = match config.default_remote() {
                Some(name) => name,
                // With an address, the options are a remote of their own.
                None if request.remote_config.contains_key("url") => {
                    let core = Section::from_iter([("remote".to_owned(), text(OWN_REMOTE))]);
                    config.overlay(&IndexMap::from_iter([(SectionName::plain("core"), core)]));
                    OWN_REMOTE.to_owned()
                }
                None => {
                    let known = config.remotes().map(|(name, _)| name.to_owned()).collect();
                    return Err(Error::NoRemote { known });
                }
            };
            let options =
                request.remote_config.iter().map(|(key, value)| (key.clone(), text(value))).collect();
            let changed = IndexMap::from_iter([(SectionName::remote(&name), options)]);
            config.overlay(&self.with_absolute_paths(changed));
        }
        if let Some(name) = request.remote.as_ref().filter(|name| config.remote(name).is_none()) {
            return Err(Error::NoSuchRemote { name: name.clone() });
        }
        config.validate()
    }

    fn with_absolute_paths(
        &self,
        mut sections: IndexMap<SectionName, Section>,
    ) -> IndexMap<SectionName, Section> {
        for (name, section) in &mut sections {
            let key = if name.kind == "cache" { "dir" } else { "url" };
            if let Some(Setting::Text(path)) = section.get_mut(key)
                && !path.contains("://")
            {
                *path = join(&self.cwd, path).to_string_lossy().into_owned();
            }
        }
        sections
    }
}

/// The root of the project or repository that a folder of this machine is, and its git. `None` when there is no such
/// folder, or when git keeps no work tree there.
fn local(path: &Path, with_git: bool) -> Result<Option<(PathBuf, Option<Git>)>> {
    if !path.is_dir() {
        return Ok(None);
    }
    let git = Git::discover(path);
    if let Ok(root) = Repo::find_root(path) {
        let git = git.filter(|git| root.starts_with(git.root()));
        return Ok(Some((root, git)));
    }
    if git.is_none() && Git::is_bare(path) {
        return Ok(None);
    }
    let root = match &git {
        Some(git) if with_git => git.root().to_path_buf(),
        _ => path.to_path_buf(),
    };
    Ok(Some((root, git)))
}

/// The commit that a revision means: a local name first, then a branch of the repository that was cloned.
fn resolve(git: &Git, revision: Option<&str>) -> Result<String> {
    let Some(revision) = revision else {
        return git.head_commit().ok_or(Error::NoSuchRevision { revision: "HEAD".to_owned() });
    };
    git.resolve(revision)
        .or_else(|| git.resolve(&format!("refs/remotes/origin/{revision}")))
        .ok_or_else(|| Error::NoSuchRevision { revision: revision.to_owned() })
}
