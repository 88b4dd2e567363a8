//! `verify`: whether the runs of a branch, its lock files and the cache agree, without running anything.

use std::collections::{HashMap, HashSet};

use matraz_data::cache::{Cache, Object};
use matraz_data::stage::address::relative;
use matraz_data::stage::{LockEntry, Stage};
use matraz_data::view::View;
use matraz_data::{Digest, Index, Repo};
use serde::Serialize;

use crate::error::Result;
use crate::lineage::Store;
use crate::record;
use crate::run::{Run, tag};
use crate::tracker::Tracker;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A lock file contradicts the files of its own commit.
    StaleLock,
    /// A lock file says something else than the run that made what it names.
    OtherInputs,
    /// A lock file has the results of a run of another commit.
    OtherRun,
    /// Data of a run are not in the cache.
    NotInCache,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The sort.
    pub fault: Fault,
    /// The commit that it is about.
    pub commit: Option<String>,
    /// The stage.
    pub stage: Option<String>,
    /// The run's name.
    pub run: Option<String>,
    /// In words.
    pub message: String,
}

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The branch or revision.
    pub revision: String,
    /// Commits of it.
    pub commits: usize,
    /// Pipeline runs made at them.
    pub runs: usize,
    /// Stages of its lock files that a run made.
    pub proven: usize,
    /// Stages of its lock files that no run is known to have made.
    pub unproven: Vec<String>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Checks the runs made at the commits of a revision, and its lock files.
pub fn verify(repo: &Repo, tracker: &Tracker, revision: &str) -> Result<Report> {
    let git = repo.git.as_ref().ok_or_else(|| matraz_data::Error::NotInGit { root: repo.root.clone() })?;
    let commits = git.commits_to(revision)?;
    let store = Store::new(Some(tracker.client()));
    let own: HashSet<&String> = commits.iter().collect();
    let found = tracker.wait(store.runs(&format!("tags.`{}` LIKE '%'", tag::KIND)))?;
    let at_branch = |run: &&Run| run.tag(tag::COMMIT).is_some_and(|commit| own.contains(&commit.to_owned()));
    let runs: Vec<&Run> = found.iter().filter(at_branch).collect();
    let finished = |run: &&&Run| run.status == "FINISHED";
    let pipelines: Vec<&Run> =
        runs.iter().filter(finished).filter(|run| run.tag(tag::KIND) == Some("pipeline")).copied().collect();
    let stages: Vec<&Run> =
        runs.iter().filter(finished).filter(|run| run.tag(tag::KIND) == Some("stage")).copied().collect();
    let names = found.iter().map(|run| (run.id.as_str(), run.name.as_str())).collect();
    let index = Index::load_at(&View::at(repo, revision)?)?;
    let tip = commits.first().cloned().unwrap_or_default();
    let mut check = Check { repo, index: &index, names, tip: &tip, problems: Vec::new() };
    let (mut proven, mut unproven) = (0, Vec::new());
    for stage in index.stages.iter().filter(|stage| stage.cmd.is_some()) {
        let Some(entry) = &stage.lock else { continue };
        check.against_files(stage, entry);
        match check.against_runs(stage, entry, &stages, &commits) {
            true => proven += 1,
            false => unproven.push(stage.address.display(&repo.root)),
        }
    }
    check.in_cache(&pipelines)?;
    Ok(Report {
        revision: revision.to_owned(),
        commits: commits.len(),
        runs: pipelines.len(),
        proven,
        unproven,
        problems: check.problems,
    })
}

struct Check<'c> {
    repo: &'c Repo,
    index: &'c Index,
    /// The names of runs by id.
    names: HashMap<&'c str, &'c str>,
    tip: &'c str,
    problems: Vec<Problem>,
}

