//! `import`: data of another repository, with a `.dvc` file that remembers where they came from.

use std::fs;
use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;
use matraz_base::{Map, Value};

use super::get::output_path;
use super::{Request, Source};
use crate::add::{check_graph, new_stage};
use crate::cache::Cache;
use crate::checkout::{self, Wanted};
use crate::index::{Index, is_project_file};
use crate::stage::address::relative;
use crate::stage::{self, Dependency, Stage, dot_dvc};
use crate::workspace::{self, Target};
use crate::{Error, Repo, Result};

/// How much of an import is done at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// All of it.
    #[default]
    Download,
    /// The source is looked up, and its data are left for `pull`.
    NoDownload,
    /// Nothing is looked at; only the `.dvc` file is written.
    NoExec,
}

/// What is imported.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The repository.
    pub request: Request,
    /// The path there.
    pub path: String,
    /// Where to: a path, or a folder that exists.
    pub out: Option<String>,
    /// Replace what is in the way.
    pub force: bool,
    /// How much is done.
    pub depth: Depth,
    /// How many files are copied at a time.
    pub threads: usize,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    /// Files for git: `.dvc` and `.gitignore` files that were written.
    pub changed: Vec<PathBuf>,
}

/// Imports a file or folder.
pub fn import(
    repo: &Repo,
    import: &Import,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let target = output_path(&import.path, import.out.as_deref(), import.force, cwd)?;
    let mut stage = stage_at(repo, &target)?;
    stage.deps.push(Dependency {
        path: stage.wdir.join(&import.path),
        def_path: import.path.clone(),
        source: stage::Source::Repo(recorded(&import.request)?),
        ..Dependency::default()
    });
    let index = Index::load(repo)?;
    keep_notes(&index, &mut stage);
    check_graph(repo, &index, std::iter::once(&stage))?;
    refuse_tracked(repo, &stage)?;
    let _locks = repo.lock_paths("import", std::iter::once(target.as_path()), interrupt.flag())?;
    if import.depth != Depth::NoExec {
        say(repo, progress, &stage, cwd);
        let source = Source::open(&import.request, cwd, &repo.places, Some(&repo.cache_dir()))?;
        lock_to(&mut stage, &source.commit()?);
        if import.depth == Depth::Download {
            let path = source.name_of(&import.path, cwd)?;
            replace(&target, |temp| {
                source.bring(&path, temp, import.threads, progress, interrupt).map(|_| ())
            })?;
            take_in(repo, &mut stage, progress, interrupt)?;
        }
        stage.md5 = dot_dvc::import_md5(&stage);
    }
    finish(repo, stage)
}

/// Writes the `.dvc` file of a new import and keeps git from its data.
pub(super) fn finish(repo: &Repo, mut stage: Stage) -> Result<Report> {
    let mut report = Report::default();
    if let Some(git) = &repo.git {
        report.changed.extend(git.ignore(&stage.outs[0].path)?);
    }
    stage.frozen = true;
    dot_dvc::save(&stage)?;
    report.changed.push(stage.address.file.clone());
    repo.stage_for_git(&report.changed)?;
    Ok(report)
}

/// Tells the user where data come from and go to.
pub(crate) fn say(repo: &Repo, progress: &dyn Progress, stage: &Stage, cwd: &Path) {
    let out = relative(&stage.outs[0].path, cwd);
    progress.say(&format!("Importing '{}' -> '{out}'", name_of(repo, &stage.deps[0], cwd)));
}

/// The source of an import as DVC shows it.
pub fn name_of(repo: &Repo, dependency: &Dependency, cwd: &Path) -> String {
    match &dependency.source {
        stage::Source::Repo(other) => {
            let url = other.get("url").and_then(Value::as_str).unwrap_or_default();
            format!("{} ({url})", dependency.def_path)
        }
        stage::Source::Url | stage::Source::Dataset(_) => dependency.def_path.clone(),
        stage::Source::Local if repo.contains(&dependency.path) => relative(&dependency.path, cwd),
        stage::Source::Local => dependency.path.display().to_string(),
    }
}

/// A stage that owns `target`, which has no dependency yet.
pub(super) fn stage_at(repo: &Repo, target: &Path) -> Result<Stage> {
    if is_project_file(target) {
        return Err(Error::StageFileAsOutput { path: target.to_path_buf() });
    }
    if !repo.contains(target) || target == repo.root {
        return Err(Error::OutsideProject { path: target.to_path_buf() });
    }
    let folder = target.parent().unwrap_or(&repo.root);
    if !folder.is_dir() {
        return Err(Error::NoSuchFile { path: folder.to_path_buf() });
    }
    let mut behind = target.ancestors().skip(1).take_while(|folder| *folder != repo.root);
    if let Some(link) = behind.find(|folder| folder.is_symlink()) {
        return Err(Error::ThroughLink { link: link.to_path_buf(), path: target.to_path_buf() });
    }
    let stage = new_stage(target)?;
    if let Some(git) = &repo.git
        && git.is_ignored(&stage.address.file)?
    {
        return Err(Error::GitIgnoredFile { path: stage.address.file });
    }
    Ok(stage)
}

