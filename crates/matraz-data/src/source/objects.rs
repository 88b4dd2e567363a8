//! Where a source keeps its data: its caches, its remotes, and the sources that it imported them from.

use std::io::Read;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use matraz_base::Value;
use matraz_store::{Location, Store};

use super::{Project, Request, Source};
use crate::cache::Object;
use crate::config::Setting;
use crate::hash::md5;
use crate::hash::tree::Tree;
use crate::remote::Remote;
use crate::stage::{self, Dependency, Output, Stage};
use crate::{Error, Result};

/// A cache or remote of this machine.
pub(super) struct Place {
    /// Its folder.
    pub root: PathBuf,
    /// The folder as a store.
    pub store: Store,
}

/// The places that may have the objects of an output.
#[derive(Clone)]
pub(super) struct Places {
    /// Those that can be looked at.
    pub found: Arc<Vec<Place>>,
    /// The name of the remote, when the output has one of its own.
    remote: Option<String>,
}

impl Places {
    /// Why the remote is not among the places; `None` when it is, or when there is none.
    pub fn trouble(&self, project: &Project) -> Option<Error> {
        Remote::find(&project.repo, self.remote.as_deref())
            .err()
            .filter(|error| !matches!(error, Error::NoRemote { .. }))
    }
}

/// How many repositories may lead to one another by imports.
const DEEPEST: usize = 16;

impl Project {
    /// The cached output that is at a path below the root of the project or holds it, by its own path.
    pub(super) fn holding(&self, path: &str) -> Option<(String, &Output)> {
        let mut at = path;
        loop {
            if let Some(&(stage, out)) = self.outs.get(at) {
                return Some((at.to_owned(), &self.index.stages[stage].outs[out]));
            }
            at = at.rsplit_once('/')?.0;
        }
    }

    fn stage_of(&self, out: &str) -> Option<&Stage> {
        self.outs.get(out).map(|&(stage, _)| &self.index.stages[stage])
    }
}

impl Source {
    /// The places that may have the objects of an output, those of this machine first.
    pub(super) fn places(&self, project: &Project, out: &str) -> Places {
        let remote = project.holding(out).and_then(|(_, out)| out.remote.clone());
        if let Some(known) = project.places.borrow().get(&remote) {
            return known.clone();
        }
        let mut roots: Vec<PathBuf> = self.own_cache.iter().cloned().collect();
        roots.push(project.repo.cache_dir());
        if let Ok(found) = Remote::find(&project.repo, remote.as_deref()) {
            roots.push(found.root().to_path_buf());
        }
        let place = |root: PathBuf| Place { store: Store::open(&Location::Local(root.clone())), root };
        let places =
            Places { found: Arc::new(roots.into_iter().map(place).collect()), remote: remote.clone() };
        project.places.borrow_mut().insert(remote, places.clone());
        places
    }

    /// The listing of an output that is a folder.
    pub(super) fn listing(&self, project: &Rc<Project>, out: &str) -> Result<Rc<Tree>> {
        if let Some(known) = project.listings.borrow().get(out) {
            return Ok(Rc::clone(known));
        }
        let tree = Rc::new(self.find_listing(project, out)?);
        project.listings.borrow_mut().insert(out.to_owned(), Rc::clone(&tree));
        Ok(tree)
    }

    fn find_listing(&self, project: &Project, out: &str) -> Result<Tree> {
        let missing = |path| Error::MissingTree { folder: project.repo.root.join(out), path };
        let Some((_, output)) = project.holding(out) else { return Err(missing(PathBuf::new())) };
        let Some(digest) = output.digest else { return Err(missing(PathBuf::new())) };
        let object = Object { digest, legacy: output.legacy };
        let key = object.key();
        let places = self.places(project, out);
        for place in places.found.iter() {
            if !place.store.exists(&key)? {
                continue;
            }
            let mut bytes = Vec::new();
            let (mut reader, _) = place.store.read(&key)?;
            let path = place.root.join(&key);
            reader.read_to_end(&mut bytes).map_err(Error::io("read", &path))?;
            if md5::of_bytes(&bytes) == *digest.bytes() {
                return Tree::parse(&bytes)
                    .map_err(|error| Error::BadTree { path, reason: error.to_string() });
            }
        }
        if let Some((other, path)) = self.origin_of(project, out)? {
            return other.tree_of(&path);
        }
        let place = places.found.last().map(|place| place.root.join(&key)).unwrap_or_default();
        Err(places.trouble(project).unwrap_or_else(|| missing(place)))
    }

