//! Files of the project wherever they are: in the workspace or a commit, or in the cache as part of an output.

use std::path::{Path, PathBuf};

use crate::cache::{Cache, Object};
use crate::index::Index;
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

    /// The text at `path`: of the file, or of the output when the file is not there.
    pub fn read_text(&mut self, path: &Path) -> Result<Option<String>> {
        if let Some(text) = self.view.read_text(path)? {
            return Ok(Some(text));
        }
        let Some(out) = output_around(&self.index, path) else { return Ok(None) };
        let Some(digest) = out.digest else { return Ok(None) };
        let mut object = Object { digest, legacy: out.legacy };
        if digest.is_dir() {
            let below = path.strip_prefix(&out.path).unwrap_or(Path::new("")).to_string_lossy().into_owned();
            let missing = || Error::NotAvailable { path: path.to_path_buf() };
            let tree = self.cache.tree(&object)?.ok_or_else(missing)?;
            let Some(digest) = tree.get(&below) else { return Ok(None) };
            object = object.file_of(*digest);
        }
        let place = self.cache.path(&object);
        let text = matraz_base::file::read_if_present(&place).map_err(Error::io("read", &place))?;
        text.map(Some).ok_or_else(|| Error::NotAvailable { path: path.to_path_buf() })
    }

    /// The files that `path` stands for: itself, or all below it.
    pub fn expand(&mut self, path: &Path) -> Result<Vec<PathBuf>> {
        let files = self.view.files(path)?;
        if !files.is_empty() {
            return Ok(files);
        }
        if let Some(out) = output_around(&self.index, path)
            && let Some(digest) = out.digest.filter(|digest| digest.is_dir())
            && let Some(tree) = self.cache.tree(&Object { digest, legacy: out.legacy })?
        {
            let all = tree.entries().iter().map(|entry| out.path.join(&entry.path));
            let below: Vec<PathBuf> = all.filter(|file| file.starts_with(path)).collect();
            if !below.is_empty() {
                return Ok(below);
            }
        }
        Ok(vec![path.to_path_buf()])
    }
}

fn output_around<'i>(index: &'i Index, path: &Path) -> Option<&'i Output> {
    let mut outs = index.stages.iter().flat_map(|stage| &stage.outs);
    outs.find(|out| out.cache && path.starts_with(&out.path))
}
