//! Experiments in a work tree of their own, below `.dvc/tmp/exps`, so that the user's stays as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use matraz_base::lock::{self, Lock};
use matraz_base::process::Interrupt;
use matraz_base::progress::{Progress, Silent};

use super::error::ExperimentError;
use super::overrides;
use super::record;
use super::run::{Finished, Reproduce};
use super::start::{self, Request, Start, git_of};
use crate::config::{Config, Level, SectionName, Setting};
use crate::repo::DVC_DIR;
use crate::stage::address::relative;
use crate::{Error, Repo, Result};

/// What an experiment in a work tree of its own starts with: the files of the user's, with the changed parameters.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Where it starts from, and its name.
    pub start: Start,
    /// The tree with the files.
    pub tree: String,
}

/// Prepares an experiment; the user's work tree stays as it is.
pub fn prepare(repo: &Repo, request: &Request, taken: &[String], interrupt: &Interrupt) -> Result<Prepared> {
    let git = git_of(repo)?;
    let mut start = Start::new(repo, request.name.as_deref(), request.force)?;
    if request.name.is_none() {
        start.name = super::name::fresh(git, taken)?;
    }
    let files = overrides::changed_files(&request.changes, &request.cwd)?;
    let before = start::commit_data(repo, request, interrupt)?;
    let drafted = (|| {
        let draft = git.draft()?;
        for (path, text) in &files {
            draft.put(path, text.as_bytes())?;
        }
        draft.tree()
    })();
    for (file, bytes) in before {
        matraz_base::file::write(&file, &bytes).map_err(Error::io("write", &file))?;
    }
    Ok(Prepared { start, tree: drafted? })
}

/// The folder of all work trees.
pub fn folder(repo: &Repo) -> PathBuf {
    repo.tmp_dir().join("exps").join("matraz").join("work")
}

/// Whether a process works in a work tree: it holds the lock beside it.
pub fn is_in_use(folder: &Path) -> bool {
    let never = AtomicBool::new(false);
    lock::acquire(&folder.with_extension("lock"), None, Duration::ZERO, &never, &mut |_| {}).is_err()
}

/// A work tree for an experiment. It goes when this is dropped.
#[derive(Debug)]
pub struct WorkTree<'r> {
    repo: &'r Repo,
    /// Where it is.
    pub folder: PathBuf,
    _life: Lock,
}

impl<'r> WorkTree<'r> {
    /// Makes one with the files on top of the baseline.
    pub fn make(repo: &'r Repo, prepared: &Prepared) -> Result<Self> {
        let git = git_of(repo)?;
        let all = folder(repo);
        fs::create_dir_all(&all).map_err(Error::io("create", &all))?;
        let place =
            tempfile::Builder::new().prefix("tmp").tempdir_in(&all).map_err(Error::io("create", &all))?;
        let never = AtomicBool::new(false);
        let life = place.path().with_extension("lock");
        let life = lock::acquire(&life, None, Duration::ZERO, &never, &mut |_| {})?;
        let tree = Self { repo, folder: place.keep(), _life: life };
        git.add_work_tree(&tree.folder, &prepared.start.baseline, &prepared.tree)?;
        tree.write_settings()?;
        Ok(tree)
    }

    /// The project in it.
    fn project(&self) -> Result<Repo> {
        Repo::open(&self.inside(&self.repo.root)?, &self.repo.places)
    }

    /// The place in it of a path of the user's work tree.
    fn inside(&self, path: &Path) -> Result<PathBuf> {
        let inside = path.strip_prefix(git_of(self.repo)?.root()).unwrap_or(Path::new(""));
        Ok(self.folder.join(inside))
    }

    /// Its own settings: those of this clone, with the cache and the remotes where they are for this clone.
    fn write_settings(&self) -> Result<()> {
        let dvc_dir = self.inside(&self.repo.root)?.join(DVC_DIR);
        if let Some(local) = self.repo.config.path(Level::Local).filter(|path| path.is_file()) {
            let copy = dvc_dir.join("config.local");
            fs::copy(local, &copy).map_err(Error::io("copy", local))?;
        }
        let cache = self.repo.cache_dir();
        let cache = self.repo.root.join(cache);
        let mut config = Config::read(Some(&dvc_dir), &self.repo.places)?;
        config.edit(Level::Local, |document| {
            let text = |path: &Path| Setting::Text(path.to_string_lossy().into_owned());
            document.set(&SectionName::plain("cache"), "dir", text(&cache));
            for (name, section) in self.repo.config.remotes() {
                if let Some(url) =
                    section.get("url").map(Setting::text).filter(|url| Path::new(url).is_absolute())
                {
                    document.set(&SectionName::remote(name), "url", Setting::Text(url));
                }
            }
            Ok(())
        })
    }

