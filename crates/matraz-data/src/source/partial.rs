//! Imports whose data were not looked at when they were made (`--no-download`): they wait below `fs/local` in the cache,
//! under names that DVC gives them, since their own digest is not known.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use matraz_base::Value;
use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use super::import::replace;
use super::import_url::place_of;
use super::objects::{open_recorded, request_of};
use super::url::copy;
use crate::checkout::{Fate, Report};
use crate::hash::digest::Digest;
use crate::hash::md5;
use crate::index::Index;
use crate::remote::fetch;
use crate::stage::Stage;
use crate::target::Selection;
use crate::workspace::{self, Target};
use crate::{Error, Repo, Result};

/// Whether the data of an import are yet to be fetched for the first time.
pub(crate) fn is_partial(stage: &Stage) -> bool {
    stage.is_import() && stage.outs[0].digest.is_none()
}

/// Where the data of such an import are kept.
fn place(repo: &Repo, stage: &Stage) -> Result<PathBuf> {
    let dependency = &stage.deps[0];
    let is_repo = request_of(dependency).is_some();
    let path =
        if is_repo { dependency.def_path.clone() } else { place_of(repo, stage)?.display().to_string() };
    let version = match dependency.digest {
        Some(digest) if digest.is_dir() => digest.to_string(),
        Some(digest) => {
            let size = dependency.meta.size.map(|size| format!("'size': {size}"));
            let executable = dependency.meta.isexec.then(|| "'isexec': True".to_owned());
            let md5 = Some(format!("'md5': '{digest}'"));
            let meta: Vec<String> = [size, executable, md5].into_iter().flatten().collect();
            hash(&format!("({{{}}},)", meta.join(", ")))
        }
        None => hash("({},)"),
    };
    // DVC hashes the tuple of both as Python writes it.
    let both = Value::List(vec![Value::Str(path), Value::Str(version)]).to_string();
    let tuple = format!("({})", both.trim_start_matches('[').trim_end_matches(']'));
    Ok(repo.cache_dir().join("fs/local").join(hash(&tuple)))
}

fn hash(text: &str) -> String {
    Digest::file(md5::of_bytes(text.as_bytes())).hex()
}

/// Brings the data of such an import into the cache. What the source does not have any more as it was stays away.
pub(super) fn fetch(
    repo: &Repo,
    stage: &Stage,
    cwd: &Path,
    report: &mut fetch::Report,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let place = place(repo, stage)?;
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    if place.exists() {
        return Ok(());
    }
    let threads = repo.threads();
    if let Some(request) = request_of(&stage.deps[0]) {
        let source = open_recorded(&request, stage, cwd, &repo.places, Some(repo.cache_dir()))?;
        let path = source.name_from_root(&stage.deps[0].def_path)?;
        return replace(&place, |temp| {
            report.fetched += source.bring(&path, temp, threads, progress, interrupt)?.files;
            Ok(())
        });
    }
    let from = place_of(repo, stage)?;
    let target = [Target::new(from.clone())];
    let found = workspace::hash_many(repo, &target, progress, interrupt.flag())?.pop().flatten();
    if found.is_none_or(|found| Some(found.digest) != stage.deps[0].digest) {
        return Ok(());
    }
    replace(&place, |temp| {
        report.fetched += copy(&from, temp, threads, progress, interrupt)?.files;
        Ok(())
    })
}

/// Puts the data of such imports into the workspace where nothing is yet, and counts them as a checkout does.
pub fn check_out(
    repo: &Repo,
    index: &Index,
    selections: &[Selection],
    report: &mut Report,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    for stage in selections.iter().map(|selection| &index.stages[selection.stage]) {
        if !is_partial(stage) || stage.outs[0].path.exists() {
            continue;
        }
        let target = &stage.outs[0].path;
        let place = place(repo, stage)?;
        if !place.exists() {
            report.failed.push(target.clone());
            continue;
        }
        let brought = copy(&place, target, repo.threads(), progress, interrupt)?;
        if stage.deps[0].meta.isexec {
            let bits = fs::metadata(target).map_err(Error::io("look at", target))?.permissions().mode();
            fs::set_permissions(target, fs::Permissions::from_mode(bits | 0o100))
                .map_err(Error::io("protect", target))?;
        }
        report.stats.added += brought.files as u64;
        report.fates.insert(target.clone(), Fate::Added);
    }
    report.failed.sort();
    report.failed.dedup();
    Ok(())
}
