//! A project: the folder with `.dvc/` in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use matraz_base::lock::{self, Holder, Lock, Note, PathLocks};
use matraz_base::progress::Progress;

use crate::config::{Config, Level, SectionName, Setting, normal};
use crate::git::{GITIGNORE, Git};
use crate::hash::many;
use crate::hash::state::State;
use crate::ignore::Ignore;
use crate::{Error, Result};

/// The folder that makes a project of the folder around it.
pub const DVC_DIR: &str = ".dvc";
/// The file with patterns of what is not data.
pub const DVCIGNORE: &str = ".dvcignore";

/// How long a command waits for another one in the same project.
const LOCK_PATIENCE: Duration = Duration::from_secs(600);

/// The places outside a project, as the binary found them in the environment.
#[derive(Clone, Debug)]
pub struct Places {
    /// Holds the user's `config` file (`~/.config/dvc`).
    pub global_config_dir: PathBuf,
    /// Holds the machine's `config` file (`/etc/xdg/dvc`).
    pub system_config_dir: PathBuf,
    /// For state that several projects may share (`/var/tmp/dvc`).
    pub site_cache_dir: PathBuf,
    /// What `~` stands for in configured paths.
    pub home: Option<PathBuf>,
    /// Whether a project enters itself into the list of those that share its cache, which DVC does not have.
    pub lists_projects: bool,
}

/// An open project.
#[derive(Debug)]
pub struct Repo {
    /// The root of the project: absolute, without `.` and `..`.
    pub root: PathBuf,
    /// The git repository around it; `None` when the project was made with `--no-scm`.
    pub git: Option<Git>,
    /// The settings of all levels.
    pub config: Config,
    /// The places outside the project.
    pub places: Places,
    pub(crate) state: OnceLock<Mutex<State>>,
    ignore: Ignore,
    jobs: Option<usize>,
}

/// How [`Repo::init`] makes a project.
#[derive(Clone, Copy, Debug, Default)]
pub struct InitOptions {
    /// Work without git.
    pub no_scm: bool,
    /// Replace a project that exists.
    pub force: bool,
    /// The root of the git repository may be above the project.
    pub subdir: bool,
}

impl Repo {
    /// Opens the project that holds `dir`, an absolute path.
    pub fn open(dir: &Path, places: &Places) -> Result<Self> {
        let root = Self::find_root(dir)?;
        let config = Config::load(Some(&root.join(DVC_DIR)), places)?;
        let git = if config.flag("core", "no_scm", false) {
            None
        } else {
            let found = Git::discover(&root);
            Some(found.ok_or_else(|| Error::NotInGit { root: root.clone() })?)
        };
        Ok(Self::assemble(root, git, config, places))
    }

    /// Like [`open`](Self::open); outside of a project the folder, or the git repository around it, is one without settings
    /// of its own. For commands that only read files.
    pub fn open_or_plain(dir: &Path, places: &Places) -> Result<Self> {
        match Self::open(dir, places) {
            Err(Error::NotInProject { .. }) => {
                let git = Git::discover(dir);
                let root = git.as_ref().map_or_else(|| normal(dir), |git| git.root().to_path_buf());
                Ok(Self::assemble(root, git, Config::load(None, places)?, places))
            }
            opened => opened,
        }
    }

    /// Whether the folder is a project.
    pub fn is_project(&self) -> bool {
        self.dvc_dir().is_dir()
    }

    /// The nearest folder at or above `dir`, an absolute path, that is a project.
    pub fn find_root(dir: &Path) -> Result<PathBuf> {
        let dir = normal(dir);
        let mut checked = dir.as_path();
        for folder in dir.ancestors() {
            if device(folder) != device(&dir) {
                break;
            }
            if folder.join(DVC_DIR).is_dir() {
                return Ok(folder.to_path_buf());
            }
            checked = folder;
        }
        Err(Error::NotInProject { checked: checked.to_path_buf() })
    }

