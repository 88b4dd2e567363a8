//! All that the files of a project define: stages, and the files that hold them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use matraz_base::Value;

use crate::ignore::Ignore;
use crate::repo::DVCIGNORE;
use crate::stage::address::{join, relative};
use crate::stage::dataset::{Dataset, SCHEME, Standing};
use crate::stage::document::Document;
use crate::stage::dvc_yaml::{self, PipelineFile};
use crate::stage::template::{ReadText, Style};
use crate::stage::{self, Address, DATA_SUFFIX, LOCK_FILE, LockFile, PIPELINE_FILE, Stage, dot_dvc};
use crate::target::TargetOptions;
use crate::view::View;
use crate::{Error, Repo, Result};

/// [`dvc_yaml::parse`] or [`dvc_yaml::parse_sound`].
type ParsePipeline = fn(Document, Style, ReadText<'_>) -> Result<PipelineFile>;

/// The stages of a project.
#[derive(Debug, Default)]
pub struct Index {
    /// All stages: folder by folder from the top, files by name, stages in the order of their file.
    pub stages: Vec<Stage>,
    /// The `dvc.yaml` files.
    pub pipelines: Vec<PipelineFile>,
    /// The lock file beside each `dvc.yaml`, by the path of the latter.
    pub locks: HashMap<PathBuf, LockFile>,
}

impl Index {
    /// Reads all `dvc.yaml`, `dvc.lock` and `.dvc` files of the project. Folders that are outputs are not entered, and
    /// what git ignores (a virtual environment, a checkout of something else) is not looked at.
    pub fn load(repo: &Repo) -> Result<Self> {
        Self::load_all(repo, &mut Err)
    }

    /// Like [`load`](Self::load), without the files that are broken.
    pub fn load_sound(repo: &Repo) -> Result<Self> {
        Self::load_all(repo, &mut |_| Ok(()))
    }

    /// Like [`load`](Self::load). When that fails and each target names a stage or a `.dvc` file, what is broken elsewhere
    /// is no matter: only the files of the targets are read, and of them what can be.
    pub fn load_for(repo: &Repo, targets: &[String], options: TargetOptions, cwd: &Path) -> Result<Self> {
        let error = match Self::load(repo) {
            Err(error) if !targets.is_empty() && !options.with_deps && !options.recursive => error,
            whole => return whole,
        };
        Self::load_named(repo, targets, cwd).ok_or(error)
    }

    fn load_named(repo: &Repo, targets: &[String], cwd: &Path) -> Option<Self> {
        let mut index = Self::default();
        let named: Vec<_> = targets.iter().map(|target| split_target(target, cwd)).collect();
        for (n, (file, _)) in named.iter().enumerate() {
            if named[..n].iter().any(|(known, _)| known == file) {
                continue;
            }
            refuse_git_ignored(repo, file).ok()?;
            // Who names a whole file means all that is in it.
            let whole = named.iter().any(|(other, name)| other == file && name.is_none());
            let parse = if whole { dvc_yaml::parse } else { dvc_yaml::parse_sound };
            index.read(&View::workspace(repo), repo.ignore(), file, parse).ok()?;
        }
        let found = targets.iter().all(|target| index.find(target, cwd).is_ok_and(|found| !found.is_empty()));
        // A dataset may be defined in any file.
        (found && !index.reads_datasets()).then_some(index)
    }

    fn reads_datasets(&self) -> bool {
        let is_dataset = |dep: &stage::Dependency| matches!(dep.source, stage::Source::Dataset(_));
        self.stages.iter().flat_map(|stage| &stage.deps).any(is_dataset)
    }

    /// `broken` says of a file that cannot be read whether that is an error of the project.
    fn load_all(repo: &Repo, broken: &mut dyn FnMut(Error) -> Result<()>) -> Result<Self> {
        let view = View::workspace(repo);
        let ignore = repo.ignore();
        let mut index = Self::default();
        let mut outs: HashSet<PathBuf> = HashSet::new();
        let mut pending = vec![repo.root.clone()];
        while let Some(folder) = pending.pop() {
            let rules = ignore.rules(&folder)?;
            let mut folders = Vec::new();
            let mut files = Vec::new();
            for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))? {
                let entry = entry.map_err(Error::io("read", &folder))?;
                let kind = entry.file_type().map_err(Error::io("read", entry.path()))?;
                let path = entry.path();
                if kind.is_dir() {
                    folders.push(path);
                } else if is_project_file(&path)
                    && !rules.matches(&path, false)
                    && path.is_file()
                    && !is_git_ignored(repo, &path)?
                {
                    files.push(path);
                }
            }
            files.sort();
            for file in files {
                let known = index.stages.len();
                index.read(&view, ignore, &file, dvc_yaml::parse).or_else(&mut *broken)?;
                outs.extend(
                    index.stages[known..].iter().flat_map(|stage| &stage.outs).map(|out| out.path.clone()),
                );
            }
            folders.sort();
            // The last one is taken first.
            for path in folders.into_iter().rev() {
                if !outs.contains(&path)
                    && !ignore.skips_folder(&rules, &path)
                    && !is_git_ignored(repo, &path)?
                {
                    pending.push(path);
                }
            }
        }
        index.settle_datasets();
        Ok(index)
    }

    /// Reads one `dvc.yaml` or `.dvc` file (and the lock file beside it).
    pub fn load_file(repo: &Repo, file: &Path) -> Result<Self> {
        let mut index = Self::default();
        refuse_git_ignored(repo, file)?;
        index.read(&View::workspace(repo), repo.ignore(), file, dvc_yaml::parse)?;
        if index.reads_datasets() {
            // Another file may define it.
            let mut all = Self::load(repo)?;
            all.stages.retain(|stage| stage.address.file == file);
            return Ok(all);
        }
        Ok(index)
    }

    /// Reads the files of a moment, which may be a commit.
    pub fn load_at(view: &View<'_>) -> Result<Self> {
        if view.is_workspace() {
            return Self::load(view.repo);
        }
        let root = &view.repo.root;
        let mut files = view.files(root)?;
        // Projects inside the project are not ours.
        let nested: HashSet<PathBuf> = files
            .iter()
            .filter(|file| file.ends_with(".dvc/config"))
            .filter_map(|file| file.ancestors().nth(2).filter(|folder| folder != root))
            .map(Path::to_path_buf)
            .collect();
        files.retain(|file| !file.ancestors().any(|folder| nested.contains(folder)));
        let mut patterns = HashMap::new();
        for file in files.iter().filter(|file| file.file_name().is_some_and(|name| name == DVCIGNORE)) {
            patterns.extend(view.read_text(file)?.map(|text| (file.clone(), text)));
        }
        let ignore = Ignore::committed(root, patterns);
        files.retain(|file| is_project_file(file));
        // Files of a folder come before those of the folders in it.
        files.sort_by_key(|file| (file.parent().map(Path::to_path_buf), file.clone()));
        let mut index = Self::default();
        let mut outs: HashSet<PathBuf> = HashSet::new();
        for file in files {
            if !file.ancestors().any(|folder| outs.contains(folder)) && !ignore.is_ignored(&file, false)? {
                let known = index.stages.len();
                index.read(view, &ignore, &file, dvc_yaml::parse)?;
                outs.extend(
                    index.stages[known..].iter().flat_map(|stage| &stage.outs).map(|out| out.path.clone()),
                );
            }
        }
        index.settle_datasets();
        Ok(index)
    }

    /// The datasets by the file that defines them and as it defines them; the last of a name counts.
    pub fn dataset(&self, name: &str) -> Option<(&PipelineFile, &Value)> {
        let all = self.pipelines.iter().flat_map(|file| file.datasets.iter().map(move |entry| (file, entry)));
        all.rev().find(|(_, entry)| entry.get("name").and_then(Value::as_str) == Some(name))
    }

    /// How a dataset stands against the lock file beside the file that defines it.
    pub fn dataset_standing(&self, name: &str) -> Standing {
        let Some((file, entry)) = self.dataset(name) else { return Standing::Unknown };
        let lock = self.locks.get(&file.document.path).and_then(|lock| lock.dataset(name));
        Dataset::read(entry).map_or(Standing::OutOfStep, |dataset| dataset.standing(lock))
    }

    /// Gives dependencies on datasets what these are now.
    fn settle_datasets(&mut self) {
        let mut found = HashMap::new();
        for dep in self.stages.iter().flat_map(|stage| &stage.deps) {
            if let Some(name) = dep.def_path.strip_prefix(SCHEME) {
                found.insert(dep.def_path.clone(), self.dataset_standing(name));
            }
        }
        for dep in self.stages.iter_mut().flat_map(|stage| &mut stage.deps) {
            if let (stage::Source::Dataset(standing), Some(now)) = (&mut dep.source, found.get(&dep.def_path))
            {
                standing.clone_from(now);
            }
        }
    }

    fn read(&mut self, view: &View<'_>, ignore: &Ignore, file: &Path, parse: ParsePipeline) -> Result<()> {
        let repo = view.repo;
        let Some(text) = view.read_text(file)? else {
            return Err(Error::NoSuchFile { path: file.to_path_buf() });
        };
        let document = Document::new(file, text);
        if file.file_name().is_some_and(|name| name == PIPELINE_FILE) {
            return self.read_pipeline(view, ignore, document, parse);
        }
        let mut stage = dot_dvc::parse(&document)?;
        settle_paths(repo, &mut stage);
        check_outs(ignore, &stage)?;
        self.stages.push(stage);
        Ok(())
    }

    fn read_pipeline(
        &mut self,
        view: &View<'_>,
        ignore: &Ignore,
        document: Document,
        parse: ParsePipeline,
    ) -> Result<()> {
        let repo = view.repo;
        let path = document.path.clone();
        let mut file = parse(document, style(repo), &|path| view.read_text(path))?;
        let lock_path = path.with_file_name(LOCK_FILE);
        let lock = match view.read_text(&lock_path)? {
            Some(text) => LockFile::parse(&Document::new(&lock_path, text))?,
            None => LockFile::absent(lock_path),
        };
        if view.is_workspace() {
            refuse_git_ignored(repo, &lock.path)?;
        }
        for stage in &mut file.stages {
            settle_paths(repo, stage);
            check_outs(ignore, stage)?;
            lock.fill(stage);
        }
        self.stages.extend(file.stages.iter().cloned());
        self.pipelines.push(file);
        self.locks.insert(path, lock);
        Ok(())
    }

    /// The stage at an address.
    pub fn stage(&self, address: &Address) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.address == *address)
    }

    /// The one stage that a target names; groups and whole `dvc.yaml` files are refused.
    pub fn find_one(&self, target: &str, cwd: &Path) -> Result<usize> {
        let address = address_of(target, cwd);
        if address.name.is_none() && address.file.file_name().is_some_and(|name| name == PIPELINE_FILE) {
            return Err(Error::NoStageName { file: relative(&address.file, cwd) });
        }
        if let Some(n) = self.stages.iter().position(|stage| stage.address == address) {
            return Ok(n);
        }
        match (self.find(target, cwd)?.first(), address.name) {
            (Some(_), Some(name)) => {
                let stages = self.stages.iter().filter(|stage| stage.address.file == address.file);
                let known = stages.filter_map(|stage| stage.address.name.clone()).collect();
                Err(Error::NoSuchStage { name, file: relative(&address.file, cwd), known })
            }
            _ => Err(Error::NotAStage { target: target.to_owned() }),
        }
    }

    /// The stages that `target` means to a person in the folder `cwd`, as numbers into [`stages`](Self::stages): the
    /// name of a stage or group of the `dvc.yaml` there, `file:name`, or the path of a `dvc.yaml` or `.dvc` file.
    pub fn find(&self, target: &str, cwd: &Path) -> Result<Vec<usize>> {
        let (file, name) = split_target(target, cwd);
        let matching = |stage: &Stage| {
            stage.address.file == file
                && name.as_ref().is_none_or(|name| {
                    stage.address.name.as_ref() == Some(name) || stage.generated_from.as_ref() == Some(name)
                })
        };
        let found: Vec<usize> = (0..self.stages.len()).filter(|&n| matching(&self.stages[n])).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let known = self.pipelines.iter().any(|pipeline| pipeline.document.path == file);
        match name {
            None if known => Ok(found),
            Some(name) if known => {
                let stages = self.stages.iter().filter(|stage| stage.address.file == file);
                let names = stages.filter_map(|stage| stage.address.name.clone()).collect();
                Err(Error::NoSuchStage { name, file: relative(&file, cwd), known: names })
            }
            _ if file.exists() => Err(Error::NotAStage { target: target.to_owned() }),
            _ => Err(Error::NoSuchFile { path: file }),
        }
    }
}

