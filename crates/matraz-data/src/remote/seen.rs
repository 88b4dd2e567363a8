//! What was last seen on a remote, for looks at it that must not touch it. Losing this costs nothing but a look.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::Repo;

/// The keys of the objects that were there.
pub fn load(repo: &Repo, remote: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(file(repo, remote)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Notes which of the objects are there now.
pub fn note(repo: &Repo, remote: &str, keys: &[String], there: &[bool]) {
    let mut seen = load(repo, remote);
    for (key, there) in keys.iter().zip(there) {
        if *there {
            seen.insert(key.clone());
        } else {
            seen.remove(key);
        }
    }
    let text: String = seen.iter().map(|key| format!("{key}\n")).collect();
    // A place that cannot be written to only costs the next look.
    let _ = matraz_base::file::write(&file(repo, remote), text.as_bytes());
}

/// Forgets what was seen, as objects were sent there since.
pub fn forget(repo: &Repo, remote: &str) {
    let _ = fs::remove_file(file(repo, remote));
}

fn file(repo: &Repo, remote: &str) -> PathBuf {
    let name: String = remote.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    repo.state_dir().join(format!("seen-on-{name}"))
}
