//! What `dvc.lock` says of data that no run is known to have made.

use matraz_data::stage::address::relative;
use matraz_data::view::View;
use matraz_data::{Index, Repo};

use crate::error::Result;

/// A stage of a lock file that made something.
pub(super) struct Maker {
    /// The stage.
    pub stage: String,
    /// Its command.
    pub command: String,
    /// Path and digest of what it read.
    pub read: Vec<(String, String)>,
}

/// The stage that made the data of this digest, by the lock files of a commit or of the workspace.
pub(super) fn maker(repo: &Repo, commit: Option<&str>, digest: &str) -> Result<Option<Maker>> {
    let index = match commit {
        // A commit whose files are broken says nothing, and nobody can mend it.
        Some(commit) => match Index::load_at(&View::at(repo, commit)?) {
            Ok(index) => index,
            Err(_) => return Ok(None),
        },
        None => Index::load(repo)?,
    };
    let made = |out: &matraz_data::stage::Output| out.digest.is_some_and(|known| known.to_text() == digest);
    let mut stages = index.stages.iter().filter(|stage| stage.cmd.is_some());
    let Some(stage) = stages.find(|stage| stage.outs.iter().any(made)) else { return Ok(None) };
    let read =
        stage.deps.iter().filter_map(|dep| Some((relative(&dep.path, &repo.root), dep.digest?.to_text())));
    Ok(Some(Maker {
        stage: stage.address.display(&repo.root),
        command: stage.cmd.as_ref().map(|cmd| cmd.lines().join("; ")).unwrap_or_default(),
        read: read.collect(),
    }))
}
