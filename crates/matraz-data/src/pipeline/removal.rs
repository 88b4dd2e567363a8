//! Taking away what a stage made before its command makes it again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::stage::Stage;
use crate::unprotect::replace_link;
use crate::{Error, Result};

/// Removes the outputs of a stage before its command makes them; those that persist become ordinary files instead.
pub(super) fn remove_outs(stage: &Stage) -> Result<()> {
    for out in &stage.outs {
        if out.persist {
            unprotect(&out.path)?;
            continue;
        }
        let result = match fs::symlink_metadata(&out.path) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(&out.path),
            Ok(_) => fs::remove_file(&out.path),
            Err(error) => Err(error),
        };
        match result {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &out.path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Turns links to cache objects into copies that may be written; a `SIGKILL` leaves the link or the whole copy.
fn unprotect(path: &Path) -> Result<()> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("look at", path)(error)),
    };
    if meta.is_dir() {
        for entry in fs::read_dir(path).map_err(Error::io("read", path))? {
            unprotect(&entry.map_err(Error::io("read", path))?.path())?;
        }
        return Ok(());
    }
    let mode = fs::metadata(path).map_err(Error::io("look at", path))?.permissions().mode() & 0o777;
    replace_link(path)?;
    // After the link is gone: an object of the cache never becomes writable.
    let now = fs::metadata(path).map_err(Error::io("look at", path))?.permissions().mode() & 0o777;
    if now != mode | 0o200 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o200))
            .map_err(Error::io("protect", path))?;
    }
    Ok(())
}
