//! What the commands on data have in common: the open project, its lock, and notes to the user.

use std::path::{Path, PathBuf};

use matraz_base::lock::Lock;
use matraz_base::{Failure, Progress};
use matraz_data::Repo;
use matraz_data::cache::Corrupted;
use matraz_data::stage::address::relative;
use matraz_data::stage::template::quote;

use crate::app::App;

/// The project around the current folder, locked until this is dropped.
pub struct Project {
    pub repo: Repo,
    _lock: Option<Lock>,
}

impl Project {
    pub fn open(app: &App) -> Result<Self, Failure> {
        let repo = Repo::open(&app.cwd, &app.places())?;
        let lock = repo.lock(&app.out, app.interrupt.flag())?;
        Ok(Self { repo, _lock: Some(lock) })
    }

    /// The project without its lock, for what only reads.
    pub fn to_read(app: &App) -> Result<Self, Failure> {
        Ok(Self { repo: open_to_read(app)?, _lock: None })
    }

    /// The project without its lock.
    pub fn unlocked(self) -> Repo {
        self.repo
    }

    /// The same project, working with this number of threads when one is given.
    pub fn with_threads(self, jobs: Option<usize>) -> Self {
        Self { repo: self.repo.with_threads(jobs), ..self }
    }
}

/// The project around the current folder, to read from: no lock is taken, so that nobody is waited for, and it may be
/// in a place where nothing can be written.
pub fn open_to_read(app: &App) -> Result<Repo, Failure> {
    let repo = Repo::open(&app.cwd, &app.places())?;
    repo.prepare_if_writable()?;
    Ok(repo)
}

/// A path as a person in the current folder writes it; folders end with `/`.
pub fn shown(app: &App, path: &Path) -> String {
    let mut text = relative(path, &app.cwd);
    if path.is_dir() {
        text.push('/');
    }
    text
}

/// Says which files git should take, unless it has them already.
pub fn say_how_to_track(app: &App, repo: &Repo, files: &[PathBuf]) {
    let files: Vec<&PathBuf> = files.iter().filter(|file| file.exists()).collect();
    if files.is_empty() || repo.git.is_none() || repo.config.flag("core", "autostage", false) {
        return;
    }
    let names: Vec<String> = files.iter().map(|path| quote(&relative(path, &app.cwd))).collect();
    let program = app.grammar.program();
    app.out.say(&format!(
        "\nTo track the changes with git, run:\n\n\tgit add {}\n\n\
         To enable auto staging, run:\n\n\t{program} config core.autostage true",
        names.join(" ")
    ));
}

/// Says that a lock file was written.
pub fn say_lock_file(app: &App, path: &Path, is_new: bool) {
    let path = relative(path, &app.cwd);
    if is_new {
        app.out.say(&format!("Generating lock file '{path}'"));
    }
    app.out.say(&format!("Updating lock file '{path}'"));
}

/// Names corrupted objects.
pub fn warn_of_corrupted(app: &App, objects: &[Corrupted]) {
    for object in objects {
        let path = relative(&object.path, &app.cwd);
        app.out
            .warn(&format!("'{path}' is corrupted: its content is not what its name says; it is not used"));
    }
}

/// `3 files added and 1 file deleted`; none when all numbers are zero.
pub fn summary(numbers: &[(&str, u64)]) -> Option<String> {
    let parts: Vec<String> = numbers
        .iter()
        .filter(|(_, number)| *number > 0)
        .map(|(word, number)| format!("{number} file{} {word}", if *number > 1 { "s" } else { "" }))
        .collect();
    match parts.split_last() {
        None => None,
        Some((last, [])) => Some(last.clone()),
        Some((last, others)) => Some(format!("{} and {last}", others.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn numbers_are_put_into_words() {
        assert_eq!(summary(&[("added", 0)]), None);
        assert_eq!(summary(&[("added", 1), ("deleted", 0)]).unwrap(), "1 file added");
        assert_eq!(
            summary(&[("fetched", 2), ("added", 3), ("deleted", 1)]).unwrap(),
            "2 files fetched, 3 files added and 1 file deleted"
        );
    }
}
