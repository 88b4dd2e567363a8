//! `get`: copies a file or folder of a repository to this machine, without a trace of where it came from.

use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use super::bring::Brought;
use super::{Request, Source};
use crate::cache::Object;
use crate::config::normal;
use crate::index::is_project_file;
use crate::{Error, Places, Result};

/// What is copied where.
#[derive(Clone, Debug, Default)]
pub struct Get {
    /// The repository.
    pub request: Request,
    /// The path there.
    pub path: String,
    /// Where to: a path, or a folder that exists. The name that it has there in the current folder when not given.
    pub out: Option<String>,
    /// Replace what is in the way.
    pub force: bool,
    /// How many files are copied at a time.
    pub threads: usize,
}

/// Copies a file or folder. Returns where it is now.
pub fn get(
    get: &Get,
    cwd: &Path,
    places: &Places,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<(PathBuf, Brought)> {
    let target = output_path(&get.path, get.out.as_deref(), get.force, cwd)?;
    if is_project_file(&target) {
        return Err(Error::DvcFileAsData);
    }
    let source = Source::open(&get.request, cwd, places, None)?;
    if get.path.starts_with('/') {
        return Err(source.no_such_path(&get.path));
    }
    let path = source.name_of(&get.path, cwd)?;
    let brought = source.bring(&path, &target, get.threads, progress, interrupt)?;
    Ok((target, brought))
}

/// Where data of a repository are stored outside its work tree: their place in its remote, or in its cache when it has
/// no remote.
pub fn storage_url(request: &Request, path: &str, cwd: &Path, places: &Places) -> Result<String> {
    let source = Source::open(request, cwd, places, None)?;
    let name = source.name_of(path, cwd)?;
    let unknown = || Error::NoSuchOutput { path: PathBuf::from(path) };
    let (project, inside) = source.project(&name)?.ok_or_else(unknown)?;
    let (out_path, out) = project.holding(&inside).ok_or_else(unknown)?;
    let digest = out.digest.ok_or_else(unknown)?;
    let mut object = Object { digest, legacy: out.legacy };
    let rest = inside[out_path.len()..].trim_start_matches('/');
    if !rest.is_empty() {
        let tree = source.listing(&project, &out_path)?;
        object = object.file_of(*tree.get(rest).ok_or_else(unknown)?);
    }
    let name = out.remote.clone().or_else(|| project.repo.config.default_remote());
    let root = match &name {
        Some(name) => {
            let remote = project.repo.config.remote(name);
            let url = remote.and_then(|remote| remote.get("url"));
            url.ok_or_else(|| Error::NoSuchRemote { name: name.clone() })?.text()
        }
        None if source.is_clone() => return Err(Error::NoRemote { known: Vec::new() }),
        None => project.repo.cache_dir().to_string_lossy().into_owned(),
    };
    Ok(format!("{}/{}", root.trim_end_matches('/'), object.key()))
}

/// Where a copy of `name` goes: to `out`, into it when it is a folder, or beside the person under its own name.
pub(crate) fn output_path(name: &str, out: Option<&str>, force: bool, cwd: &Path) -> Result<PathBuf> {
    let without_scheme = name.split_once("://").map_or(name, |(_, rest)| rest);
    let last = normal(Path::new(without_scheme));
    let last = last.file_name().map_or_else(|| ".".into(), |name| name.to_string_lossy().into_owned());
    let target = match out.filter(|out| !out.is_empty()) {
        None => cwd.join(last),
        Some(out) if cwd.join(out).is_dir() => cwd.join(out).join(last),
        Some(out) => cwd.join(out),
    };
    let target = normal(&target);
    if target.exists() && !force {
        return Err(Error::InTheWay { path: target });
    }
    Ok(target)
}