    /// Makes `dir`, an absolute path, a project: settings, ignore files, a place for temporary state. The new files
    /// are added to git.
    pub fn init(dir: &Path, options: InitOptions, places: &Places) -> Result<Self> {
        let refuse = |reason: String| Err(Error::Init { reason });
        if options.no_scm && options.subdir {
            return refuse("cannot initialize repo with `--no-scm` and `--subdir`".into());
        }
        let root = normal(dir);
        let git = match (options.no_scm, options.subdir) {
            (true, _) => None,
            // The folder may be yet to be made.
            (false, true) => root.ancestors().find(|folder| folder.is_dir()).and_then(Git::discover),
            (false, false) => Git::open(&root),
        };
        if git.is_none() && !options.no_scm {
            return refuse(format!(
                "{} is not the root of a git repository; use `--no-scm` to work without git, or `--subdir` inside a \
                 repository",
                root.display()
            ));
        }
        let dvc_dir = root.join(DVC_DIR);
        if let Some(git) = &git
            && git.is_ignored(&dvc_dir)?
        {
            return refuse(format!("{} is ignored by git; add '!.dvc' to .gitignore", dvc_dir.display()));
        }
        if dvc_dir.is_dir() {
            if !options.force {
                return refuse("'.dvc' exists. Use `-f` to force.".into());
            }
            fs::remove_dir_all(&dvc_dir).map_err(Error::io("remove", &dvc_dir))?;
        }
        fs::create_dir_all(&dvc_dir).map_err(Error::io("create", &dvc_dir))?;
        let mut config = Config::read(Some(&dvc_dir), places)?;
        config.edit(Level::Project, |file| {
            if options.no_scm {
                file.set(&SectionName::plain("core"), "no_scm", Setting::Text("True".into()));
            }
            Ok(())
        })?;
        let dvcignore = root.join(DVCIGNORE);
        if !dvcignore.exists() {
            matraz_base::file::write(&dvcignore, NEW_DVCIGNORE.as_bytes())
                .map_err(Error::io("write", &dvcignore))?;
        }
        let repo = Self::assemble(root, git, config, places);
        repo.prepare()?;
        if let Some(git) = &repo.git {
            git.add(&[dvc_dir.join("config"), dvc_dir.join(GITIGNORE), dvcignore])?;
        }
        Ok(repo)
    }

    /// A project that belongs to somebody else: nothing is written to it. Neither `.dvc` nor the work tree has to exist.
    pub(crate) fn foreign(
        root: PathBuf,
        git: Option<Git>,
        config: Config,
        places: &Places,
        ignore: Ignore,
    ) -> Self {
        let state = OnceLock::from(Mutex::new(State::absent()));
        Self { root, git, config, places: places.clone(), state, ignore, jobs: None }
    }

    fn assemble(root: PathBuf, git: Option<Git>, config: Config, places: &Places) -> Self {
        let ignore = Ignore::new(&root);
        Self { root, git, config, places: places.clone(), state: OnceLock::new(), ignore, jobs: None }
    }

    /// The patterns of the project's `.dvcignore` files.
    pub fn ignore(&self) -> &Ignore {
        &self.ignore
    }

    /// How many threads hash and copy: `core.checksum_jobs`, or as many as there are processors.
    pub fn threads(&self) -> usize {
        let set = self.config.get("core", "checksum_jobs").and_then(|text| text.trim().parse().ok());
        self.jobs.or(set).unwrap_or_else(many::threads).clamp(1, 64)
    }

    /// The same project, working with this number of threads when one is given.
    pub fn with_threads(mut self, jobs: Option<usize>) -> Self {
        self.jobs = jobs.or(self.jobs);
        self
    }