impl Check<'_> {
    /// The name of the pipeline run that a stage run belongs to.
    fn pipeline_of(&self, run: &Run) -> String {
        let parent = run.tag(tag::PARENT).and_then(|parent| self.names.get(parent));
        parent.map_or_else(|| run.name.clone(), |name| (*name).to_owned())
    }

    fn note(&mut self, fault: Fault, stage: &str, run: Option<&Run>, message: String) {
        self.problems.push(Problem {
            fault,
            commit: Some(self.tip.to_owned()),
            stage: Some(stage.to_owned()),
            run: run.map(|run| self.pipeline_of(run)),
            message,
        });
    }

    /// A lock entry against the data files, the other entries and the parameters of the same commit.
    fn against_files(&mut self, stage: &Stage, entry: &LockEntry) {
        let name = stage.address.display(&self.repo.root);
        for dep in &stage.deps {
            let mut outs =
                self.index.stages.iter().flat_map(|other| other.outs.iter().map(move |out| (other, out)));
            let owner = outs.find(|(_, out)| out.path == dep.path);
            let (Some((owner, out)), Some(locked)) = (owner, dep.digest) else { continue };
            if let Some(recorded) = out.digest.filter(|recorded| *recorded != locked) {
                let path = relative(&dep.path, &self.repo.root);
                let owner = owner.address.display(&self.repo.root);
                let message = format!(
                    "dvc.lock says that stage {name} read {path} as {}, but {owner} says that it is {}",
                    short(&locked),
                    short(&recorded)
                );
                self.note(Fault::StaleLock, &name, None, message);
            }
        }
        if let (Some(cmd), Some(locked)) = (&stage.cmd, &entry.cmd)
            && cmd != locked
        {
            let message = format!("dvc.lock has another command of stage {name} than dvc.yaml");
            self.note(Fault::StaleLock, &name, None, message);
        }
        for params in &stage.params {
            let Ok(view) = View::at(self.repo, self.tip) else { continue };
            let Ok(Some(text)) = view.read_text(&params.path) else { continue };
            let Ok(values) = matraz_data::stage::params::parse(&params.path, &text) else { continue };
            for (key, locked) in params.locked.iter().flatten() {
                let now = key.split('.').try_fold(&values, |value, part| value.get(part));
                if now.is_some_and(|now| now != locked) {
                    let message = format!(
                        "dvc.lock says that stage {name} ran with {key} = {locked}, but {} says {}",
                        relative(&params.path, &self.repo.root),
                        now.map(ToString::to_string).unwrap_or_default()
                    );
                    self.note(Fault::StaleLock, &name, None, message);
                }
            }
        }
    }

    /// A lock entry against the stage runs. Whether one of them made what it names.
    fn against_runs(&mut self, stage: &Stage, entry: &LockEntry, runs: &[&Run], commits: &[String]) -> bool {
        let name = stage.address.display(&self.repo.root);
        let outs: Vec<String> =
            entry.outs.iter().filter_map(|out| out.digest).map(|digest| digest.to_text()).collect();
        let mine: Vec<&&Run> = runs.iter().filter(|run| run.tag(tag::STAGE) == Some(&name)).collect();
        let made = |run: &&&&Run| {
            let has =
                |digest: &String| run.datasets.iter().any(|item| item.is_output() && item.digest == *digest);
            !outs.is_empty() && outs.iter().all(has)
        };
        let makers: Vec<&&&Run> = mine.iter().filter(made).collect();
        let Some(newest) = makers.first() else { return false };
        let fits = |run: &&&&Run| inputs_of_run(run) == inputs_of_entry(entry) && params_fit(run, entry);
        if !makers.iter().any(fits) {
            let commit = newest.tag(tag::COMMIT).map(first).unwrap_or_default();
            let message = format!(
                "dvc.lock has the outputs of stage {name} that run {} made at commit {commit}, but other dependencies or \
                 parameters than that run had",
                self.pipeline_of(newest)
            );
            self.note(Fault::OtherInputs, &name, Some(newest), message);
        }
        // The commit that brought this entry, and the runs that were made for it.
        let Some(brought) = self.brought(stage, entry, commits) else { return true };
        let near: Vec<&String> = commits.iter().skip_while(|commit| **commit != brought).take(2).collect();
        let at =
            |run: &&&&Run| run.tag(tag::COMMIT).is_some_and(|commit| near.iter().any(|one| *one == commit));
        let others: Vec<&&&Run> = mine.iter().filter(at).collect();
        if let (Some(other), false) = (others.first(), makers.iter().any(at)) {
            let message = format!(
                "commit {} has the results of stage {name} from a run of commit {}; the run of commit {} made others",
                first(&brought),
                newest.tag(tag::COMMIT).map(first).unwrap_or_default(),
                other.tag(tag::COMMIT).map(first).unwrap_or_default()
            );
            self.note(Fault::OtherRun, &name, Some(newest), message);
        }
        true
    }

    /// The newest commit that changed the entry of a stage to what it is.
    fn brought(&self, stage: &Stage, entry: &LockEntry, commits: &[String]) -> Option<String> {
        let git = self.repo.git.as_ref()?;
        let path = stage.address.folder().join(matraz_data::stage::LOCK_FILE);
        let mut texts: HashMap<Vec<u8>, bool> = HashMap::new();
        let mut last = None;
        for commit in commits {
            let bytes = git.read_at(commit, &path).ok()??;
            let same = *texts.entry(bytes).or_insert_with_key(|bytes| {
                let text = String::from_utf8_lossy(bytes).into_owned();
                let document = matraz_data::stage::document::Document::new(&path, text);
                let file = matraz_data::stage::LockFile::parse(&document).ok();
                let name = stage.address.name.as_deref().unwrap_or_default();
                file.is_some_and(|file| file.entries.get(name) == Some(entry))
            });
            if !same {
                break;
            }
            last = Some(commit.clone());
        }
        last
    }

    /// Whether what runs read and made is in the cache.
    fn in_cache(&mut self, pipelines: &[&Run]) -> Result<()> {
        let cache = Cache::open(self.repo);
        let mut known: HashMap<String, bool> = HashMap::new();
        // What git keeps is not in the cache.
        let cached = |name: &str| {
            let path = self.repo.root.join(name);
            let owner = self
                .index
                .stages
                .iter()
                .flat_map(|stage| &stage.outs)
                .find(|out| path.starts_with(&out.path));
            owner.is_some_and(|out| out.cache)
        };
        for run in pipelines {
            for item in run.datasets.iter().filter(|item| cached(&item.name)) {
                let Some(digest) = Digest::parse(&item.digest) else { continue };
                let there = *known.entry(item.digest.clone()).or_insert_with(|| {
                    [false, true]
                        .iter()
                        .any(|legacy| cache.path(&Object { digest, legacy: *legacy }).exists())
                });
                if !there {
                    self.problems.push(Problem {
                        fault: Fault::NotInCache,
                        commit: run.tag(tag::COMMIT).map(str::to_owned),
                        stage: None,
                        run: Some(run.name.clone()),
                        message: format!(
                            "{} of run {} ({}) is not in the cache",
                            item.name,
                            run.name,
                            short(&digest)
                        ),
                    });
                }
            }
        }
        Ok(())
    }
}

fn inputs_of_run(run: &Run) -> Vec<&str> {
    let mut digests: Vec<&str> =
        run.datasets.iter().filter(|item| !item.is_output()).map(|item| item.digest.as_str()).collect();
    digests.sort_unstable();
    digests.dedup();
    digests
}

fn inputs_of_entry(entry: &LockEntry) -> Vec<String> {
    let mut digests: Vec<String> =
        entry.deps.iter().filter_map(|dep| dep.digest).map(|digest| digest.to_text()).collect();
    digests.sort();
    digests.dedup();
    digests
}

fn params_fit(run: &Run, entry: &LockEntry) -> bool {
    record::params_of(entry).iter().all(|(key, value)| run.params.get(key).is_none_or(|known| known == value))
}

fn short(digest: &Digest) -> String {
    first(&digest.to_text())
}

fn first(text: &str) -> String {
    text.chars().take(7).collect()
}
