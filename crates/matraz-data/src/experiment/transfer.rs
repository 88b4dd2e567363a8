//! `exp push` and `exp pull`: references by git, data by the cache.

use std::collections::HashMap;
use std::path::Path;

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use super::list::{self, Baselines};
use super::refs::{self, ExpRef, Experiment};
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
    /// The commits that both sides have now, whose data are to follow; `None` when there are none.
    fn which(&self) -> Option<Which> {
        let both = self.up_to_date.iter().chain(&self.done);
        let named: Vec<String> = both.map(|one| one.commit.clone()).collect();
        (!named.is_empty()).then(|| Which { named, without_workspace: true, ..Which::default() })
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
    move_all(mine, &theirs, request, |specs| git.push_references(remote, specs, request.force))
}

/// Brings references.
pub fn pull_references(repo: &Repo, request: &Request) -> Result<Report> {
    let git = git_of(repo)?;
    let remote = request.git_remote.as_str();
    let theirs = wanted(repo, git, request, Some(remote))?;
    let mine = refs::all(git)?;
    move_all(theirs, &mine, request, |specs| git.fetch_references(remote, specs, request.force))
}

/// Moves those of the experiments that are not there yet; `act` is given `FROM:TO` of each and says which git moved.
fn move_all(
    wanted: Vec<Experiment>,
    there: &[Experiment],
    request: &Request,
    act: impl Fn(&[String]) -> Result<Vec<bool>>,
) -> Result<Report> {
    let there: HashMap<&ExpRef, &str> =
        there.iter().map(|one| (&one.reference, one.commit.as_str())).collect();
    let mut report = Report::default();
    let mut going = Vec::new();
    for one in wanted {
        match there.get(&one.reference) {
            Some(commit) if *commit == one.commit => report.up_to_date.push(one),
            // Git itself lets a reference go forward; an experiment of the same name is another one.
            Some(_) if !request.force => report.diverged.push(one),
            _ => going.push(one),
        }
    }
    let specs: Vec<String> = going.iter().map(|one| format!("{0}:{0}", one.reference.path())).collect();
    for (one, moved) in going.into_iter().zip(act(&specs)?) {
        if moved { report.done.push(one) } else { report.diverged.push(one) }
    }
    Ok(report)
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
    let Some(which) = report.which() else { return Ok(push::Report::default()) };
    let (remote, run_cache) = (data.remote.clone(), data.run_cache);
    let options = push::Options { remote, run_cache, which, ..push::Options::default() };
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
    let Some(which) = report.which() else { return Ok(fetch::Report::default()) };
    let (remote, run_cache) = (data.remote.clone(), data.run_cache);
    let options = fetch::Options { remote, run_cache, which, ..fetch::Options::default() };
    fetch::fetch(repo, &[], &options, cwd, progress, interrupt)
}
