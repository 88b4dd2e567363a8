//! `add`: puts files and folders under the project's care.
//!
//! Each target gets a `.dvc` file beside it and a line in `.gitignore`; its content goes into the cache. A target that
//! is or lies in data that are tracked already brings those up to date.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use indexmap::IndexMap;
use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use crate::cache::{Cache, Corrupted, Object};
use crate::checkout::{self, Wanted};
use crate::hash::digest::Meta;
use crate::hash::tree::{Entry, Tree};
use crate::index::{Index, is_project_file, refuse_git_ignored};
use crate::pipeline::graph::Graph;
use crate::remote::Remote;
use crate::repo::DVC_DIR;
use crate::stage::address::{join, relative};
use crate::stage::{Address, DATA_SUFFIX, Output, Stage, dot_dvc};
use crate::target::OutputMap;
use crate::workspace::{self, Content, Target};
use crate::{Error, Repo, Result};

/// How targets are added.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Take the digests and write the `.dvc` files, and leave the cache alone.
    pub no_commit: bool,
    /// Leave the files as they are even when the settings ask for links.
    pub no_relink: bool,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    /// The `.dvc` files of the targets, in their order.
    pub files: Vec<PathBuf>,
    /// Files for git: `.dvc` and `.gitignore` files that were written.
    pub changed: Vec<PathBuf>,
    /// The first target that could not be added. Those before it were.
    pub failure: Option<Error>,
    /// Corrupted cache objects that were met; they are removed.
    pub corrupted: Vec<Corrupted>,
}

/// A target that is copied somewhere as it is added.
#[derive(Clone, Debug, Default)]
pub struct Transfer {
    /// The file or folder, anywhere on this machine.
    pub source: PathBuf,
    /// Where it goes: a path, or a folder that exists. Its own name in the current folder when not given.
    pub out: Option<String>,
    /// Send the content to a remote, and leave workspace and cache alone.
    pub to_remote: bool,
    /// The remote; the default one when none is given.
    pub remote: Option<String>,
    /// Replace what is in the way.
    pub force: bool,
}

/// Adds a copy of a file or folder (`add --out`), or sends it to a remote at once (`add --to-remote`).
pub fn transfer(
    repo: &Repo,
    transfer: &Transfer,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let stop = interrupt.flag();
    let source = join(cwd, &transfer.source.to_string_lossy());
    let name = source.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let target = match &transfer.out {
        Some(out) if join(cwd, out).is_dir() => format!("{out}/{name}"),
        Some(out) => out.clone(),
        None if repo.contains(&source) => source.to_string_lossy().into_owned(),
        None => name,
    };
    let path = join(cwd, &target);
    if transfer.out.is_some() && !transfer.force && path.symlink_metadata().is_ok() {
        return Err(Error::InTheWay { path });
    }
    if !path.parent().is_some_and(Path::is_dir) {
        return Err(Error::NothingThere { path: path.parent().unwrap_or(&path).to_path_buf() });
    }
    let index = Index::load(repo)?;
    let mut job = find_or_make(repo, &index, &OutputMap::of(&index), &target, cwd)?;
    if !job.part.is_empty() {
        return Err(Error::InsideFile { file: job.stage.outs[0].path.clone(), path });
    }
    check_graph(repo, &index, std::iter::once(&job.stage))?;
    let _locks = repo.lock_paths("add", std::iter::once(path.as_path()), stop)?;
    let mut cache = if transfer.to_remote {
        Remote::find(repo, transfer.remote.as_deref())?.as_cache(repo)
    } else {
        Cache::open(repo)
    };
    let content = workspace::save_many(repo, &mut cache, &[Target::new(source.clone())], progress, stop)?
        .pop()
        .flatten()
        .ok_or(Error::NothingThere { path: source })?;
    let mut report = Report::default();
    let Some(out) = job.stage.outs.iter_mut().find(|out| out.path == path) else {
        return Err(Error::NothingThere { path });
    };
    out.digest = Some(content.digest);
    out.meta = content.meta;
    out.legacy = false;
    out.extra.shift_remove("files");
    if !transfer.to_remote {
        let options = checkout::Options { force: transfer.force, relink: false };
        checkout::checkout(repo, &mut cache, &[Wanted::whole(out)], options, progress, stop)?;
        if let Some(git) = &repo.git {
            report.changed.extend(git.ignore(&out.path)?);
        }
    }
    dot_dvc::save(&job.stage)?;
    report.changed.push(job.stage.address.file.clone());
    report.files.push(job.stage.address.file.clone());
    report.corrupted = cache.take_corrupted();
    repo.stage_for_git(&report.changed)?;
    Ok(report)
}

