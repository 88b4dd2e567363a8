//! `update`: brings imports to what their sources are now.

use std::collections::BTreeMap;
use std::path::Path;

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;
use matraz_base::{Map, Value};

use super::import::{self, Report};
use super::objects::{open_recorded, request_of};
use super::{Request, Source, import_url};
use crate::cache::Cache;
use crate::checkout::{self, Wanted};
use crate::index::Index;
use crate::pipeline::changes::{self, Changes};
use crate::pipeline::content::Contents;
use crate::stage::{self, Stage, dot_dvc};
use crate::target::{self, TargetOptions};
use crate::{Error, Repo, Result};

/// How imports are updated.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The revision to follow from now on.
    pub rev: Option<String>,
    /// Folders stand for all imports below them.
    pub recursive: bool,
    /// Record what is there now, and leave the data for `pull`.
    pub no_download: bool,
    /// Send the data to a remote at once, and leave workspace and cache alone.
    pub to_remote: bool,
    /// The remote; the default one when none is given.
    pub remote: Option<String>,
    /// How many files are copied at a time.
    pub threads: usize,
}

/// Updates the targets.
pub fn update(
    repo: &Repo,
    targets: &[String],
    options: &Options,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let index = Index::load(repo)?;
    let how = TargetOptions { with_deps: false, recursive: options.recursive };
    let selections = target::select(repo, &index, targets, how, cwd)?;
    let stages: BTreeMap<usize, &Stage> =
        selections.iter().map(|selection| (selection.stage, &index.stages[selection.stage])).collect();
    let (imports, others): (Vec<&Stage>, Vec<&Stage>) =
        stages.into_values().partition(|stage| stage.is_import());
    let mut report = Report::default();
    for stage in imports {
        let mut stage = stage.clone();
        let outs = std::iter::once(stage.outs[0].path.as_path());
        let _locks = repo.lock_paths("update", outs, interrupt.flag())?;
        Update { repo, options, cwd, progress, interrupt }.one(&mut stage)?;
        if let Some(git) = &repo.git {
            report.changed.extend(git.ignore(&stage.outs[0].path)?);
        }
        if dot_dvc::save(&stage)? {
            report.changed.push(stage.address.file.clone());
        }
    }
    if !others.is_empty() {
        let refused = [
            (options.rev.is_some(), "--rev"),
            (options.no_download, "--no-download"),
            (options.to_remote, "--to-remote"),
        ];
        if let Some((_, option)) = refused.into_iter().find(|(given, _)| *given) {
            return Err(Error::NotAnImport { stage: others[0].address.display(cwd), option });
        }
        for out in others.iter().flat_map(|stage| &stage.outs) {
            let name = stage::address::relative(&out.path, cwd);
            progress.warn(&format!("Could not update '{name}', it was never pushed to a remote"));
        }
    }
    repo.stage_for_git(&report.changed)?;
    Ok(report)
}

/// Runs an import that is not frozen again, as `repro` does. Whether there was anything to do.
pub(crate) fn rerun(
    repo: &Repo,
    stage: &mut Stage,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let options = Options { threads: repo.threads(), ..Options::default() };
    let update = Update { repo, options: &options, cwd, progress, interrupt };
    import::say(repo, progress, stage, cwd);
    let changes = update.changes(stage)?;
    update.run(stage, &changes)
}

/// Whether the source of an import from another repository has moved on since it was locked.
pub(crate) fn is_available(
    repo: &Repo,
    stage: &Stage,
    known: &mut BTreeMap<(String, Option<String>), String>,
) -> Result<bool> {
    let Some(locked) = request_of(&stage.deps[0]) else { return Ok(false) };
    let Some(lock) = text(&stage.deps[0], "rev_lock") else { return Ok(false) };
    let rev = text(&stage.deps[0], "rev");
    let key = (locked.url.clone(), rev.clone());
    if let Some(commit) = known.get(&key) {
        return Ok(*commit != lock);
    }
    let request = Request { rev, ..locked };
    let source = open_recorded(&request, stage, &repo.root, &repo.places, None)?;
    let commit = source.commit()?;
    let moved = commit != lock;
    known.insert(key, commit);
    Ok(moved)
}

fn text(dependency: &stage::Dependency, key: &str) -> Option<String> {
    let stage::Source::Repo(repo) = &dependency.source else { return None };
    repo.get(key).and_then(Value::as_str).map(str::to_owned)
}