    /// The source from which an output was imported, and the path there.
    pub(super) fn origin_of(&self, project: &Project, out: &str) -> Result<Option<(Rc<Source>, String)>> {
        let Some(stage) = project.stage_of(out).filter(|stage| stage.is_import()) else { return Ok(None) };
        let dependency = &stage.deps[0];
        let Some(request) = request_of(dependency) else { return Ok(None) };
        let key = format!("{request:?}");
        if let Some(known) = self.others.borrow().get(&key) {
            let path = known.name_from_root(&dependency.def_path)?;
            return Ok(Some((Rc::clone(known), path)));
        }
        if self.depth >= DEEPEST {
            return Err(Error::TooManyImports { url: request.url });
        }
        let mut other = open_recorded(&request, stage, &self.cwd, &self.places, self.own_cache.clone())?;
        other.depth = self.depth + 1;
        let other = Rc::new(other);
        self.others.borrow_mut().insert(key, Rc::clone(&other));
        let path = other.name_from_root(&dependency.def_path)?;
        Ok(Some((other, path)))
    }
}

/// What a recorded dependency on another repository asks for: the commit that it is locked to, else its revision.
/// `None` for other dependencies.
pub(crate) fn request_of(dependency: &Dependency) -> Option<Request> {
    let stage::Source::Repo(Value::Map(map)) = &dependency.source else { return None };
    let text = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut request = Request {
        url: text("url").unwrap_or_default(),
        rev: text("rev_lock").or_else(|| text("rev")),
        ..Request::default()
    };
    match map.get("config") {
        Some(Value::Str(file)) => request.config = Some(file.clone()),
        Some(Value::Map(sections)) => request.settings = settings_of(sections),
        _ => {}
    }
    match map.get("remote") {
        Some(Value::Str(name)) => request.remote = Some(name.clone()),
        Some(Value::Map(options)) => {
            request.remote_config =
                options.iter().map(|(key, value)| (key.clone(), value.to_string())).collect();
        }
        _ => {}
    }
    Some(request)
}

/// Settings as an import records them: sections, and remotes by their names in one of them.
fn settings_of(sections: &matraz_base::Map) -> IndexMap<crate::config::SectionName, crate::config::Section> {
    use crate::config::{Section, SectionName};
    let options = |map: &matraz_base::Map| -> Section {
        let text = |value: &Value| match value {
            Value::List(items) => Setting::List(items.iter().map(ToString::to_string).collect()),
            other => Setting::Text(other.to_string()),
        };
        map.iter().map(|(key, value)| (key.to_lowercase(), text(value))).collect()
    };
    let mut found = IndexMap::new();
    for (kind, value) in sections {
        let Value::Map(inner) = value else { continue };
        if kind == "remote" {
            for (name, value) in inner {
                if let Value::Map(inner) = value {
                    found.insert(SectionName::remote(name), options(inner));
                }
            }
        } else {
            found.insert(SectionName::plain(kind), options(inner));
        }
    }
    found
}

/// Opens what an import of a stage recorded. Relative addresses are taken from the current folder, as DVC does, or else
/// from where the `.dvc` file is.
pub(crate) fn open_recorded(
    request: &Request,
    stage: &Stage,
    cwd: &std::path::Path,
    places: &crate::Places,
    own_cache: Option<PathBuf>,
) -> Result<Source> {
    let from_here = cwd.join(&request.url).exists() || request.url.contains(':');
    let base = if from_here { cwd } else { stage.address.folder() };
    Source::open(request, base, places, own_cache.as_deref())
}
