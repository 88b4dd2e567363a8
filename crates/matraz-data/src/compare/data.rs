//! Files of the project wherever they are: in the workspace or a commit, or in the cache as part of an output.

use std::path::{Path, PathBuf};

use crate::cache::{Cache, Object};
use crate::index::{Index, is_project_file};
use crate::repo::{DVC_DIR, DVCIGNORE};
use crate::stage::Output;
use crate::view::View;
use crate::{Error, Result};

/// The project at a moment: its definitions, its files and what the cache has of its outputs.
pub struct Snapshot<'r> {
    /// The files.
    pub view: View<'r>,
    /// The stages.
    pub index: Index,
    cache: Cache,
}

impl<'r> Snapshot<'r> {
    /// Reads the definitions of a moment.
    pub fn take(view: View<'r>) -> Result<Self> {
        Ok(Self { index: Index::load_at(&view)?, cache: Cache::open(view.repo), view })
    }

    /// The bytes at `path`: of the file, or of the output when the file is not there.
    pub fn read(&mut self, path: &Path) -> Result<Option<Vec<u8>>> {
        if let Some(bytes) = self.view.read(path)? {
            return Ok(Some(bytes));
        }
        let Some(out) = output_around(&self.index, path) else { return Ok(None) };
        let Some(digest) = out.digest else {
            // An output that was never made; below a folder nobody knows what would be there.
            let missing = Error::NotAvailable { path: path.to_path_buf() };
            return if out.path == path { Err(missing) } else { Ok(None) };
        };
        let mut object = Object { digest, legacy: out.legacy };
        if digest.is_dir() {
            let below = path.strip_prefix(&out.path).unwrap_or(Path::new("")).to_string_lossy().into_owned();
            let missing = || Error::NotAvailable { path: path.to_path_buf() };
            let tree = self.cache.tree(&object)?.ok_or_else(missing)?;
            let Some(digest) = tree.get(&below) else { return Ok(None) };
            object = object.file_of(*digest);
        }
        let place = self.cache.path(&object);
        match std::fs::read(&place) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if crate::cache::absent(&error) => {
                Err(Error::NotAvailable { path: path.to_path_buf() })
            }
            Err(error) => Err(Error::io("read", &place)(error)),
        }
    }

    /// The text at `path`: of the file, or of the output when the file is not there.
    pub fn read_text(&mut self, path: &Path) -> Result<Option<String>> {
        let Some(bytes) = self.read(path)? else { return Ok(None) };
        String::from_utf8(bytes).map(Some).map_err(|_| Error::NotText { path: path.to_path_buf() })
    }

    /// The files that `path` stands for: itself, or all below it, outputs that were never made among them.
    pub fn expand(&mut self, path: &Path) -> Result<Vec<PathBuf>> {
        let Some(mut files) = self.below(path)? else { return Ok(vec![path.to_path_buf()]) };
        let outs = self.index.stages.iter().flat_map(|stage| &stage.outs);
        let unmade = outs.filter(|out| out.cache && out.digest.is_none() && out.path.starts_with(path));
        files.extend(unmade.filter(|out| !out.path.exists()).map(|out| out.path.clone()));
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The files below the folder `path`, of the workspace or commit and of outputs, sorted; `None` when it is no folder.
    pub fn below(&mut self, path: &Path) -> Result<Option<Vec<PathBuf>>> {
        let is_dir = self.view.is_workspace() && path.is_dir();
        let mut files = self.view.files(path)?;
        if files.first().is_some_and(|file| file == path) && !is_dir {
            return Ok(None);
        }
        for out in self.index.stages.iter().flat_map(|stage| &stage.outs).filter(|out| out.cache) {
            let related = out.path.starts_with(path) || path.starts_with(&out.path);
            let Some(digest) = out.digest.filter(|_| related) else { continue };
            if !digest.is_dir() {
                files.push(out.path.clone());
            } else if let Some(tree) = self.cache.tree(&Object { digest, legacy: out.legacy })? {
                files.extend(tree.entries().iter().map(|entry| out.path.join(&entry.path)));
            }
        }
        let own = self.view.repo.root.join(DVC_DIR);
        files.retain(|file| file.starts_with(path) && file != path && !file.starts_with(&own));
        files.retain(|file| !is_project_file(file) && !file.ends_with(DVCIGNORE));
        files.sort();
        files.dedup();
        Ok((is_dir || !files.is_empty()).then_some(files))
    }

    /// Whether a file or folder is there, or would be when the outputs were checked out.
    pub fn exists(&mut self, path: &Path) -> Result<bool> {
        if !self.view.files(path)?.is_empty() || (self.view.is_workspace() && path.exists()) {
            return Ok(true);
        }
        let known = |out: &Output| out.digest.is_some() && out.path.starts_with(path);
        Ok(self.index.stages.iter().flat_map(|stage| &stage.outs).any(known)
            || self.below(path)?.is_some()
            || matches!(self.read(path), Ok(Some(_))))
    }
}

fn output_around<'i>(index: &'i Index, path: &Path) -> Option<&'i Output> {
    let mut outs = index.stages.iter().flat_map(|stage| &stage.outs);
    outs.find(|out| out.cache && path.starts_with(&out.path))
}
