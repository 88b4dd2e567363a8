//! `exp show`: the work tree, the commits that experiments started from, and the experiments of each.

use std::collections::HashMap;
use std::path::PathBuf;

use super::error::ExperimentError;
use super::list;
use super::queue::{self, Task};
use super::refs::{self, Experiment};
use super::start::git_of;
use super::state::{Known, State};
use crate::git::Git;
use crate::view::{View, WORKSPACE};
use crate::{Error, Repo, Result};

/// What is shown.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The commits that experiments started from; the present one when nothing else is asked for.
    pub revisions: Vec<String>,
    /// The tips of all branches.
    pub branches: bool,
    /// All tags.
    pub tags: bool,
    /// All commits.
    pub commits: bool,
    /// This many commits from each revision and branch.
    pub number: i64,
    /// Without queued ones.
    pub hide_queued: bool,
    /// Without failed ones.
    pub hide_failed: bool,
    /// Without the work tree.
    pub hide_workspace: bool,
    /// Hashes, and no names of branches and tags.
    pub sha_only: bool,
    /// Only parameters that stages read.
    pub param_deps: bool,
    /// Read all commits anew.
    pub force: bool,
}

/// A commit, or the work tree.
#[derive(Debug)]
pub struct Row {
    /// The commit; `workspace`.
    pub rev: String,
    /// What it is called.
    pub name: Option<String>,
    /// What it holds, or why that cannot be told.
    pub state: Result<State>,
    /// It failed, though it can be told what it started with.
    pub failed: bool,
}

/// How an experiment runs, or ran.
#[derive(Clone, Debug)]
pub struct Executor {
    /// `queued`, `running`, `success` or `failed`.
    pub state: &'static str,
    /// What runs it; of a failed one nothing.
    pub name: Option<&'static str>,
    /// Its work tree.
    pub root: Option<PathBuf>,
    /// Its output.
    pub log: Option<PathBuf>,
    /// Its process.
    pub pid: Option<u32>,
    /// How that ended.
    pub returncode: Option<i32>,
    /// The task.
    pub task: String,
}

/// An experiment: its commits, the newest first, and how it runs.
#[derive(Debug)]
pub struct Branch {
    /// Its name.
    pub name: String,
    /// Its commits.
    pub rows: Vec<Row>,
    /// Of one that the queue has.
    pub executor: Option<Executor>,
}

/// A commit and the experiments that started from it.
#[derive(Debug)]
pub struct Baseline {
    /// The commit.
    pub row: Row,
    /// Its experiments: those that run, finished ones, queued ones, failed ones; each kind with the newest first.
    pub experiments: Vec<Branch>,
}

/// Collects it all. The work tree comes first.
pub fn show(repo: &Repo, options: &Options) -> Result<Vec<Baseline>> {
    let git = git_of(repo)?;
    if git.head_commit().is_none() {
        return Ok(Vec::new());
    }
    let baselines = baselines(git, options)?;
    let names = if options.sha_only { HashMap::new() } else { list::names(git)? };
    let tasks = queue::tasks(repo)?;
    let mut by_baseline: HashMap<String, Vec<Experiment>> = HashMap::new();
    for one in refs::all(git)? {
        by_baseline.entry(one.reference.baseline.clone()).or_default().push(one);
    }
    let mut wanted = Vec::new();
    let mut plans = Vec::new();
    for baseline in &baselines {
        wanted.push(baseline.clone());
        plans.push(branches(repo, git, baseline, by_baseline.remove(baseline), &tasks, options)?);
    }
    wanted.extend(plans.iter().flatten().flat_map(|plan| plan.commits.iter().cloned()));
    let states = Known::load(repo, options.force).states(&wanted, options.param_deps)?;
    let mut states = states.into_iter();
    let mut next = move || states.next().unwrap_or_else(|| Err(ExperimentError::NoCommits.into()));
    let mut shown = Vec::new();
    if !options.hide_workspace {
        let state = State::read(View::workspace(repo), None, options.param_deps);
        let row = Row { rev: WORKSPACE.to_owned(), name: None, state, failed: false };
        shown.push(Baseline { row, experiments: Vec::new() });
    }
    for rev in baselines {
        let row = Row { name: names.get(&rev).cloned(), rev, state: next(), failed: false };
        shown.push(Baseline { row, experiments: Vec::new() });
    }
    let offset = usize::from(!options.hide_workspace);
    for (n, plan) in plans.into_iter().enumerate() {
        let mut experiments: Vec<(Kind, Branch)> =
            plan.into_iter().map(|branch| branch.fill(repo, options, &mut next)).collect();
        experiments.sort_by_key(|(kind, branch)| {
            let newest = branch.rows.first();
            let time = newest.and_then(|row| row.state.as_ref().ok()?.time).unwrap_or(0);
            let rev = newest.map(|row| row.rev.clone()).unwrap_or_default();
            (*kind, std::cmp::Reverse((time, rev)))
        });
        shown[offset + n].experiments = experiments.into_iter().map(|(_, branch)| branch).collect();
    }
    Ok(shown)
}

