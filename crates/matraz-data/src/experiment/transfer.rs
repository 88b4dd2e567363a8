//! `exp push` and `exp pull`: references by git, data by the cache.

use std::path::Path;

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use super::list::{self, Baselines};
use super::refs::{self, Experiment};
use super::start::git_of;
use crate::git::Git;
use crate::remote::{fetch, push};
use crate::revisions::Which;
use crate::{Repo, Result};

/// What travels.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The other repository: a name or an address.
    pub git_remote: String,
    /// Experiments by name; all of the baselines when there is none.
    pub names: Vec<String>,
    /// The commits that they started from.
    pub baselines: Baselines,
    /// Others of the same name may be replaced.
    pub force: bool,
}

/// How data travel with them.
#[derive(Clone, Debug, Default)]
pub struct Data {
    /// The remote of data; the default one when none is given.
    pub remote: Option<String>,
    /// The run cache too.
    pub run_cache: bool,
}

/// What became of each experiment.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Those that travelled.
    pub done: Vec<Experiment>,
    /// Those that were there already.
    pub up_to_date: Vec<Experiment>,
    /// Those of which the other side has another one.
    pub diverged: Vec<Experiment>,
}

impl Report {
    /// The commits that both sides have now.
    fn commits(&self) -> Vec<String> {
        self.up_to_date.iter().chain(&self.done).map(|one| one.commit.clone()).collect()
    }
}

/// Finds what a request means among the experiments of one side.
fn wanted(repo: &Repo, git: &Git, request: &Request, from: Option<&str>) -> Result<Vec<Experiment>> {
    if !request.names.is_empty() && !request.baselines.all {
        let known = refs::of(git, from)?;
        return refs::find_all(git, &request.names, &known, None);
    }
    Ok(list::list(repo, &request.baselines, from)?.into_values().flatten().collect())
}

/// Sends references.
pub fn push_references(repo: &Repo, request: &Request) -> Result<Report> {
    let git = git_of(repo)?;
    let remote = request.git_remote.as_str();
    let mine = wanted(repo, git, request, None)?;
    if mine.is_empty() {
        return Ok(Report::default());
    }
    let theirs = refs::all_remote(git, remote)?;
    move_all(mine, &theirs, |one| {
        let path = one.reference.path();
        let exists = theirs.iter().any(|other| other.reference == one.reference);
        // Git itself lets a reference go forward; an experiment of the same name is another one.
        if exists && !request.force {
            return Ok(false);
        }
        git.push_reference(remote, &format!("{path}:{path}"), request.force)
    })
}

/// Brings references.
pub fn pull_references(repo: &Repo, request: &Request) -> Result<Report> {
    let git = git_of(repo)?;
    let remote = request.git_remote.as_str();
    let theirs = wanted(repo, git, request, Some(remote))?;
    let mine = refs::all(git)?;
    move_all(theirs, &mine, |one| {
        let path = one.reference.path();
        let exists = mine.iter().any(|other| other.reference == one.reference);
        if exists && !request.force {
            return Ok(false);
        }
        git.fetch_reference(remote, &format!("{path}:{path}"), request.force)
    })
}

fn move_all(
    wanted: Vec<Experiment>,
    there: &[Experiment],
    act: impl Fn(&Experiment) -> Result<bool>,
) -> Result<Report> {
    let mut report = Report::default();
    for one in wanted {
        if there.contains(&one) {
            report.up_to_date.push(one);
        } else if act(&one)? {
            report.done.push(one);
        } else {
            report.diverged.push(one);
        }
    }
    Ok(report)
}

fn which(report: &Report) -> Which {
    Which { named: report.commits(), without_workspace: true, ..Which::default() }
}

/// Sends the data of experiments whose references were sent. Returns how many objects went.
pub fn push_data(
    repo: &Repo,
    report: &Report,
    data: &Data,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<push::Report> {
    if report.commits().is_empty() {
        return Ok(push::Report::default());
    }
    let options = push::Options {
        remote: data.remote.clone(),
        run_cache: data.run_cache,
        which: which(report),
        ..push::Options::default()
    };
    push::push(repo, &[], &options, cwd, progress, interrupt)
}

/// Brings the data of experiments whose references were brought.
pub fn pull_data(
    repo: &Repo,
    report: &Report,
    data: &Data,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<fetch::Report> {
    if report.commits().is_empty() {
        return Ok(fetch::Report::default());
    }
    let options = fetch::Options {
        remote: data.remote.clone(),
        run_cache: data.run_cache,
        which: which(report),
        ..fetch::Options::default()
    };
    fetch::fetch(repo, &[], &options, cwd, progress, interrupt)
}