/// What people wrote into the `.dvc` file that is replaced stays.
pub(super) fn keep_notes(index: &Index, stage: &mut Stage) {
    let Some(old) = index.stage(&stage.address) else { return };
    stage.desc = old.desc.clone();
    stage.meta = old.meta.clone();
    for out in &mut stage.outs {
        if let Some(old) = old.outs.iter().find(|old| old.path == out.path) {
            out.take_notes(old);
        }
    }
}

pub(super) fn refuse_tracked(repo: &Repo, stage: &Stage) -> Result<()> {
    let path = &stage.outs[0].path;
    match &repo.git {
        Some(git) if git.is_tracked(path)? => Err(Error::GitTrackedOutput { path: path.clone() }),
        _ => Ok(()),
    }
}

/// Makes `target` anew: `make` fills a place beside it, which then takes the place of what was there.
pub(super) fn replace(target: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let temp = target.with_file_name(format!(".matraz-{}-import.tmp", std::process::id()));
    remove(&temp)?;
    let made = make(&temp).and_then(|()| {
        remove(target)?;
        fs::rename(&temp, target).map_err(Error::io("write", target))
    });
    if made.is_err() {
        remove(&temp)?;
    }
    made
}

/// Removes a file, a link or a folder; it is no error when there is none.
pub(super) fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if !crate::cache::absent(&error) => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Records what is in the workspace and stores it in the cache.
pub(super) fn take_in(
    repo: &Repo,
    stage: &mut Stage,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut cache = Cache::open(repo);
    let out = &mut stage.outs[0];
    let target = [Target::new(out.path.clone())];
    let content =
        workspace::save_many(repo, &mut cache, &target, progress, interrupt.flag())?.pop().flatten();
    let content = content.ok_or_else(|| Error::NothingThere { path: out.path.clone() })?;
    out.digest = Some(content.digest);
    out.meta = content.meta;
    out.legacy = false;
    out.extra.shift_remove("files");
    checkout::relink_if_needed(repo, &mut cache, &[Wanted::whole(out)], progress, interrupt.flag())
}

/// Writes the commit that was found into the dependency.
pub(super) fn lock_to(stage: &mut Stage, commit: &str) {
    if let stage::Source::Repo(Value::Map(repo)) = &mut stage.deps[0].source {
        repo.insert("rev_lock".into(), Value::Str(commit.to_owned()));
        sort(repo);
    }
}

/// Brings the keys of a recorded repository into DVC's order.
fn sort(repo: &mut Map) {
    const ORDER: [&str; 5] = ["url", "rev", "rev_lock", "config", "remote"];
    let place = |key: &str| ORDER.iter().position(|known| *known == key);
    repo.sort_by(|a, _, b, _| place(a).cmp(&place(b)));
}

/// What the `.dvc` file says of the repository.
fn recorded(request: &Request) -> Result<Value> {
    let text = |text: &str| Value::Str(text.to_owned());
    let options =
        || -> Map { request.remote_config.iter().map(|(key, value)| (key.clone(), text(value))).collect() };
    let mut repo = Map::new();
    repo.insert("url".into(), text(&request.url));
    if let Some(rev) = &request.rev {
        repo.insert("rev".into(), text(rev));
    }
    let both = request.remote.is_some() && !request.remote_config.is_empty();
    match (&request.config, &request.remote) {
        (Some(_), _) if both => return Err(Error::ConfigAndRemote),
        (None, Some(name)) if both => {
            let map = |key: &str, value: Value| Value::Map(Map::from_iter([(key.to_owned(), value)]));
            let mut config = Map::new();
            config.insert("core".into(), map("remote", text(name)));
            config.insert("remote".into(), map(name, Value::Map(options())));
            repo.insert("config".into(), Value::Map(config));
        }
        (config, remote) => {
            if let Some(file) = config {
                repo.insert("config".into(), text(file));
            }
            if let Some(name) = remote {
                repo.insert("remote".into(), text(name));
            } else if !request.remote_config.is_empty() {
                repo.insert("remote".into(), Value::Map(options()));
            }
        }
    }
    Ok(Value::Map(repo))
}
