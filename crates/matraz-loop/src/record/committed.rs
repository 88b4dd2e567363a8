//! Which of the data that a stage read a commit has.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use matraz_data::index::Index;
use matraz_data::stage::LockedItem;
use matraz_data::stage::address::join;
use matraz_data::{Digest, Repo};

/// The files of the last commit that say what data are, each read once.
#[derive(Default)]
pub(super) struct Committed {
    texts: HashMap<PathBuf, String>,
}

impl Committed {
    /// Whether the commit has the data: the `.dvc` file that owns them names their digest there, or git itself has them. `changed` says whether git sees changes at or below a path.
    pub fn has(
        &mut self,
        repo: &Repo,
        index: &Index,
        commit: &str,
        item: &LockedItem,
        changed: impl Fn(&str) -> bool,
    ) -> bool {
        let (Some(git), Some(digest)) = (&repo.git, item.digest) else { return false };
        let path = join(&repo.root, &item.path);
        let owner =
            index.stages.iter().find(|stage| stage.outs.iter().any(|out| path.starts_with(&out.path)));
        if let Some(stage) = owner {
            // What the pipeline itself makes follows from what it reads.
            if !stage.is_data() {
                return true;
            }
            let whole = stage.outs.iter().any(|out| out.path == path);
            let digest = if whole { Some(digest) } else { owner_digest(stage, &path) };
            return digest.is_some_and(|digest| self.names(git, commit, &stage.address.file, &digest));
        }
        if digest.is_dir() {
            return git.is_tracked(&path).unwrap_or(false) && !changed(&item.path);
        }
        let content = git.read_at(commit, &path).ok().flatten();
        content.is_some_and(|bytes| Digest::file(matraz_data::hash::md5::of_bytes(&bytes)) == digest)
    }

    fn names(&mut self, git: &matraz_data::git::Git, commit: &str, file: &Path, digest: &Digest) -> bool {
        let text = self.texts.entry(file.to_path_buf()).or_insert_with(|| {
            let bytes = git.read_at(commit, file).ok().flatten().unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        text.contains(&digest.to_text())
    }
}

/// The digest of the output that a path lies in.
fn owner_digest(stage: &matraz_data::stage::Stage, path: &Path) -> Option<Digest> {
    stage.outs.iter().find(|out| path.starts_with(&out.path)).and_then(|out| out.digest)
}
