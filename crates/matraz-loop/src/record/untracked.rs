//! Files that a run may have used and git does not have.

use std::fs;
use std::path::{Path, PathBuf};

use matraz_data::Repo;
use matraz_data::stage::Stage;
use matraz_data::stage::address::relative;

use super::secrets;

/// The largest file that is kept with a run, in bytes.
const LARGEST: u64 = 256 << 10;
/// The bytes that all of them may have together.
const LARGEST_SUM: u64 = 4 << 20;
/// How many files are kept.
const MOST: usize = 200;
/// Endings of files that programs are made of.
const CODE: [&str; 19] = [
    "py", "pyi", "pyx", "ipynb", "sh", "bash", "r", "jl", "sql", "rs", "c", "cc", "cpp", "h", "js", "ts",
    "toml", "cfg", "ini",
];
/// Endings of files that hold settings or text; they are kept when a stage names them.
const SETTINGS: [&str; 4] = ["yaml", "yml", "json", "txt"];

/// Whether a file is part of a program by its name.
pub(super) fn is_code(path: &Path) -> bool {
    CODE.contains(&ending(path).as_str())
}

fn ending(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// What is kept of the untracked files, and what is not.
#[derive(Clone, Debug, Default)]
pub(super) struct Untracked {
    /// The files, by their paths from the project's root.
    pub files: Vec<(String, PathBuf)>,
    /// The files that are left out, and why.
    pub left_out: Vec<(String, String)>,
}

/// The untracked files of the project that look like code, or that a stage of the pipeline names. What DVC tracks is none.
pub(super) fn collect(repo: &Repo, stages: &[&Stage]) -> Untracked {
    let mut found = Untracked::default();
    let Some(git) = &repo.git else { return found };
    let outs: Vec<&PathBuf> = stages.iter().flat_map(|stage| &stage.outs).map(|out| &out.path).collect();
    let named = |path: &Path| {
        let deps = stages.iter().flat_map(|stage| &stage.deps).any(|dep| dep.path == path);
        deps || stages.iter().flat_map(|stage| &stage.params).any(|params| params.path == path)
    };
    let mut sum = 0;
    for path in git.untracked_files().unwrap_or_default() {
        if !path.starts_with(&repo.root) || outs.iter().any(|out| path.starts_with(out)) {
            continue;
        }
        let ending = ending(&path);
        let is_named = named(&path);
        if !(CODE.contains(&ending.as_str())
            || is_named && (SETTINGS.contains(&ending.as_str()) || ending.is_empty()))
        {
            continue;
        }
        let shown = relative(&path, &repo.root);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        let mut leave_out = |why: String| found.left_out.push((shown.clone(), why));
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
