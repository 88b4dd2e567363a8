//! The references of experiments: `refs/exps/<2 digits>/<38 digits>/<name>`, where the digits are those of the commit that
//! the experiment started from. DVC's own; other references below `refs/exps/` are no experiments.

use std::collections::HashMap;

use super::error::ExperimentError;
use crate::Result;
use crate::git::Git;

/// Where all of them are.
pub const NAMESPACE: &str = "refs/exps/";
/// The experiment that was applied last.
pub const APPLIED: &str = "refs/exps/exec/EXEC_APPLY";
/// The commit that was checked out when an experiment was applied.
pub const BEFORE_APPLY: &str = "refs/exps/apply/ORIG_HEAD";
/// What the work tree held then.
pub const APPLY_STASH: &str = "refs/exps/apply/stash";
/// The queued experiments, as DVC keeps them: one commit an entry of the reference's log.
pub const QUEUE_STASH: &str = "refs/exps/celery/stash";
/// The queued experiments that failed.
pub const FAILED_STASH: &str = "refs/exps/celery/failed";

/// The reference of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExpRef {
    /// The commit that it started from.
    pub baseline: String,
    /// Its name.
    pub name: String,
}

/// An experiment: a reference and its commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Experiment {
    /// The reference.
    pub reference: ExpRef,
    /// The commit.
    pub commit: String,
}

impl ExpRef {
    /// The reference of `name` on a commit.
    pub fn new(baseline: &str, name: &str) -> Self {
        Self { baseline: baseline.to_owned(), name: name.to_owned() }
    }

    /// Its full name.
    pub fn path(&self) -> String {
        let (two, rest) = self.baseline.split_at(self.baseline.len().min(2));
        format!("{NAMESPACE}{two}/{rest}/{}", self.name)
    }

    /// Reads a full name; `None` when it is that of something else.
    pub fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.strip_prefix(NAMESPACE)?.split('/').collect();
        match parts[..] {
            [two, rest, name] if two.len() == 2 && rest.len() == 38 => {
                Some(Self { baseline: format!("{two}{rest}"), name: name.to_owned() })
            }
            _ => None,
        }
    }
}

/// All experiments, sorted by their references.
pub fn all(git: &Git) -> Result<Vec<Experiment>> {
    let found = git.references(NAMESPACE)?.into_iter().filter_map(|(name, commit)| {
        let reference = ExpRef::parse(&format!("{NAMESPACE}{name}"))?;
        Some(Experiment { reference, commit })
    });
    Ok(found.collect())
}

/// All experiments of another repository.
pub fn all_remote(git: &Git, remote: &str) -> Result<Vec<Experiment>> {
    let found = git
        .remote_references(remote, "refs/exps/*")
        .map_err(|_| ExperimentError::NoRemote { remote: remote.to_owned() })?;
    let found = found
        .into_iter()
        .filter_map(|(name, commit)| Some(Experiment { reference: ExpRef::parse(&name)?, commit }));
    Ok(found.collect())
}

/// The experiments of this repository, or of another one.
pub fn of(git: &Git, remote: Option<&str>) -> Result<Vec<Experiment>> {
    remote.map_or_else(|| all(git), |remote| all_remote(git, remote))
}

/// The experiment of each name; one that started from the present commit goes before others of the name. A name may
/// also be a full reference.
pub fn find(git: &Git, names: &[String], among: &[Experiment]) -> Result<Vec<Option<Experiment>>> {
    let mut by_name: HashMap<&str, Vec<&Experiment>> = HashMap::new();
    for one in among {
        by_name.entry(&one.reference.name).or_default().push(one);
    }
    let head = git.head_commit();
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        if name.starts_with("refs/") {
            let wanted =
                ExpRef::parse(name).ok_or_else(|| ExperimentError::NotAReference { name: name.clone() })?;
            found.push(among.iter().find(|one| one.reference == wanted).cloned());
            continue;
        }
        let candidates = by_name.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        let here = || candidates.iter().find(|one| Some(&one.reference.baseline) == head.as_ref());
        found.push(match candidates {
            [] => None,
            [one] => Some((*one).clone()),
            many => match here() {
                Some(one) => Some((*one).clone()),
                None => {
                    let references = many.iter().map(|one| one.reference.path()).collect();
                    return Err(ExperimentError::Ambiguous { name: name.clone(), references }.into());
                }
            },
        });
    }
    Ok(found)
}

/// Like [`find`], where every name must have an experiment.
pub fn find_all(
    git: &Git,
    names: &[String],
    among: &[Experiment],
    remote: Option<&str>,
) -> Result<Vec<Experiment>> {
    let found = find(git, names, among)?;
    let missing: Vec<String> =
        names.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(name, _)| name.clone()).collect();
    if !missing.is_empty() {
        return Err(
            ExperimentError::NoSuchExperiment { names: missing, remote: remote.map(str::to_owned) }.into()
        );
    }
    Ok(found.into_iter().flatten().collect())
}

/// The commit of the experiment of this name, for those who ask for a revision. `None` when there is none, or several.
pub fn named(git: &Git, name: &str) -> Option<String> {
    if name == "HEAD" || name.starts_with("refs/") || name.is_empty() {
        return None;
    }
    let all = all(git).ok()?;
    find(git, &[name.to_owned()], &all).ok()?.pop()?.map(|one| one.commit)
}

/// The experiments whose history holds the commit, those that end with it first.
pub fn containing(git: &Git, commit: &str) -> Result<Vec<Experiment>> {
    let mut found = Vec::new();
    for one in all(git)? {
        let ends = one.commit == commit;
        let starts = one.reference.baseline == commit;
        if ends || starts || commits(git, &one)?.iter().any(|between| between == commit) {
            found.push(one);
        }
    }
    found.sort_by_key(|one| one.commit != commit);
    Ok(found)
}

/// The commits of an experiment, the newest first: its end, and those of older checkpoints.
pub fn commits(git: &Git, experiment: &Experiment) -> Result<Vec<String>> {
    let baseline: Vec<String> = git.resolve_plain(&experiment.reference.baseline).into_iter().collect();
    git.walk(std::slice::from_ref(&experiment.commit), &baseline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_what_else_is_there() {
        let baseline = "ab".repeat(20);
        let reference = ExpRef::new(&baseline, "calm-owl");
        assert_eq!(reference.path(), format!("refs/exps/ab/{}/calm-owl", "ab".repeat(19)));
        assert_eq!(ExpRef::parse(&reference.path()), Some(reference));
        for other in [APPLIED, APPLY_STASH, QUEUE_STASH, "refs/exps/stash", "refs/heads/main"] {
            assert_eq!(ExpRef::parse(other), None, "{other}");
        }
    }
}
