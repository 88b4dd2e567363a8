//! What changed in git between two commits.

use super::Git;
use crate::Result;

/// A file that differs between two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFile {
    /// Its path from the root of the work tree, with `/`.
    pub path: String,
    /// Lines that the later commit has more, and those it has less; `None` for a file that is no text.
    pub lines: Option<(u64, u64)>,
}

impl Git {
    /// The files that differ between two commits. A renamed file is one that went and one that came.
    pub fn changed_between(&self, old: &str, new: &str) -> Result<Vec<ChangedFile>> {
        let arguments = ["diff", "--numstat", "--no-renames", "--no-ext-diff", "-z", old, new, "--"];
        let output = self.run("compare two commits", arguments)?;
        let text = String::from_utf8_lossy(&output).into_owned();
        let file = |record: &str| {
            let mut fields = record.splitn(3, '\t');
            let (more, less, path) = (fields.next()?, fields.next()?, fields.next()?);
            let lines = more.parse().ok().zip(less.parse().ok());
            Some(ChangedFile { path: path.to_owned(), lines })
        };
        Ok(text.split('\0').filter_map(file).collect())
    }

    /// The commits that lead to a revision and itself, the newest first.
    pub fn commits_to(&self, revision: &str) -> Result<Vec<String>> {
        let tip = self.resolve(revision);
        let tip = tip.ok_or_else(|| crate::Error::NoSuchRevision { revision: revision.to_owned() })?;
        self.walk(&[tip], &[])
    }
}