/// A target and the stage that tracks it.
struct Job {
    stage: Stage,
    /// The target.
    path: PathBuf,
    /// What of the output is brought up to date; empty for the whole.
    part: String,
}

/// Adds paths, which are taken from the folder `cwd`.
pub fn add(
    repo: &Repo,
    targets: &[String],
    options: &Options,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let stop = interrupt.flag();
    let index = Index::load(repo)?;
    let outputs = OutputMap::of(&index);
    let mut jobs: Vec<Job> = Vec::new();
    let mut named = HashSet::new();
    for target in targets {
        let job = find_or_make(repo, &index, &outputs, target, cwd)?;
        if named.insert(job.path.clone()) {
            jobs.push(job);
        }
    }
    check_graph(repo, &index, jobs.iter().map(|job| &job.stage))?;
    let mut report = Report::default();
    let mut cache = Cache::open(repo);
    // Nothing of a refused target may reach the cache, so refusals come first.
    let mut failure = None;
    for (n, job) in jobs.iter().enumerate() {
        if let Err(error) = refuse(repo, &mut cache, job) {
            failure = Some(error);
            jobs.truncate(n);
            break;
        }
    }
    let looked_at: Vec<Target> = jobs.iter().map(|job| Target::new(job.path.clone())).collect();
    let _locks = repo.lock_paths("add", jobs.iter().map(|job| job.path.as_path()), stop)?;
    let legacy_kept = keep_legacy(repo, &jobs, progress, stop)?;
    let contents = if options.no_commit {
        workspace::hash_many(repo, &looked_at, progress, stop)?
    } else {
        workspace::save_many(repo, &mut cache, &looked_at, progress, stop)?
    };
    // Several targets may lie in one folder; the later ones go on from where the earlier ones left it.
    let mut updated: IndexMap<Address, Stage> = IndexMap::new();
    let mut parts: Vec<(Output, String, bool)> = Vec::new();
    for ((job, content), keeps_legacy) in jobs.into_iter().zip(contents).zip(legacy_kept) {
        let mut stage = updated.get(&job.stage.address).unwrap_or(&job.stage).clone();
        let linked = content.as_ref().is_none_or(|content| content.linked);
        let recorded = match stage.outs.iter_mut().find(|out| job.path.starts_with(&out.path)) {
            None => Err(Error::NothingThere { path: job.path.clone() }),
            Some(out) => {
                let recorded = if keeps_legacy {
                    Ok(())
                } else {
                    record(&mut cache, out, &job, content, options.no_commit)
                };
                recorded.map(|()| parts.push((out.clone(), job.part.clone(), linked)))
            }
        };
        if let Err(error) = recorded {
            failure = Some(error);
            break;
        }
        report.files.push(stage.address.file.clone());
        updated.insert(stage.address.clone(), stage);
    }
    // When a target fails, DVC leaves `.gitignore` as it was, also for those that did not.
    if let (Some(git), None) = (&repo.git, &failure) {
        let outs: Vec<&PathBuf> = parts.iter().map(|(out, ..)| &out.path).collect();
        report.changed.extend(git.ignore_many(&outs)?.files);
    }
    if !options.no_commit && !options.no_relink {
        let wanted: Vec<Wanted<'_>> = parts
            .iter()
            .map(|(output, part, linked)| Wanted { output, part: part.clone(), linked: *linked })
            .collect();
        checkout::relink_if_needed(repo, &mut cache, &wanted, progress, stop)?;
    }
    let stages: Vec<Stage> = updated.into_values().collect();
    dot_dvc::save_many(&stages)?;
    report.changed.extend(report.files.iter().cloned());
    report.failure = failure;
    report.corrupted = cache.take_corrupted();
    report.changed.sort();
    report.changed.dedup();
    repo.stage_for_git(&report.changed)?;
    Ok(report)
}