/// The address that a target names, whether or not there is such a stage.
pub fn address_of(target: &str, cwd: &Path) -> Address {
    let (file, name) = split_target(target, cwd);
    Address { file, name }
}

/// Splits `file:name`; a bare name is one in the `dvc.yaml` of the folder.
fn split_target(target: &str, cwd: &Path) -> (PathBuf, Option<String>) {
    if is_project_file(Path::new(target)) {
        return (join(cwd, target), None);
    }
    match target.rsplit_once(':') {
        Some((file, name)) if is_project_file(Path::new(file)) => (join(cwd, file), Some(name.to_owned())),
        Some(("", name)) => (cwd.join(PIPELINE_FILE), Some(name.to_owned())),
        _ => (cwd.join(PIPELINE_FILE), Some(target.to_owned())),
    }
}

/// Whether a file of this name defines stages.
pub fn is_project_file(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name == PIPELINE_FILE || (name.ends_with(DATA_SUFFIX) && name.len() > DATA_SUFFIX.len())
}

/// How the project wants mappings as command-line options.
pub fn style(repo: &Repo) -> Style {
    Style {
        boolean_optional: repo.config.get("parsing", "bool").is_some_and(|value| value == "boolean_optional"),
        append: repo.config.get("parsing", "list").is_some_and(|value| value == "append"),
    }
}

