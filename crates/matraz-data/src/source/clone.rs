//! Copies of repositories that are elsewhere, for the time of a command.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::{Error, Result};

/// Clones a repository into a temporary folder. No file is checked out, so that neither hooks nor filters of the
/// repository come into play.
pub fn clone(url: &str, cwd: &Path) -> Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("matraz-clone-")
        .tempdir()
        .map_err(Error::io("create", std::env::temp_dir()))?;
    let failed = |message: String| Error::CloneFailed { url: url.to_owned(), message };
    if url.contains("://") && url.split("://").next().is_some_and(|scheme| !SCHEMES.contains(&scheme)) {
        return Err(failed("git cannot clone from such an address".into()));
    }
    let output = Command::new("git")
        .current_dir(cwd)
        .args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"])
        .args(["-c", "protocol.ext.allow=never", "-c", "submodule.recurse=false"])
        .args(["clone", "--quiet", "--no-checkout", "--template=", "--"])
        .arg(url)
        .arg(folder.path())
        // A clone is about the address alone, not about the repository that a hook of git runs in.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(format!("the program `git` does not start: {error}")))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        let message = message.trim().strip_prefix("fatal: ").unwrap_or(message.trim()).to_owned();
        return Err(failed(message));
    }
    Ok(folder)
}

/// What git may be asked to clone from.
const SCHEMES: [&str; 8] = ["file", "git", "http", "https", "ssh", "git+ssh", "ssh+git", "git+https"];