/// The stage that tracks a target, or a new one.
fn find_or_make(
    repo: &Repo,
    index: &Index,
    outputs: &OutputMap<'_>,
    target: &str,
    cwd: &Path,
) -> Result<Job> {
    let path = join(cwd, target);
    if target.is_empty() {
        return Err(Error::NothingThere { path });
    }
    if is_project_file(&path) {
        return Err(Error::StageFileAsOutput { path });
    }
    if !repo.contains(&path) || path == repo.root {
        return Err(Error::OutsideProject { path });
    }
    if path.strip_prefix(&repo.root).is_ok_and(|inside| inside.iter().any(|part| part == DVC_DIR)) {
        return Err(Error::InternalPath { path });
    }
    if let Some((number, out)) = outputs.at(&path) {
        let stage = &index.stages[number];
        if stage.cmd.is_some() {
            return Err(Error::StageOutput { path, stage: stage.address.display(cwd) });
        }
        let part = relative_part(&path, &out.path);
        return Ok(Job { stage: stage.clone(), path, part });
    }
    let behind = path.ancestors().skip(1).take_while(|folder| *folder != repo.root).find(|f| f.is_symlink());
    if let Some(link) = behind {
        return Err(Error::AddThroughLink { link: link.to_path_buf(), path });
    }
    if path.is_symlink() && path.is_dir() {
        return Err(Error::AddThroughLink { link: path.clone(), path });
    }
    Ok(Job { stage: new_stage(&path)?, path, part: String::new() })
}

fn relative_part(path: &Path, out: &Path) -> String {
    if path == out { String::new() } else { relative(path, out) }
}

/// A stage that tracks `path` by a `.dvc` file beside it.
pub(crate) fn new_stage(path: &Path) -> Result<Stage> {
    let missing = || Error::NothingThere { path: path.to_path_buf() };
    let folder = path.parent().ok_or_else(missing)?;
    let name = path.file_name().ok_or_else(missing)?;
    let name = name.to_str().ok_or_else(|| Error::NotUnicode { path: path.to_path_buf() })?;
    let file = folder.join(format!("{name}{DATA_SUFFIX}"));
    // A file that lost its output keeps nothing worth keeping.
    let mut stage = Stage::new(Address { file, name: None }, folder.to_path_buf());
    stage.outs.push(Output::new(path.to_path_buf(), name));
    Ok(stage)
}

/// Whether the project's stages still fit together with these in place of their older forms.
pub(crate) fn check_graph<'s>(
    repo: &Repo,
    index: &Index,
    stages: impl Iterator<Item = &'s Stage>,
) -> Result<()> {
    let mut all: IndexMap<&Address, &Stage> =
        index.stages.iter().map(|stage| (&stage.address, stage)).collect();
    let mut new = Vec::new();
    for stage in stages {
        refuse_git_ignored(repo, &stage.address.file)?;
        new.push(stage.address.display(&repo.root));
        all.insert(&stage.address, stage);
    }
    let all: Vec<Stage> = all.into_values().cloned().collect();
    Graph::build(&all, &repo.root).map(|_| ()).map_err(|error| error.without_new(&new))
}

