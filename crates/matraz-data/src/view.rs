//! The files of a project now, or as they were in a commit.

use std::path::{Path, PathBuf};

use crate::repo::DVC_DIR;
use crate::{Error, Repo, Result};

/// A moment of a project from which files are read.
#[derive(Clone, Debug)]
pub struct View<'r> {
    /// The project.
    pub repo: &'r Repo,
    /// The commit; none for the workspace.
    commit: Option<String>,
}

/// The name that stands for the workspace among revisions.
pub const WORKSPACE: &str = "workspace";

impl<'r> View<'r> {
    /// The files as they are now.
    pub fn workspace(repo: &'r Repo) -> Self {
        Self { repo, commit: None }
    }

    /// The files at a revision; `workspace` is that of now.
    pub fn at(repo: &'r Repo, revision: &str) -> Result<Self> {
        if revision == WORKSPACE {
            return Ok(Self::workspace(repo));
        }
        let unknown = || Error::NoSuchRevision { revision: revision.to_owned() };
        let git = repo.git.as_ref().ok_or_else(|| Error::NotInGit { root: repo.root.clone() })?;
        Ok(Self { repo, commit: Some(git.resolve(revision).ok_or_else(unknown)?) })
    }

    /// Whether both are the workspace, or the same commit.
    pub fn same_moment(&self, other: &Self) -> bool {
        self.commit == other.commit
    }

    /// Whether this is the workspace.
    pub fn is_workspace(&self) -> bool {
        self.commit.is_none()
    }

    /// The files of the commit below the root of the project, and git's names of their contents; `None` for the
    /// workspace.
    pub(crate) fn committed_files(&self) -> Result<Option<Vec<(PathBuf, String)>>> {
        let (Some(commit), Some(git)) = (&self.commit, &self.repo.git) else { return Ok(None) };
        let mut files = git.files_at(commit)?;
        files.retain(|(path, _)| path.starts_with(&self.repo.root));
        Ok(Some(files))
    }

    /// The content of a file; `None` when there is none.
    pub fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match (&self.commit, &self.repo.git) {
            (Some(commit), Some(git)) => git.read_at(commit, path),
            _ => match std::fs::read(path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if crate::cache::absent(&error) => Ok(None),
                Err(error) => Err(Error::io("read", path)(error)),
            },
        }
    }

    /// The content of a text file; `None` when there is none.
    pub fn read_text(&self, path: &Path) -> Result<Option<String>> {
        let Some(bytes) = self.read(path)? else { return Ok(None) };
        String::from_utf8(bytes).map(Some).map_err(|_| Error::NotText { path: path.to_path_buf() })
    }

    /// The files at or below `path`, sorted: one when `path` is a file. What git and DVC keep for themselves in the
    /// workspace is left out.
    pub fn files(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let mut files = match (&self.commit, &self.repo.git) {
            (Some(commit), Some(git)) => git.files_at(commit)?.into_iter().map(|(file, _)| file).collect(),
            _ => files_below(path)?,
        };
        files.retain(|file| file.starts_with(path));
        files.sort();
        Ok(files)
    }
}

fn files_below(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(if path.exists() { vec![path.to_path_buf()] } else { Vec::new() });
    }
    let mut files = Vec::new();
    let mut pending = vec![path.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder).map_err(Error::io("read", &folder))? {
            let path = entry.map_err(Error::io("read", &folder))?.path();
            match path.is_dir() {
                true if path.ends_with(DVC_DIR) || path.ends_with(".git") => {}
                true => pending.push(path),
                false => files.push(path),
            }
        }
    }
    Ok(files)
}
