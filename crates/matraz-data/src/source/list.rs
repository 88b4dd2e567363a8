//! `list` and `du`: what a repository holds, and how much.

use std::path::Path;

use super::tree::{Listing, Node, below};
use super::{Request, Source};
use crate::{Places, Result};

/// What is listed.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// The repository.
    pub request: Request,
    /// A file or folder there; its root when none is given.
    pub path: Option<String>,
    /// What is in its folders, too.
    pub recursive: bool,
    /// Leave out what DVC does not track.
    pub data_only: bool,
    /// How many folders deep.
    pub level: Option<usize>,
}

/// A file or folder, by the name under which it is shown.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Relative to what was asked for.
    pub path: String,
    /// What it is.
    pub node: Node,
    /// What is in it, when it was looked into.
    pub contents: Vec<Entry>,
}

/// Lists files and folders by path.
pub fn list(list: &List, cwd: &Path, places: &Places) -> Result<Vec<Entry>> {
    let source = Source::open(&list.request, cwd, places, None)?;
    let asked = list.path.clone().unwrap_or_default();
    let path = source.name_of(&asked, cwd)?;
    let listing = Listing { data_only: list.data_only, project_files: true };
    let top = source.existing(&path)?;
    let level = list.level.filter(|_| list.recursive);
    if !top.is_dir || level == Some(0) {
        let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(".");
        return Ok(vec![Entry { path: name.to_owned(), node: top, contents: Vec::new() }]);
    }
    // Without a path, names are shown as a person inside the work tree writes them.
    let prefix = if asked.is_empty() { source.way_to_root(cwd) } else { String::new() };
    let deepest = if list.recursive { level } else { Some(1) };
    let mut entries = Vec::new();
    let mut pending = vec![(String::new(), 1)];
    while let Some((folder, depth)) = pending.pop() {
        for (name, node) in source.children(&below(&path, &folder), listing)? {
            let inside = below(&folder, &name);
            if node.is_dir && deepest != Some(depth) {
                pending.push((inside, depth + 1));
            } else {
                entries.push(Entry { path: format!("{prefix}{inside}"), node, contents: Vec::new() });
            }
        }
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// Lists files and folders in one another; the first is what was asked for.
pub fn tree(list: &List, cwd: &Path, places: &Places) -> Result<Entry> {
    let source = Source::open(&list.request, cwd, places, None)?;
    let asked = list.path.clone().unwrap_or_default();
    let path = source.name_of(&asked, cwd)?;
    let node = source.existing(&path)?;
    let name = if asked.is_empty() { ".".to_owned() } else { asked };
    branch(&source, list, name, &path, node, list.level)
}

fn branch(
    source: &Source,
    list: &List,
    name: String,
    path: &str,
    node: Node,
    level: Option<usize>,
) -> Result<Entry> {
    let mut entry = Entry { path: name, node, contents: Vec::new() };
    if !entry.node.is_dir || level == Some(0) {
        return Ok(entry);
    }
    let listing = Listing { data_only: list.data_only, project_files: true };
    for (name, node) in source.children(path, listing)? {
        let inside = below(path, &name);
        entry.contents.push(branch(source, list, name, &inside, node, level.map(|level| level - 1))?);
    }
    Ok(entry)
}

/// How many bytes what is asked for takes: by path, the whole last. Only the whole when `summarize` is set or it is a
/// file.
pub fn usage(
    request: &Request,
    path: Option<&str>,
    summarize: bool,
    cwd: &Path,
    places: &Places,
) -> Result<Vec<(String, u64)>> {
    let source = Source::open(request, cwd, places, None)?;
    let asked = path.unwrap_or_default();
    let path = source.name_of(asked, cwd)?;
    let node = source.existing(&path)?;
    if summarize || !node.is_dir {
        return Ok(vec![(asked.to_owned(), source.bytes(&path, &node)?)]);
    }
    let mut rows = Vec::new();
    let mut total = 0;
    for (name, node) in source.children(&path, Listing::default())? {
        let bytes = source.bytes(&below(&path, &name), &node)?;
        total += bytes;
        rows.push((below(asked.trim_end_matches('/'), &name), bytes));
    }
    rows.push((asked.to_owned(), total));
    Ok(rows)
}

impl Source {
    /// The bytes of a file, or of all files in a folder.
    fn bytes(&self, path: &str, node: &Node) -> Result<u64> {
        if !node.is_dir {
            return Ok(node.size.unwrap_or(0));
        }
        if let (true, false, Some(size)) = (node.is_out, node.in_files, node.size) {
            return Ok(size);
        }
        let mut total = 0;
        for (name, node) in self.children(path, Listing::default())? {
            total += self.bytes(&below(path, &name), &node)?;
        }
        Ok(total)
    }

    /// `../` for every folder between a person inside the work tree and its root.
    fn way_to_root(&self, cwd: &Path) -> String {
        match (&self.commit, cwd.strip_prefix(&self.root)) {
            (None, Ok(inside)) => "../".repeat(inside.components().count()),
            _ => String::new(),
        }
    }
}