fn refuse(repo: &Repo, cache: &mut Cache, job: &Job) -> Result<()> {
    let exists = fs::metadata(&job.path).is_ok();
    if let Some(out) = job.stage.outs.iter().find(|out| job.path.starts_with(&out.path)) {
        let is_file = out.digest.is_some_and(|digest| !digest.is_dir());
        if is_file && !job.part.is_empty() {
            return Err(Error::InsideFile { path: job.path.clone(), file: out.path.clone() });
        }
        if let Some(verdict) = repo.ignore().verdict(&out.path, out.path.is_dir())?
            && verdict.ignored
        {
            return Err(Error::IgnoredOutput { path: out.path.clone(), pattern: verdict.pattern });
        }
        if let Some(git) = &repo.git
            && exists
            && git.is_tracked(&out.path)?
        {
            return Err(Error::GitTrackedOutput { path: out.path.clone() });
        }
    }
    if !exists && job.part.is_empty() {
        return Err(Error::NothingThere { path: job.path.clone() });
    }
    let around = job.stage.outs.iter().find(|out| !job.part.is_empty() && job.path.starts_with(&out.path));
    if let Some(out) = around {
        listing(cache, out)?;
    }
    Ok(())
}

/// The listing of the folder `out`; an empty one when nothing is recorded of it yet.
fn listing(cache: &mut Cache, out: &Output) -> Result<Tree> {
    let Some(digest) = out.digest else { return Ok(Tree::default()) };
    let object = Object { digest, legacy: out.legacy };
    let path = cache.path(&object);
    cache.tree(&object)?.ok_or(Error::MissingTree { folder: out.path.clone(), path })
}

/// Which of the jobs are whole outputs of DVC 2 whose content has not changed: they stay as they are.
fn keep_legacy(repo: &Repo, jobs: &[Job], progress: &dyn Progress, stop: &AtomicBool) -> Result<Vec<bool>> {
    let mut kept = vec![false; jobs.len()];
    for (kept, job) in kept.iter_mut().zip(jobs) {
        let legacy = job.stage.outs.iter().find(|out| out.path == job.path && out.legacy);
        if let Some(digest) = legacy.and_then(|out| out.digest) {
            let target = Target::with_legacy(job.path.clone(), true);
            let found = workspace::hash_many(repo, &[target], progress, stop)?;
            *kept = found[0].as_ref().is_some_and(|content| content.digest == digest);
        }
    }
    Ok(kept)
}

/// Writes the content of a target into its output.
fn record(
    cache: &mut Cache,
    out: &mut Output,
    job: &Job,
    content: Option<Content>,
    no_commit: bool,
) -> Result<()> {
    if job.part.is_empty() {
        let content = content.ok_or_else(|| Error::NothingThere { path: job.path.clone() })?;
        out.digest = Some(content.digest);
        out.meta = content.meta;
    } else {
        let old = listing(cache, out)?;
        let (tree, meta) = match content {
            None => {
                if old.below(&job.part).next().is_none() {
                    return Err(Error::NothingThere { path: job.path.clone() });
                }
                let (tree, _) = old.with(&job.part, &[]);
                let meta = Meta { nfiles: Some(tree.len() as u64), ..Meta::default() };
                (tree, meta)
            }
            Some(content) => {
                let entries = match &content.tree {
                    Some(tree) => tree.entries().to_vec(),
                    None => vec![Entry { path: String::new(), digest: content.digest }],
                };
                let (tree, appended) = old.with(&job.part, &entries);
                // The size of a folder is not in its listing: it is known only if nothing was replaced.
                let size = match (out.meta.size.filter(|size| *size > 0), content.meta.size) {
                    (Some(before), Some(new)) if appended => Some(before + new),
                    _ if out.digest == Some(tree.digest()) => out.meta.size,
                    _ => None,
                };
                let nfiles = Some(tree.len() as u64);
                (tree, Meta { size, nfiles, isexec: false })
            }
        };
        out.digest = Some(if no_commit { tree.digest() } else { cache.save_tree(&tree)?.digest });
        out.meta = meta;
    }
    out.legacy = false;
    out.extra.shift_remove("files");
    Ok(())
}
