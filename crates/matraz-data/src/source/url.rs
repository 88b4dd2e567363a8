//! `get-url` and `list-url`: files and folders at an address, without any repository.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;
use matraz_store::Location;

use super::bring::{Brought, From, Job, copy_all};
use super::get::output_path;
use super::list::Entry;
use super::tree::Node;
use crate::config::Config;
use crate::index::is_project_file;
use crate::stage::address::join;
use crate::{Error, Result};

/// The path on this machine that an address means: a path, `file:///path`, or `remote://NAME/path` below a remote of the
/// settings. Other addresses are refused by name.
pub fn locate(url: &str, config: &Config, cwd: &Path) -> Result<PathBuf> {
    if let Some(rest) = url.strip_prefix("remote://") {
        let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
        let settings = config.remote(name).and_then(|settings| settings.get("url"));
        let Some(base) = settings else {
            return Err(Error::config(format!("remote '{}' doesn't exist", name.to_lowercase())));
        };
        let base = base.text();
        if base.starts_with(&format!("remote://{name}")) {
            return Err(Error::config(format!("remote '{name}' leads to itself")));
        }
        let base = locate(&base, config, cwd)?;
        return Ok(join(&base, path.trim_start_matches('/')));
    }
    if let Some((scheme, _)) = url.split_once("://")
        && !crate::config::is_known_scheme(scheme)
    {
        return Err(Error::config(format!("Unsupported URL type {scheme}://")));
    }
    let Location::Local(path) = Location::parse(url, cwd)?;
    Ok(join(&path, ""))
}

/// Copies a file or folder to `out`, or into it when it is a folder, or beside the person under its own name.
#[expect(clippy::too_many_arguments, reason = "one for each option of the command")]
pub fn get(
    url: &str,
    out: Option<&str>,
    force: bool,
    threads: usize,
    config: &Config,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<(PathBuf, Brought)> {
    let target = output_path(url, out, force, cwd)?;
    if is_project_file(&target) {
        return Err(Error::StageFileAsOutput { path: target });
    }
    let from = locate(url, config, cwd)?;
    if !from.exists() {
        return Err(Error::NothingAtUrl { url: url.to_owned() });
    }
    let brought = copy(&from, &target, threads, progress, interrupt)?;
    Ok((target, brought))
}

/// Copies a file or folder of this machine. Links are followed.
pub(crate) fn copy(
    from: &Path,
    target: &Path,
    threads: usize,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Brought> {
    let mut jobs = Vec::new();
    let is_dir = from.is_dir();
    if is_dir {
        fs::create_dir_all(target).map_err(Error::io("create", target))?;
        for entry in entries(from, "", None)? {
            // Folders without files are not copied.
            if !entry.node.is_dir {
                let to = target.join(&entry.path);
                if let Some(folder) = to.parent() {
                    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
                }
                jobs.push(Job { target: to, from: From::Disk(from.join(&entry.path)) });
            }
        }
    } else {
        jobs.push(Job { target: target.to_path_buf(), from: From::Disk(from.to_path_buf()) });
    }
    copy_all(&jobs, threads, progress, interrupt)?;
    Ok(Brought { files: jobs.len(), is_dir })
}

/// The files at an address: the file itself by its whole path, or what is in a folder by relative paths. Folders stand in
/// the list where they are not looked into.
pub fn list(
    url: &str,
    recursive: bool,
    level: Option<usize>,
    config: &Config,
    cwd: &Path,
) -> Result<Vec<Entry>> {
    let path = existing(url, config, cwd)?;
    if level == Some(0) || !path.is_dir() {
        let node = node(&path)?;
        return Ok(vec![Entry { path: path.to_string_lossy().into_owned(), node, contents: Vec::new() }]);
    }
    let deepest = if recursive { level } else { Some(1) };
    let mut found = entries(&path, "", deepest)?;
    found.retain(|entry| {
        let depth = entry.path.matches('/').count() + 1;
        !entry.node.is_dir || deepest == Some(depth)
    });
    Ok(found)
}

/// The files and folders at an address in one another; the first is what is there itself.
pub fn tree(url: &str, level: Option<usize>, config: &Config, cwd: &Path) -> Result<Entry> {
    let path = existing(url, config, cwd)?;
    branch(&path, path.to_string_lossy().into_owned(), level)
}

fn existing(url: &str, config: &Config, cwd: &Path) -> Result<PathBuf> {
    let path = locate(url, config, cwd)?;
    if path.exists() { Ok(path) } else { Err(Error::NothingAtUrl { url: url.to_owned() }) }
}

fn branch(path: &Path, name: String, level: Option<usize>) -> Result<Entry> {
    let mut entry = Entry { path: name, node: node(path)?, contents: Vec::new() };
    if entry.node.is_dir && level != Some(0) {
        let mut names = Vec::new();
        for inner in fs::read_dir(path).map_err(Error::io("read", path))? {
            let inner = inner.map_err(Error::io("read", path))?;
            names.push(inner.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        for name in names {
            let inside = path.join(&name);
            entry.contents.push(branch(&inside, name, level.map(|level| level - 1))?);
        }
    }
    Ok(entry)
}

/// What is below a folder, files before folders as the system gives them.
fn entries(folder: &Path, prefix: &str, level: Option<usize>) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let entry = entry.map_err(Error::io("read", folder))?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| Error::NotUnicode { path: entry.path() })?;
        let kind = entry.file_type().map_err(Error::io("look at", entry.path()))?;
        let path = super::tree::below(prefix, name);
        let node = node(&entry.path())?;
        // Links to folders are left out, as they are in data.
        if node.is_dir && kind.is_symlink() {
            continue;
        }
        let entry = Entry { path, node, contents: Vec::new() };
        if entry.node.is_dir { folders.push(entry) } else { found.push(entry) }
    }
    for entry in folders {
        let inner = folder.join(entry.path.rsplit('/').next().unwrap_or_default());
        let path = entry.path.clone();
        found.push(entry);
        if level.is_none_or(|level| level > 1) {
            found.extend(entries(&inner, &path, level.map(|level| level - 1))?);
        }
    }
    Ok(found)
}

fn node(path: &Path) -> Result<Node> {
    let meta = fs::metadata(path).map_err(Error::io("look at", path))?;
    Ok(Node {
        is_dir: meta.is_dir(),
        size: Some(meta.len()),
        executable: meta.is_file() && meta.permissions().mode() & 0o100 != 0,
        in_files: true,
        ..Node::default()
    })
}
