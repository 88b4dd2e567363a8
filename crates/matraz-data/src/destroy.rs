//! `destroy`: takes a project apart. Data in the workspace stay.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::index::Index;
use crate::repo::DVCIGNORE;
use crate::stage::LOCK_FILE;
use crate::unprotect::unprotect;
use crate::{Error, Repo, Result};

/// Removes `.dvc`, `.dvcignore`, all `.dvc` files and all `dvc.yaml` with their lock files. What the workspace has of
/// the outputs becomes independent of the cache first.
pub fn destroy(repo: &Repo) -> Result<()> {
    let index = Index::load(repo)?;
    let mut files: BTreeSet<PathBuf> = BTreeSet::new();
    for stage in &index.stages {
        for out in stage.outs.iter().filter(|out| out.cache && repo.contains(&out.path)) {
            if out.path.exists() {
                unprotect(repo, &out.path)?;
            }
        }
        files.insert(stage.address.file.clone());
        if !stage.is_data() {
            files.insert(stage.address.file.with_file_name(LOCK_FILE));
        }
    }
    for file in &files {
        remove_file(file)?;
    }
    remove_file(&repo.root.join(DVCIGNORE))?;
    let dvc_dir = repo.dvc_dir();
    fs::remove_dir_all(&dvc_dir).map_err(Error::io("remove", &dvc_dir))
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if !crate::cache::absent(&error) => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}
