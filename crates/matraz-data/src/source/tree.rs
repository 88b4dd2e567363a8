//! What is in a source: the files that git or the work tree has, and the data that DVC tracks, as one tree.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::Source;
use crate::cache::{Object, absent};
use crate::git::CommitFile;
use crate::hash::digest::Digest;
use crate::index::is_project_file;
use crate::repo::{DVC_DIR, DVCIGNORE};
use crate::{Error, Result};

/// A file or folder of a source.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Bytes; of an absent folder of data, those of all its files. None when nobody knows.
    pub size: Option<u64>,
    /// Whether the owner may execute the file.
    pub executable: bool,
    /// Whether it is data, or lies in a folder of data.
    pub is_out: bool,
    /// The recorded digest of data.
    pub digest: Option<Digest>,
    /// The files of git or of the work tree have it.
    pub in_files: bool,
    /// DVC tracks it, or something below it.
    pub in_data: bool,
    /// Where the bytes of a file are.
    pub(super) origin: Origin,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug, Default)]
pub(super) enum Origin {
    /// It is a folder.
    #[default]
    Nowhere,
    /// A file of the work tree.
    WorkTree(PathBuf),
    /// A file of the commit.
    Commit(CommitFile),
    /// An object of a cache or remote.
    Object(Object),
}

impl Node {
    /// Lays what is on disk or in the commit over what DVC knows.
    fn over(self, data: Option<Node>) -> Node {
        match data {
            None => self,
            Some(data) => Node {
                is_out: data.is_out,
                digest: data.digest.filter(|_| data.is_dir == self.is_dir),
                in_data: true,
                ..self
            },
        }
    }
}

/// How a folder of a source is listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listing {
    /// Leave out what DVC does not track.
    pub data_only: bool,
    /// `.dvc` files, `dvc.yaml` and `.dvcignore` too.
    pub project_files: bool,
}

impl Source {
    /// What is at a path below the root; `None` when nothing is.
    pub fn node(&self, path: &str) -> Result<Option<Node>> {
        let data = self.data_node(path)?;
        match self.file_node(path)? {
            Some(file) => Ok(Some(file.over(data))),
            // Where a file stands in the way there is no folder of data.
            None if data.is_some() && self.is_below_a_file(path)? => Ok(None),
            None => Ok(data),
        }
    }

    /// Like [`Source::node`]; it is an error when nothing is there.
    pub fn existing(&self, path: &str) -> Result<Node> {
        self.node(path)?.ok_or_else(|| self.no_such_path(path))
    }

    /// The names in a folder, sorted.
    pub fn children(&self, folder: &str, listing: Listing) -> Result<BTreeMap<String, Node>> {
        let mut nodes = self.data_children(folder)?;
        if !listing.data_only {
            for (name, file) in self.file_children(folder)? {
                let data = nodes.remove(&name);
                nodes.insert(name, file.over(data));
            }
        }
        if !listing.project_files {
            nodes.retain(|name, _| !is_project_file(name.as_ref()) && name != DVCIGNORE);
        }
        Ok(nodes)
    }

    /// All folders and files below a folder (itself left out), each folder before what is in it.
    pub fn walk(&self, folder: &str, listing: Listing) -> Result<Vec<(String, Node)>> {
        let mut found = Vec::new();
        let mut pending = vec![String::new()];
        while let Some(at) = pending.pop() {
            for (name, node) in self.children(&below(folder, &at), listing)? {
                let path = below(&at, &name);
                if node.is_dir {
                    pending.push(path.clone());
                }
                found.push((path, node));
            }
        }
        Ok(found)
    }

    fn is_below_a_file(&self, path: &str) -> Result<bool> {
        let mut folder = path;
        while let Some((parent, _)) = folder.rsplit_once('/') {
            if self.file_node(parent)?.is_some_and(|node| !node.is_dir) {
                return Ok(true);
            }
            folder = parent;
        }
        Ok(false)
    }

    /// What the work tree or the commit has at a path.
    fn file_node(&self, path: &str) -> Result<Option<Node>> {
        if self.is_hidden(path)? {
            return Ok(None);
        }
        if self.commit.is_none() {
            return self.on_disk(path);
        }
        let inside = self.in_git(path);
        if let Some(file) = self.files()?.get(&inside) {
            return Ok(Some(self.in_commit(file)?));
        }
        let is_folder = inside.is_empty() || {
            let prefix = format!("{inside}/");
            let mut following = self.files()?.range(prefix.clone()..);
            following.next().is_some_and(|(found, _)| found.starts_with(&prefix))
        };
        Ok(is_folder.then(|| Node { is_dir: true, size: Some(0), in_files: true, ..Node::default() }))
    }

    fn in_commit(&self, file: &CommitFile) -> Result<Node> {
        let size = match &self.git {
            Some(git) => git.size_of(file)?,
            None => 0,
        };
        Ok(Node {
            size: Some(size),
            executable: file.executable,
            in_files: true,
            origin: Origin::Commit(*file),
            ..Node::default()
        })
    }

    fn on_disk(&self, path: &str) -> Result<Option<Node>> {
        let full = self.root.join(path);
        let meta = match fs::metadata(&full) {
            Ok(meta) => meta,
            Err(error) if absent(&error) => return Ok(None),
            Err(error) => return Err(Error::io("look at", full)(error)),
        };
        let is_dir = meta.is_dir();
        Ok(Some(Node {
            is_dir,
            size: Some(meta.len()),
            executable: !is_dir && meta.permissions().mode() & 0o100 != 0,
            in_files: true,
            origin: if is_dir { Origin::Nowhere } else { Origin::WorkTree(full) },
            ..Node::default()
        }))
    }

