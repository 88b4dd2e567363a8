//! The end of an experiment: what it left in the work tree becomes a commit.

use std::path::PathBuf;

use matraz_base::value::python_json;
use matraz_base::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::error::ExperimentError;
use super::start::{Start, git_of};
use crate::git::Git;
use crate::index::Index;
use crate::pipeline::RunReport;
use crate::stage::address::join;
use crate::stage::dvc_yaml::PlotDefinition;
use crate::stage::{Address, LockEntry, Source, Stage};
use crate::{Error, Repo, Result};

/// The name that DVC gives to what stages read and made.
pub fn hash<'s>(stages: impl Iterator<Item = &'s Stage>) -> String {
    let entries = stages.filter_map(|stage| {
        let name = stage.address.name.clone()?;
        Some((name, LockEntry::of(stage).to_value()))
    });
    let entries: Map = entries.collect();
    let json = python_json(&Value::Map(entries), true);
    Sha256::digest(json.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Commits what a reproduction left: the tracked files, the files of its stages, and `more`. The reference is not
/// written.
pub fn commit_run(
    repo: &Repo,
    start: &Start,
    report: &RunReport,
    more: &[PathBuf],
    message: Option<&str>,
) -> Result<String> {
    let git = git_of(repo)?;
    let index = Index::load(repo)?;
    let find = |address: &Address| index.stage(address);
    let mut files: Vec<PathBuf> = more.to_vec();
    for stage in report.planned.iter().filter_map(find) {
        files.extend(files_of(&index, stage));
    }
    files.extend(top_level(&index));
    let files = tracked_ones(git, files)?;
    let digest = hash(report.reproduced.iter().filter_map(find));
    commit(git, start, &digest, &files, &[], message)
}

/// Commits the tracked files and `files`; `forced` ones even if git ignores them.
pub fn commit(
    git: &Git,
    start: &Start,
    digest: &str,
    files: &[PathBuf],
    forced: &[PathBuf],
    message: Option<&str>,
) -> Result<String> {
    let draft = git.draft()?;
    draft.add(files, false)?;
    draft.add(forced, true)?;
    let default = format!("dvc: commit experiment {digest}");
    git.commit_tree(&draft.tree()?, &[&start.baseline], message.unwrap_or(&default))
}

/// Lets the experiment's reference name its commit. Without `force` there must be none, or one with the same files.
pub fn publish(git: &Git, start: &Start, commit: &str, force: bool) -> Result<String> {
    let reference = start.reference().path();
    if force {
        git.set_reference(&reference, commit, None)?;
    } else if !git.create_reference(&reference, commit)? {
        let known = git.reference(&reference).ok_or_else(|| taken(start))?;
        if git.tree_of(&known)? != git.tree_of(commit)? {
            return Err(taken(start));
        }
        return Ok(known);
    }
    Ok(commit.to_owned())
}

fn taken(start: &Start) -> Error {
    ExperimentError::Exists { name: start.name.clone() }.into()
}

/// Files of a stage that git keeps: its definition, its lock, what it reads and makes without the cache.
fn files_of(index: &Index, stage: &Stage) -> Vec<PathBuf> {
    let mut files = vec![stage.address.file.clone()];
    files.extend(index.locks.get(&stage.address.file).map(|lock| lock.path.clone()));
    let is_output = |path: &PathBuf| {
        let mut outs = index.stages.iter().flat_map(|stage| &stage.outs);
        outs.any(|out| out.cache && path.starts_with(&out.path))
    };
    let deps = stage.deps.iter().filter(|dep| dep.source == Source::Local).map(|dep| &dep.path);
    let params = stage.params.iter().map(|params| &params.path);
    files.extend(deps.chain(params).filter(|path| !is_output(path)).cloned());
    files.extend(stage.outs.iter().filter(|out| !out.cache).map(|out| out.path.clone()));
    files
}

/// The files that pipeline files name as metrics, parameters and plots without a stage.
pub fn top_level(index: &Index) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for pipeline in &index.pipelines {
        let Some(folder) = pipeline.document.path.parent() else { continue };
        files.extend(pipeline.metrics.iter().map(|file| join(folder, file)));
        files.extend(pipeline.params.iter().map(|file| join(folder, file)));
        files.extend(plot_sources(&pipeline.plots).iter().map(|file| join(folder, file)));
    }
    files
}

/// The files that a `plots:` section draws.
fn plot_sources(plots: &[PlotDefinition]) -> Vec<String> {
    let mut files = Vec::new();
    for PlotDefinition { id, props } in plots {
        match props.get("y") {
            Some(Value::Map(sources)) => {
                files.extend(sources.keys().cloned());
                if let Some(Value::Map(sources)) = props.get("x") {
                    files.extend(sources.keys().cloned());
                }
            }
            _ => files.push(id.clone()),
        }
    }
    files
}

/// Those that exist in git's work tree and that git does not ignore.
fn tracked_ones(git: &Git, files: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    for file in files {
        if file.starts_with(git.root())
            && file.symlink_metadata().is_ok()
            && !kept.contains(&file)
            && !git.is_ignored(&file)?
        {
            kept.push(file);
        }
    }
    Ok(kept)
}