struct Update<'u> {
    repo: &'u Repo,
    options: &'u Options,
    cwd: &'u Path,
    progress: &'u dyn Progress,
    interrupt: &'u Interrupt,
}

impl Update<'_> {
    /// Updates one import.
    fn one(&self, stage: &mut Stage) -> Result<()> {
        let is_repo = matches!(stage.deps[0].source, stage::Source::Repo(_));
        if is_repo {
            let source = self.open(stage, self.options.rev.as_deref())?;
            if let (Some(rev), stage::Source::Repo(Value::Map(repo))) =
                (&self.options.rev, &mut stage.deps[0].source)
            {
                set(repo, "rev", rev);
            }
            import::lock_to(stage, &source.commit()?);
        }
        let changes = self.changes(stage)?;
        if self.options.to_remote {
            if is_repo {
                return Err(Error::RepoToRemote);
            }
            import_url::look(self.repo, stage, self.cwd, self.progress, self.interrupt)?;
            let remote = self.options.remote.as_deref();
            return import_url::to_remote(self.repo, stage, remote, self.progress, self.interrupt);
        }
        if changes.is_empty() {
            let name = stage.address.display(self.cwd);
            self.progress.say(&format!("'{name}' didn't change, skipping"));
            return Ok(());
        }
        import::say(self.repo, self.progress, stage, self.cwd);
        self.run(stage, &changes)
    }

    /// What differs from what is recorded; that a repository has moved on is not asked.
    fn changes(&self, stage: &Stage) -> Result<Changes> {
        let mut cache = Cache::open(self.repo);
        let mut contents = Contents::new(self.repo, self.progress, self.interrupt);
        let thawed = Stage { frozen: false, ..stage.clone() };
        let look = [&thawed];
        let updates = changes::Updates::Ignored;
        let found = changes::of_stages(self.repo, &mut cache, &look, &mut contents, updates, self.interrupt)?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    fn run(&self, stage: &mut Stage, changes: &Changes) -> Result<()> {
        let is_repo = matches!(stage.deps[0].source, stage::Source::Repo(_));
        let recorded = stage.outs[0].digest.is_some() && !changes.command && changes.deps.is_empty();
        let is_cached =
            !changes.outs.iter().any(|(_, change)| *change == crate::workspace::Change::NotInCache);
        if recorded && is_cached && !self.options.no_download {
            let mut cache = Cache::open(self.repo);
            let wanted = [Wanted::whole(&stage.outs[0])];
            let how = checkout::Options { force: true, relink: false };
            let stop = self.interrupt.flag();
            checkout::checkout(self.repo, &mut cache, &wanted, how, self.progress, stop)?;
            return Ok(());
        }
        if !is_repo {
            import_url::look(self.repo, stage, self.cwd, self.progress, self.interrupt)?;
        }
        if self.options.no_download {
            import::remove(&stage.outs[0].path)?;
            // DVC takes the hash before it forgets what was there; its `status` expects that.
            stage.md5 = dot_dvc::import_md5(stage);
            let out = &mut stage.outs[0];
            out.digest = None;
            out.meta = crate::Meta::default();
            out.legacy = false;
            out.extra.clear();
            return Ok(());
        }
        if is_repo {
            let rev = text(&stage.deps[0], "rev");
            let source = self.open(stage, rev.as_deref())?;
            let path = source.name_from_root(&stage.deps[0].def_path)?;
            let target = stage.outs[0].path.clone();
            import::replace(&target, |temp| {
                source.bring(&path, temp, self.options.threads, self.progress, self.interrupt).map(|_| ())
            })?;
            import::lock_to(stage, &source.commit()?);
            import::take_in(self.repo, stage, self.progress, self.interrupt)?;
        } else {
            import_url::download(self.repo, stage, self.options.threads, self.progress, self.interrupt)?;
        }
        stage.md5 = dot_dvc::import_md5(stage);
        Ok(())
    }

    /// The repository of an import at a revision: at the recorded one, or as it is now.
    fn open(&self, stage: &Stage, rev: Option<&str>) -> Result<Source> {
        let recorded = request_of(&stage.deps[0]).unwrap_or_default();
        let rev = rev.map(str::to_owned).or_else(|| text(&stage.deps[0], "rev"));
        let request = Request { rev, ..recorded };
        open_recorded(&request, stage, self.cwd, &self.repo.places, Some(self.repo.cache_dir()))
    }
}

fn set(repo: &mut Map, key: &str, value: &str) {
    repo.insert(key.into(), Value::Str(value.to_owned()));
}
