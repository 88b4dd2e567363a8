//! `unprotect`: makes tracked data in the workspace safe to edit.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::repo::DVC_DIR;
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
    let mut pending = vec![path.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))? {
            let entry = entry.map_err(Error::io("read", &folder))?;
            let path = entry.path();
            // What git and DVC keep for themselves is no data, and stays protected.
            match entry.file_type().map_err(Error::io("read", &path))?.is_dir() {
                true if path.ends_with(DVC_DIR) || path.ends_with(".git") => {}
                true => pending.push(path),
                // A link to a folder is neither followed nor replaced.
                false if path.is_dir() => {}
                false => unprotect_file(repo, &path)?,
            }
        }
    }
    Ok(())
}

fn unprotect_file(repo: &Repo, path: &Path) -> Result<()> {
    replace_link(path)?;
    // In a project with a shared cache the group may write to data, as in DVC.
    let shared = repo.config.get("cache", "shared").is_some();
    let bits = if shared { 0o664 } else { 0o666 & !crate::cache::umask(&repo.state_dir()) };
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).map_err(Error::io("unprotect", path))
}

/// Puts a copy in the place of a link to a cache object, by a temporary file and a rename: whatever happens, the path
/// holds the whole data. Anything but a link is left alone.
pub(crate) fn replace_link(path: &Path) -> Result<()> {
    let meta = fs::symlink_metadata(path).map_err(Error::io("unprotect", path))?;
    if !meta.is_symlink() && meta.nlink() < 2 {
        return Ok(());
    }
    let temp = path.with_file_name(matraz_base::file::temporary_name());
    let mut from = fs::File::open(path).map_err(Error::io("read", path))?;
    let copied = fs::File::create(&temp).and_then(|mut to| io::copy(&mut from, &mut to));
    copied.and_then(|_| fs::rename(&temp, path)).map_err(|error| {
        let _ = fs::remove_file(&temp);
        Error::io("unprotect", path)(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_becomes_a_copy_and_its_object_stays() {
        let folder = tempfile::tempdir().unwrap();
        let object = folder.path().join("object");
        fs::write(&object, "data").unwrap();
        let (hard, symbolic) = (folder.path().join("hard"), folder.path().join("symbolic"));
        fs::hard_link(&object, &hard).unwrap();
        std::os::unix::fs::symlink(&object, &symbolic).unwrap();
        for link in [&hard, &symbolic] {
            replace_link(link).unwrap();
            fs::write(link, "changed").unwrap();
        }
        assert_eq!(fs::read_to_string(&object).unwrap(), "data");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "no temporary file is left");
    }

    #[test]
    fn a_link_that_cannot_be_copied_stays() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("absent"), &link).unwrap();
        assert!(replace_link(&link).is_err());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