    /// Whether a path is that of git's or DVC's own folders, or hidden by `.dvcignore`.
    fn is_hidden(&self, path: &str) -> Result<bool> {
        if path.split('/').any(|part| part == ".git" || part == DVC_DIR || part == ".hg") {
            return Ok(true);
        }
        match self.project(path)? {
            Some((project, _)) => {
                let full = self.root.join(path);
                project.repo.ignore().is_ignored(&full, self.commit.is_none() && full.is_dir())
            }
            None => Ok(false),
        }
    }

    fn file_children(&self, folder: &str) -> Result<BTreeMap<String, Node>> {
        let mut names: Vec<String> = Vec::new();
        if self.commit.is_none() {
            let full = self.root.join(folder);
            let entries = match fs::read_dir(&full) {
                Ok(entries) => entries,
                Err(error) if absent(&error) => return Ok(BTreeMap::new()),
                Err(error) => return Err(Error::io("read", full)(error)),
            };
            for entry in entries {
                let entry = entry.map_err(Error::io("read", &full))?;
                let name = entry.file_name();
                let name = name.to_str().ok_or_else(|| Error::NotUnicode { path: entry.path() })?;
                names.push(name.to_owned());
            }
        } else {
            let inside = self.in_git(folder);
            let prefix = if inside.is_empty() { String::new() } else { format!("{inside}/") };
            let following = self.files()?.range(prefix.clone()..);
            for (path, _) in following.take_while(|(path, _)| path.starts_with(&prefix)) {
                let name = path[prefix.len()..].split('/').next().unwrap_or_default();
                if names.last().is_none_or(|last| last != name) {
                    names.push(name.to_owned());
                }
            }
        }
        let mut nodes = BTreeMap::new();
        for name in names {
            let path = below(folder, &name);
            // Projects inside a project are seen by their own path alone.
            if let Some(mut node) = self.file_node(&path)?
                && !(node.is_dir && self.is_project(&path)?)
            {
                // In a listing DVC does not look through links for this.
                node.executable &= self.commit.is_some() || !self.root.join(&path).is_symlink();
                nodes.insert(name, node);
            }
        }
        Ok(nodes)
    }

    /// What DVC tracks at a path: data, a part of data, or a folder with data below it.
    fn data_node(&self, path: &str) -> Result<Option<Node>> {
        let Some((project, inside)) = self.project(path)? else { return Ok(None) };
        if let Some((name, out)) = project.holding(&inside) {
            let Some(digest) = out.digest else { return Ok(None) };
            let rest = inside[name.len()..].trim_start_matches('/');
            let object = Object { digest, legacy: out.legacy };
            if rest.is_empty() {
                let origin = if digest.is_dir() { Origin::Nowhere } else { Origin::Object(object) };
                return Ok(Some(Node {
                    is_dir: digest.is_dir(),
                    size: out.meta.size,
                    is_out: true,
                    digest: Some(digest),
                    in_data: true,
                    origin,
                    ..Node::default()
                }));
            }
            if !digest.is_dir() {
                return Ok(None);
            }
            let tree = self.listing(&project, &name)?;
            return Ok(match tree.get(rest) {
                Some(digest) => Some(part_of_data(object.file_of(*digest))),
                None => tree.below(rest).next().map(|_| folder_of_data(true)),
            });
        }
        let prefix = if inside.is_empty() { String::new() } else { format!("{inside}/") };
        let mut following = project.outs.range(prefix.clone()..);
        let holds = following.next().is_some_and(|(name, _)| name.starts_with(&prefix));
        Ok((holds || inside.is_empty()).then(|| folder_of_data(false)))
    }

    fn data_children(&self, folder: &str) -> Result<BTreeMap<String, Node>> {
        let mut nodes = BTreeMap::new();
        let Some((project, inside)) = self.project(folder)? else { return Ok(nodes) };
        if let Some((name, out)) = project.holding(&inside) {
            let Some(digest) = out.digest.filter(Digest::is_dir) else { return Ok(nodes) };
            let object = Object { digest, legacy: out.legacy };
            let rest = inside[name.len()..].trim_start_matches('/');
            // A folder that has become a file holds nothing.
            if self.file_node(folder)?.is_some_and(|node| !node.is_dir) {
                return Ok(nodes);
            }
            let tree = self.listing(&project, &name)?;
            for entry in tree.below(rest) {
                let Some(inner) = entry.path.strip_prefix(rest) else { continue };
                let inner = inner.trim_start_matches('/');
                match inner.split_once('/') {
                    Some((first, _)) => {
                        nodes.entry(first.to_owned()).or_insert_with(|| folder_of_data(true));
                    }
                    None => {
                        nodes.insert(inner.to_owned(), part_of_data(object.file_of(entry.digest)));
                    }
                }
            }
            return Ok(nodes);
        }
        let prefix = if inside.is_empty() { String::new() } else { format!("{inside}/") };
        let following = project.outs.range(prefix.clone()..);
        for (name, _) in following.take_while(|(name, _)| name.starts_with(&prefix)) {
            let first = name[prefix.len()..].split('/').next().unwrap_or_default();
            if !nodes.contains_key(first)
                && let Some(node) = self.data_node(&below(folder, first))?
            {
                nodes.insert(first.to_owned(), node);
            }
        }
        Ok(nodes)
    }
}

fn part_of_data(object: Object) -> Node {
    Node {
        is_out: true,
        digest: Some(object.digest),
        in_data: true,
        origin: Origin::Object(object),
        ..Node::default()
    }
}

fn folder_of_data(is_out: bool) -> Node {
    Node { is_dir: true, is_out, in_data: true, ..Node::default() }
}

/// A name in a folder, as a path; the root is the empty path.
pub(super) fn below(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}