    /// How tables of this project name a path: relative to its root where that is possible.
    pub(crate) fn key(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// Whether a path lies in the project.
    pub fn contains(&self, path: &Path) -> bool {
        path.starts_with(&self.root)
    }

    /// Refuses a path of the project behind a link to a folder, which may lead anywhere.
    pub(crate) fn refuse_detour(&self, path: &Path) -> Result<()> {
        let mut folders = path.ancestors().skip(1).take_while(|folder| *folder != self.root);
        match folders.find(|folder| folder.is_symlink()) {
            Some(link) => Err(Error::ThroughLink { path: path.to_path_buf(), link: link.to_path_buf() }),
            None => Ok(()),
        }
    }

    /// Refuses links among the files that are written without being asked: git may have brought them.
    pub(crate) fn refuse_private_links(&self) -> Result<()> {
        let tmp = self.tmp_dir();
        if tmp.is_symlink() {
            return Err(Error::PrivateLink { link: tmp });
        }
        for folder in [tmp, self.state_dir(), self.state_dir().join("logs")] {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                    return Err(Error::PrivateLink { link: entry.path() });
                }
            }
        }
        Ok(())
    }

    /// The `.dvc` folder.
    pub fn dvc_dir(&self) -> PathBuf {
        self.root.join(DVC_DIR)
    }

    /// `.dvc/tmp`, for locks and state of this clone alone.
    pub fn tmp_dir(&self) -> PathBuf {
        self.dvc_dir().join("tmp")
    }

    /// `.dvc/tmp/matraz`, for state that DVC does not know.
    pub fn state_dir(&self) -> PathBuf {
        self.tmp_dir().join("matraz")
    }

    /// The folder of the cache.
    pub fn cache_dir(&self) -> PathBuf {
        self.config.get("cache", "dir").map_or_else(|| self.dvc_dir().join("cache"), PathBuf::from)
    }

    /// Adds files to git's index when the project's settings ask for it (`core.autostage`).
    pub fn stage_for_git(&self, files: &[PathBuf]) -> Result<()> {
        match &self.git {
            Some(git) if self.config.flag("core", "autostage", false) => {
                // What was moved or lost its last line is gone, and is news to git only if git had it.
                let mut news: Vec<&PathBuf> = Vec::new();
                for file in files {
                    if file.exists() || git.is_tracked(file)? {
                        news.push(file);
                    }
                }
                git.add(&news)
            }
            _ => Ok(()),
        }
    }

    /// Takes the project's lock and makes the folders that every operation needs. Waits for a process that has the lock
    /// and says for whom.
    pub fn lock(&self, progress: &dyn Progress, stop: &AtomicBool) -> Result<Lock> {
        self.prepare()?;
        let path = self.tmp_dir().join("lock");
        let mut waiting = |owner: Option<&Holder>| {
            let owner = owner.map_or_else(|| "another process".to_owned(), ToString::to_string);
            progress.warn(&format!("waiting for {owner}, which works on this project"));
        };
        let mut writes = vec![self.root.clone()];
        if !self.contains(&self.cache_dir()) {
            writes.push(self.cache_dir());
        }
        let note = Note { path: self.lock_note(), writes };
        let lock = lock::acquire(&path, Some(note), LOCK_PATIENCE, stop, &mut waiting)?;
        crate::cache::projects::register(self);
        Ok(lock)
    }

    /// Where the holder of the lock says who it is.
    fn lock_note(&self) -> PathBuf {
        self.state_dir().join("lock-holder.json")
    }

    /// Says that objects are about to be written in a folder outside of the project, so that the next command tidies up
    /// there when this one is killed.
    pub(crate) fn will_write(&self, folder: &Path) {
        lock::also_writes(&self.lock_note(), folder);
    }

    /// Keeps other processes from paths that are about to be written, also while the project's lock is free.
    pub(crate) fn lock_paths<'p>(
        &self,
        cmd: &str,
        paths: impl Iterator<Item = &'p Path>,
        stop: &AtomicBool,
    ) -> Result<PathLocks> {
        let write = paths.map(|path| path.to_string_lossy().into_owned()).collect();
        Ok(PathLocks::enter(&self.tmp_dir(), cmd, Vec::new(), write, stop)?)
    }

    /// Makes the folders in which readers keep what they learn, where that is possible.
    pub fn prepare_if_writable(&self) -> Result<()> {
        match self.prepare() {
            Err(error @ Error::PrivateLink { .. }) => Err(error),
            // A reader that cannot remember what it hashed hashes it again the next time.
            _ => Ok(()),
        }
    }

    /// Makes the folders that every operation needs and keeps git from tracking them.
    pub(crate) fn prepare(&self) -> Result<()> {
        self.refuse_private_links()?;
        let tmp = self.tmp_dir();
        fs::create_dir_all(self.state_dir()).map_err(Error::io("create", &tmp))?;
        // DVC takes the age of this file for that of the project.
        let btime = tmp.join("btime");
        if !btime.exists() {
            fs::write(&btime, "").map_err(Error::io("write", &btime))?;
        }
        if let Some(git) = &self.git {
            let dvc_dir = self.dvc_dir();
            for private in ["config.local", "tmp", "cache"] {
                git.ignore(&dvc_dir.join(private))?;
            }
        }
        Ok(())
    }
}

const NEW_DVCIGNORE: &str = "\
# Add patterns of files dvc should ignore, which could improve
# the performance. Learn more at
# https://dvc.org/doc/user-guide/dvcignore
";

fn device(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|meta| meta.dev())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(folder: &Path) -> Places {
        Places {
            global_config_dir: folder.join("global"),
            system_config_dir: folder.join("system"),
            site_cache_dir: folder.join("site"),
            home: None,
            lists_projects: false,
        }
    }

    #[test]
    fn a_project_without_git_is_made_once_and_found_from_below() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("p");
        fs::create_dir_all(root.join("a/b")).unwrap();
        let places = places(folder.path());
        assert!(Repo::init(&root, InitOptions::default(), &places).is_err());
        let options = InitOptions { no_scm: true, ..InitOptions::default() };
        Repo::init(&root, options, &places).unwrap();
        assert_eq!(fs::read_to_string(root.join(".dvc/config")).unwrap(), "[core]\n    no_scm = True\n");
        assert!(!root.join(".dvc/.gitignore").exists());
        assert!(Repo::init(&root, options, &places).is_err());
        let found = Repo::open(&root.join("a/b"), &places).unwrap();
        assert_eq!(found.root, root);
        assert!(matches!(Repo::open(folder.path(), &places), Err(Error::NotInProject { .. })));
    }

    #[test]
    fn a_project_in_git_keeps_its_private_files_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let done = std::process::Command::new("git").args(["init", "-q"]).arg(&root).status().unwrap();
        assert!(done.success());
        Repo::init(&root, InitOptions::default(), &places(&root)).unwrap();
        let text = fs::read_to_string(root.join(".dvc/.gitignore")).unwrap();
        assert_eq!(text, "/config.local\n/tmp\n/cache\n");
        assert_eq!(fs::read(root.join(".dvc/config")).unwrap(), b"");
    }
}