    /// Copies untracked or ignored files and folders of the user's work tree.
    fn copy(&self, paths: &[String]) -> Result<()> {
        for path in paths {
            let nothing = || ExperimentError::NothingToCopy { path: path.clone() };
            let from = crate::stage::address::join(&self.repo.root, path);
            if !self.repo.contains(&from) || from == self.repo.root {
                return Err(nothing().into());
            }
            let to = self.inside(&from)?;
            match fs::metadata(&from) {
                Ok(meta) if meta.is_dir() => copy_folder(&from, &to)?,
                Ok(meta) if meta.is_file() => copy_file(&from, &to)?,
                _ => return Err(nothing().into()),
            }
        }
        Ok(())
    }
}

impl Drop for WorkTree<'_> {
    fn drop(&mut self) {
        if let Ok(git) = git_of(self.repo) {
            // What cannot be removed now is removed by `exp clean`.
            let _ = git.remove_work_tree(&self.folder);
            let _ = fs::remove_file(self.folder.with_extension("lock"));
        }
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(Error::io("create", to))?;
    for entry in fs::read_dir(from).map_err(Error::io("read", from))? {
        let entry = entry.map_err(Error::io("read", from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().map_err(Error::io("read", &path))? {
            kind if kind.is_dir() => copy_folder(&path, &target)?,
            _ => copy_file(&path, &target)?,
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    fs::copy(from, to).map(drop).map_err(Error::io("copy", from))
}

/// How an experiment runs in a work tree of its own.
pub struct Run<'a> {
    /// What it starts with.
    pub prepared: &'a Prepared,
    /// What was asked of it.
    pub request: &'a Request,
    /// Untracked files to take along.
    pub copy_paths: &'a [String],
    /// Nothing is kept: it is only asked what would run.
    pub dry: bool,
    /// Told the folder as soon as it is there.
    pub placed: &'a dyn Fn(&Path) -> Result<()>,
    /// Told the commit before the experiment's reference names it.
    pub committed: &'a dyn Fn(&str) -> Result<()>,
}

/// Runs it. `None` after a dry run.
pub fn run(
    repo: &Repo,
    run: &Run<'_>,
    reproduce: Reproduce<'_>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Option<Finished>> {
    let git = git_of(repo)?;
    let start = &run.prepared.start;
    let place = WorkTree::make(repo, run.prepared)?;
    (run.placed)(&place.folder)?;
    place.copy(run.copy_paths)?;
    let own = place.project()?;
    let cwd = place.inside(&run.request.cwd)?;
    let request = Request { cwd: cwd.clone(), ..run.request.clone() };
    progress.say(&format!("Reproducing experiment '{}'", start.name));
    if !run.dry {
        let _lock = own.lock(&Silent, interrupt.flag())?;
        start::check_out_data(&own, &request, &Silent, interrupt)?;
    }
    let report = reproduce(&own, &cwd, start)?;
    if run.dry {
        return Ok(None);
    }
    let commit = record::commit_run(&own, start, &report, &[], request.message.as_deref())?;
    let left = git_of(&own)?.untracked_files()?;
    let left: Vec<String> = left
        .iter()
        .filter(|path| !path.ends_with(crate::stage::LOCK_FILE))
        .map(|path| relative(path, &own.root))
        .collect();
    if !left.is_empty() {
        progress.warn(&format!(
            "The following untracked files were present in the experiment directory after reproduction but will not be \
             included in experiment commits:\n\t{}",
            left.join(", ")
        ));
    }
    (run.committed)(&commit)?;
    let commit = record::publish(git, start, &commit, request.force)?;
    Ok(Some(Finished { start: start.clone(), commit }))
}
