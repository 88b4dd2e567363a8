//! A commit checked out beside the work tree, to run something there.

use std::ffi::OsStr;
use std::path::Path;

use super::Git;
use crate::Result;

impl Git {
    /// Checks a commit out into `folder`, which must not be there.
    pub fn check_out_beside(&self, folder: &Path, commit: &str) -> Result<()> {
        let arguments = ["worktree", "add", "--quiet", "--detach", "--force"].map(OsStr::new);
        let arguments = arguments.into_iter().chain([folder.as_os_str(), OsStr::new(commit)]);
        self.run("check out a commit beside this one", arguments).map(drop)
    }

    /// Applies a difference, as [`Git::diff`] makes it, to a folder that [`Git::check_out_beside`] made.
    pub fn apply_beside(&self, folder: &Path, patch: &Path) -> Result<()> {
        let at =
            [OsStr::new("-C"), folder.as_os_str(), OsStr::new("apply"), OsStr::new("--whitespace=nowarn")];
        self.run("apply the uncommitted changes", at.into_iter().chain([patch.as_os_str()])).map(drop)
    }

    /// Removes what [`Git::check_out_beside`] made.
    pub fn remove_beside(&self, folder: &Path) -> Result<()> {
        let arguments = ["worktree", "remove", "--force", "--force"].map(OsStr::new);
        self.run("remove a work tree", arguments.into_iter().chain([folder.as_os_str()])).map(drop)
    }
}