fn baselines(git: &Git, options: &Options) -> Result<Vec<String>> {
    let mut commits = Vec::new();
    let nothing = options.revisions.is_empty() && !options.branches && !options.tags && !options.commits;
    if nothing {
        list::add_with_parents(git, "HEAD", options.number, &mut commits)?;
    }
    for revision in &options.revisions {
        list::add_with_parents(git, revision, options.number, &mut commits)?;
    }
    if options.commits {
        for commit in git.commits()? {
            if !commits.contains(&commit) {
                commits.push(commit);
            }
        }
        return Ok(commits);
    }
    if options.branches {
        for (name, _) in git.branches()? {
            list::add_with_parents(git, &format!("refs/heads/{name}"), options.number, &mut commits)?;
        }
    }
    if options.tags {
        for (_, commit) in git.tags()? {
            if !commits.contains(&commit) {
                commits.push(commit);
            }
        }
    }
    Ok(commits)
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Running,
    Finished,
    Queued,
    Failed,
}

/// An experiment whose commits are to be read.
struct Plan {
    kind: Kind,
    name: String,
    commits: Vec<String>,
    executor: Option<Executor>,
}

fn branches(
    repo: &Repo,
    git: &Git,
    baseline: &str,
    experiments: Option<Vec<Experiment>>,
    tasks: &[Task],
    options: &Options,
) -> Result<Vec<Plan>> {
    let mut plans = Vec::new();
    for one in experiments.unwrap_or_default() {
        // Nearly all have one commit; checkpoints of old made several.
        let commits = match git.parents(&one.commit)?.first() {
            Some(parent) if *parent == one.reference.baseline => vec![one.commit.clone()],
            _ => refs::commits(git, &one)?,
        };
        if commits.is_empty() {
            continue;
        }
        let task = tasks.iter().rev().find(|task| {
            task.state == queue::State::Success
                && task.baseline == baseline
                && task.name == one.reference.name
        });
        let executor = task.map(|task| executor(repo, task));
        plans.push(Plan { kind: Kind::Finished, name: one.reference.name, commits, executor });
    }
    for task in tasks.iter().filter(|task| task.baseline == baseline) {
        let kind = match task.state {
            queue::State::Running => Kind::Running,
            queue::State::Queued if !options.hide_queued => Kind::Queued,
            queue::State::Failed if !options.hide_failed => Kind::Failed,
            _ => continue,
        };
        let (name, executor) = (task.name.clone(), Some(executor(repo, task)));
        plans.push(Plan { kind, name, commits: vec![task.rev.clone()], executor });
    }
    Ok(plans)
}

fn executor(repo: &Repo, task: &Task) -> Executor {
    let log = Some(task.log(repo)).filter(|_| !task.is_queued());
    let (state, name) = match task.state {
        queue::State::Queued => ("queued", Some("dvc-task")),
        queue::State::Running => ("running", Some("dvc-task")),
        queue::State::Success => ("success", Some("dvc-task")),
        queue::State::Failed => ("failed", None),
    };
    let root = task.root.clone().filter(|_| task.is_running());
    let (pid, returncode) = if task.is_queued() { (None, None) } else { (task.pid, task.returncode) };
    Executor { state, name, root, log, pid, returncode, task: task.rev.clone() }
}

impl Plan {
    fn fill(self, repo: &Repo, options: &Options, next: &mut dyn FnMut() -> Result<State>) -> (Kind, Branch) {
        let kind = self.kind;
        let mut rows: Vec<Row> = Vec::new();
        for (n, rev) in self.commits.into_iter().enumerate() {
            let name = (n == 0).then(|| self.name.clone());
            let mut state = next();
            match (kind, &self.executor) {
                // What was measured before it was queued is not what it will measure.
                (Kind::Queued, _) => {
                    if let Ok(state) = &mut state {
                        state.metrics.clear();
                    }
                }
                (Kind::Running, Some(Executor { root: Some(root), .. })) => {
                    state = running(repo, root, options).or(state);
                }
                _ => {}
            }
            rows.push(Row { rev, name, state, failed: kind == Kind::Failed });
        }
        (kind, Branch { name: self.name, rows, executor: self.executor })
    }
}

/// What the work tree of a running experiment holds by now.
fn running(repo: &Repo, root: &std::path::Path, options: &Options) -> Result<State> {
    let inside = repo.root.strip_prefix(git_of(repo)?.root()).unwrap_or(std::path::Path::new(""));
    let own = Repo::open(&root.join(inside), &repo.places)?;
    if own.root == repo.root {
        return Err(Error::NoSuchFile { path: root.to_path_buf() });
    }
    State::read(View::workspace(&own), None, options.param_deps)
}
