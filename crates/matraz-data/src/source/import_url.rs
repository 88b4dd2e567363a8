//! `import-url`: data at an address, with a `.dvc` file that remembers it.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;
use matraz_base::{Map, Value};

use super::get::output_path;
use super::import::{self, Depth, Report};
use super::url::{copy, locate};
use crate::add::check_graph;
use crate::index::Index;
use crate::remote::Remote;
use crate::stage::address::{join, relative};
use crate::stage::{self, Dependency, Stage, dot_dvc};
use crate::workspace::{self, Target};
use crate::{Error, Repo, Result};

/// What is imported.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// Where from: a path, or `remote://NAME/path`.
    pub url: String,
    /// Where to: a path, or a folder that exists.
    pub out: Option<String>,
    /// Send the data to a remote at once, and leave workspace and cache alone.
    pub to_remote: bool,
    /// The remote; the default one when none is given.
    pub remote: Option<String>,
    /// Replace what is in the way.
    pub force: bool,
    /// How much is done.
    pub depth: Depth,
    /// Keep to the version that a cloud has of the data now.
    pub version_aware: bool,
    /// Options for the address.
    pub fs_config: IndexMap<String, String>,
    /// How many files are copied at a time.
    pub threads: usize,
}

/// Imports a file or folder.
pub fn import(
    repo: &Repo,
    wanted: &Import,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let target = output_path(&wanted.url, wanted.out.as_deref(), wanted.force, cwd)?;
    repo.config.check_remote(&wanted.url, &wanted.fs_config)?;
    let mut stage = import::stage_at(repo, &target)?;
    stage.deps.push(dependency(repo, wanted, &stage, cwd));
    let from = place_of(repo, &stage)?;
    if wanted.version_aware {
        return Err(Error::NotVersioned { url: wanted.url.clone() });
    }
    if target.starts_with(&from) || from.starts_with(&target) {
        return Err(Error::OverlappingOutputs {
            outer: from.clone(),
            outer_stage: stage.address.display(cwd),
            inner: target,
            inner_stage: stage.address.display(cwd),
        });
    }
    let index = Index::load(repo)?;
    import::keep_notes(&index, &mut stage);
    check_graph(repo, &index, std::iter::once(&stage))?;
    if wanted.to_remote {
        // What is not there is found out first, so that nothing of a half-sent folder is recorded.
        to_remote(repo, &mut stage, wanted.remote.as_deref(), progress, interrupt)?;
        stage.md5 = dot_dvc::import_md5(&stage);
        return import::finish(repo, stage);
    }
    import::refuse_tracked(repo, &stage)?;
    let _locks = repo.lock_paths("import-url", std::iter::once(target.as_path()), interrupt.flag())?;
    if wanted.depth != Depth::NoExec {
        import::say(repo, progress, &stage, cwd);
        look(repo, &mut stage, cwd, progress, interrupt)?;
        if wanted.depth == Depth::Download {
            download(repo, &mut stage, wanted.threads, progress, interrupt)?;
        }
        stage.md5 = dot_dvc::import_md5(&stage);
    }
    import::finish(repo, stage)
}

/// What the `.dvc` file says of the source: paths inside the project relative to it, others as they were given.
fn dependency(repo: &Repo, wanted: &Import, stage: &Stage, cwd: &Path) -> Dependency {
    let typed = join(cwd, &wanted.url);
    let is_own = !wanted.url.contains("://") && typed.exists() && repo.contains(&typed);
    let def_path = if is_own { relative(&typed, &stage.wdir) } else { wanted.url.clone() };
    let options: Map =
        wanted.fs_config.iter().map(|(key, value)| (key.clone(), Value::Str(value.clone()))).collect();
    Dependency {
        path: join(&stage.wdir, &def_path),
        source: if def_path.contains("://") { stage::Source::Url } else { stage::Source::Local },
        def_path,
        fs_config: (!options.is_empty()).then_some(Value::Map(options)),
        ..Dependency::default()
    }
}

/// The path on this machine from which a stage imports.
pub(crate) fn place_of(repo: &Repo, stage: &Stage) -> Result<PathBuf> {
    let dependency = &stage.deps[0];
    match dependency.source {
        stage::Source::Url => locate(&dependency.def_path, &repo.config, &stage.wdir),
        _ => Ok(dependency.path.clone()),
    }
}

/// Records what is at the source now.
pub(super) fn look(
    repo: &Repo,
    stage: &mut Stage,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let target = [Target::new(place_of(repo, stage)?)];
    let found = workspace::hash_many(repo, &target, progress, interrupt.flag())?.pop().flatten();
    let found =
        found.ok_or_else(|| Error::NoSuchDependency { path: import::name_of(repo, &stage.deps[0], cwd) })?;
    let dependency = &mut stage.deps[0];
    dependency.digest = Some(found.digest);
    dependency.meta = found.meta;
    dependency.legacy = false;
    dependency.extra.clear();
    Ok(())
}

/// Copies the source into the workspace and the cache.
pub(super) fn download(
    repo: &Repo,
    stage: &mut Stage,
    threads: usize,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let from = place_of(repo, stage)?;
    let target = stage.outs[0].path.clone();
    import::replace(&target, |temp| copy(&from, temp, threads, progress, interrupt).map(|_| ()))?;
    import::take_in(repo, stage, progress, interrupt)
}

/// Sends the source to a remote, and records it as source and as output.
pub(super) fn to_remote(
    repo: &Repo,
    stage: &mut Stage,
    remote: Option<&str>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut remote = Remote::find(repo, remote)?.as_cache(repo);
    let from = place_of(repo, stage)?;
    let nowhere =
        || Error::NoSuchPath { path: from.display().to_string(), source_url: stage.deps[0].def_path.clone() };
    let target = [Target::new(from.clone())];
    let sent = workspace::save_many(repo, &mut remote, &target, progress, interrupt.flag())?.pop().flatten();
    let content = sent.ok_or_else(nowhere)?;
    let (dependency, out) = (&mut stage.deps[0], &mut stage.outs[0]);
    dependency.digest = Some(content.digest);
    dependency.meta = content.meta.clone();
    dependency.legacy = false;
    out.digest = Some(content.digest);
    out.meta = crate::Meta { isexec: false, ..content.meta };
    out.legacy = false;
    out.extra.shift_remove("files");
    Ok(())
}
