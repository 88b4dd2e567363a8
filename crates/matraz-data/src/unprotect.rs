//! `unprotect`: makes tracked data in the workspace safe to edit.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::ignore::files_below;
use crate::{Error, Repo, Result};

/// Replaces the links to cache objects at or below a path by copies, and lets their owner write to all files.
pub fn unprotect(repo: &Repo, path: &Path) -> Result<()> {
    let meta = fs::metadata(path).map_err(Error::io("unprotect", path))?;
    if !repo.contains(path) {
        return Err(Error::OutsideProject { path: path.to_path_buf() });
    }
    if !meta.is_dir() {
        return unprotect_file(repo, path);
    }
    for file in files_below(path, repo.ignore(), repo.threads())? {
        unprotect_file(repo, &path.join(file.path))?;
    }
    Ok(())
}

fn unprotect_file(repo: &Repo, path: &Path) -> Result<()> {
    let meta = fs::symlink_metadata(path).map_err(Error::io("unprotect", path))?;
    if meta.is_symlink() || meta.nlink() > 1 {
        let temp = path.with_file_name(matraz_base::file::temporary_name());
        let mut from = fs::File::open(path).map_err(Error::io("read", path))?;
        let copied = fs::File::create(&temp).and_then(|mut to| io::copy(&mut from, &mut to));
        copied.and_then(|_| fs::rename(&temp, path)).map_err(|error| {
            let _ = fs::remove_file(&temp);
            Error::io("unprotect", path)(error)
        })?;
    }
    // In a project with a shared cache the group may write to data, as in DVC.
    let shared = repo.config.get("cache", "shared").is_some();
    let bits = if shared { 0o664 } else { 0o666 & !crate::cache::umask(&repo.state_dir()) };
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).map_err(Error::io("unprotect", path))
}
