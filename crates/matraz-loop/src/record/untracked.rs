//! Files that a run used and git does not have.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use matraz_data::Repo;
use matraz_data::stage::Stage;
use matraz_data::stage::address::relative;

use super::{programs, secrets};

/// The largest file that is kept with a run, in bytes.
const LARGEST: u64 = 256 << 10;
/// The bytes that all of them may have together.
const LARGEST_SUM: u64 = 4 << 20;
/// How many files are kept.
const MOST: usize = 200;
/// What is kept of the untracked files, and what is not.
#[derive(Clone, Debug, Default)]
pub(super) struct Untracked {
    /// The files, by their paths from the project's root.
    pub files: Vec<(String, PathBuf)>,
    /// The files that are left out, and why.
    pub left_out: Vec<(String, String)>,
}

/// The files of the project that the stages use and git does not have. What DVC tracks is none.
pub(super) fn collect(repo: &Repo, stages: &[&Stage]) -> Untracked {
    let mut found = Untracked::default();
    let Some(git) = &repo.git else { return found };
    let outs: Vec<&PathBuf> = stages.iter().flat_map(|stage| &stage.outs).map(|out| &out.path).collect();
    let untracked: HashSet<PathBuf> = git.untracked_files().unwrap_or_default().into_iter().collect();
    let is_tracked = |path: &Path| git.is_tracked(path).unwrap_or(true);
    let mut sum = 0;
    for path in programs::files(&repo.root, stages, &untracked, &is_tracked) {
        if outs.iter().any(|out| path.starts_with(out)) {
            continue;
        }
        let shown = relative(&path, &repo.root);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        let mut leave_out = |why: String| found.left_out.push((shown.clone(), why));
        if !untracked.contains(&path) {
            // What git is told to leave alone is the user's own: settings of a machine, or a secret.
            if is_python(&path) && !is_tracked(&path) {
                leave_out("git ignores it".into());
            }
            continue;
        }
        if !meta.is_file() {
            continue;
        }
        if meta.len() > LARGEST || sum + meta.len() > LARGEST_SUM || found.files.len() >= MOST {
            leave_out("it is too large".into());
            continue;
        }
        if secrets::is_for_secrets(&name) {
            leave_out("its name says that it holds secrets".into());
            continue;
        }
        let Ok(bytes) = fs::read(&path) else { continue };
        if let Some(kind) = secrets::find(&String::from_utf8_lossy(&bytes)) {
            leave_out(format!("it seems to hold {kind}"));
            continue;
        }
        sum += meta.len();
        found.files.push((shown, path));
    }
    found
}

fn is_python(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "py")
}
