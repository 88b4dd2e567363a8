//! `exp branch`: a branch of git for an experiment.

use super::error::ExperimentError;
use super::refs::{self, Experiment};
use super::start::git_of;
use crate::{Repo, Result};

/// Makes the branch. Returns its name and the experiment.
pub fn branch(repo: &Repo, revision: &str, name: Option<&str>) -> Result<(String, Experiment)> {
    let git = git_of(repo)?;
    let not_one = || ExperimentError::NotAnExperiment { revision: revision.to_owned() };
    let commit = git.resolve(revision).ok_or_else(not_one)?;
    let mut found = refs::containing(git, &commit)?;
    let head = git.head_commit();
    let ends: Vec<&Experiment> = found.iter().filter(|one| one.commit == commit).collect();
    let named = found.iter().position(|one| one.reference.name == revision && one.commit == commit);
    let chosen = match (named, ends.len(), found.len()) {
        (_, _, 0) => return Err(not_one().into()),
        (Some(at), ..) => at,
        (None, 1, _) | (None, _, 1) => 0,
        _ => match found.iter().position(|one| Some(&one.reference.baseline) == head.as_ref()) {
            Some(at) => at,
            None => {
                let references = found.iter().map(|one| one.reference.path()).collect();
                return Err(ExperimentError::Ambiguous { name: revision.to_owned(), references }.into());
            }
        },
    };
    let experiment = found.swap_remove(chosen);
    let name = name.map_or_else(|| format!("{}-branch", experiment.reference.name), str::to_owned);
    let reference = format!("refs/heads/{name}");
    if !git.is_reference_name(&reference) {
        return Err(ExperimentError::BadName { name }.into());
    }
    if git.reference(&reference).is_some() {
        return Err(ExperimentError::BranchExists { name }.into());
    }
    let message = format!("dvc: Created from experiment '{}'", experiment.reference.name);
    git.set_reference(&reference, &experiment.commit, Some(&message))?;
    Ok((name, experiment))
}