/// Absolute paths inside the project are known by their relative form.
fn settle_paths(repo: &Repo, stage: &mut Stage) {
    let wdir = stage.wdir.clone();
    let settle = |path: &Path, def_path: &mut String| {
        if Path::new(def_path.as_str()).is_absolute() && path.starts_with(&repo.root) {
            *def_path = relative(path, &wdir);
        }
    };
    for dep in &mut stage.deps {
        settle(&dep.path, &mut dep.def_path);
    }
    for out in &mut stage.outs {
        settle(&out.path, &mut out.def_path);
    }
}

/// Refuses outputs that would define stages or that nobody looks at.
fn check_outs(ignore: &Ignore, stage: &Stage) -> Result<()> {
    for out in &stage.outs {
        if is_project_file(&out.path) {
            return Err(Error::StageFileAsOutput { path: out.path.clone() });
        }
        let is_dir = out.digest.map_or_else(|| out.path.is_dir(), |digest| digest.is_dir());
        if let Some(verdict) = ignore.verdict(&out.path, is_dir)?
            && verdict.ignored
        {
            return Err(Error::IgnoredOutput { path: out.path.clone(), pattern: verdict.pattern });
        }
    }
    Ok(())
}

fn is_git_ignored(repo: &Repo, path: &Path) -> Result<bool> {
    repo.git.as_ref().map_or(Ok(false), |git| git.is_ignored(path))
}

pub(crate) fn refuse_git_ignored(repo: &Repo, file: &Path) -> Result<()> {
    if is_git_ignored(repo, file)? {
        return Err(Error::GitIgnoredFile { path: file.to_path_buf() });
    }
    Ok(())
}
