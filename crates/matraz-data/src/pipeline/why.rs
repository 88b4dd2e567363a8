//! Why stages would run: every difference from what is recorded, with the old and the new value.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use matraz_base::process::Interrupt;
use matraz_base::{Progress, Value};
use serde::Serialize;

use super::changes::{self, ParamsChange};
use super::content::Contents;
use super::listings;
use super::plan::{self, Request};
use crate::cache::{Cache, Object};
use crate::hash::digest::Digest;
use crate::hash::tree::Tree;
use crate::index::Index;
use crate::stage::Stage;
use crate::workspace::{self, Change, Target};
use crate::{Repo, Result};

/// A stage and what makes it run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Why {
    /// The stage as the user names it.
    pub stage: String,
    /// Whether it would run, or bring back what an equal run made.
    pub runs: bool,
    /// What it reads is not looked at.
    pub frozen: bool,
    /// The differences; none when it is up to date.
    pub reasons: Vec<Reason>,
}

/// One thing that makes a stage run. Paths and names are as `dvc.yaml` has them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// `dvc.lock` does not have it.
    NeverRan,
    /// It says `always_changed`, or names nothing that it reads or makes.
    Always,
    /// The command is another one.
    Command {
        /// Its lines when it ran.
        old: Vec<String>,
        /// Its lines now.
        new: Vec<String>,
    },
    /// A parameter has another value.
    Param {
        /// The file.
        file: String,
        /// The dotted name.
        name: String,
        /// The value when the stage ran; none when it was not recorded.
        #[serde(serialize_with = "as_json")]
        old: Option<Value>,
        /// The value now; none when the file does not have it.
        #[serde(serialize_with = "as_json")]
        new: Option<Value>,
    },
    /// A parameters file is not there.
    NoParamsFile {
        /// The file.
        file: String,
    },
    /// Something that it reads differs.
    Dependency(Difference),
    /// Something that it makes differs.
    Output(Difference),
    /// A stage that makes something it reads runs before it. It may make the same again; then this stage need not run.
    Upstream {
        /// The stage as the user names it.
        stage: String,
    },
}

/// How a file or folder differs from what is recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The path.
    pub path: String,
    /// `modified`, `deleted`, `new` or `not in cache`.
    pub change: &'static str,
    /// The recorded digest.
    pub old: Option<String>,
    /// The digest now.
    pub new: Option<String>,
    /// The files of a folder that differ; none of a file, and of a folder whose old listing is not known here.
    pub files: Option<FileDifferences>,
}

/// How the files of a folder differ from what is recorded, by their paths in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileDifferences {
    /// Files that are new.
    pub added: Vec<String>,
    /// Files with other content.
    pub modified: Vec<String>,
    /// Files that are gone.
    pub deleted: Vec<String>,
}

/// Explains the stages that `request` names, and looks at all that they need for it. Nothing is written.
pub fn why(
    repo: &Repo,
    index: &Index,
    request: &Request,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Vec<Why>> {
    let plan = plan::plan(repo, index, request)?;
    let targets = plan::targets(index, request)?;
    let mut explainer = Explainer {
        repo,
        cache: Cache::open(repo),
        contents: Contents::new(repo, progress, interrupt),
        progress,
        interrupt,
    };
    let stages: Vec<&Stage> = plan.steps.iter().map(|&n| &index.stages[n]).collect();
    let found = changes::of_stages(
        repo,
        &mut explainer.cache,
        &stages,
        &mut explainer.contents,
        changes::Updates::Ignored,
        interrupt,
    )?;
    let mut upstream: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut answers = HashMap::new();
    for ((&n, stage), changes) in plan.steps.iter().zip(&stages).zip(&found) {
        // Stages that run before this one, the nearest last.
        let mut earlier: Vec<usize> = Vec::new();
        for &need in plan.graph.as_ref().map_or(&[][..], |graph| graph.needs(n)) {
            earlier.extend(upstream.get(&need).into_iter().flatten());
        }
        earlier.sort_by_key(|n| plan.steps.iter().position(|step| step == n));
        earlier.dedup();
        // What a frozen stage reads does not make it run.
        let does_not_count = stage.frozen && changes.outs.is_empty() && !changes.command;
        let own = !changes.is_empty() && !does_not_count;
        if targets.contains(&n) {
            let mut reasons = if own { explainer.reasons(stage, changes)? } else { Vec::new() };
            let name = |&n: &usize| index.stages[n].address.display(&request.cwd);
            reasons.extend(earlier.iter().map(|n| Reason::Upstream { stage: name(n) }));
            let answer = Why { stage: name(&n), runs: !reasons.is_empty(), frozen: stage.frozen, reasons };
            answers.insert(n, answer);
        }
        if own && stage.cmd.is_some() || !own && !earlier.is_empty() {
            let mut all = earlier;
            all.push(n);
            upstream.insert(n, all);
        }
    }
    Ok(targets.iter().filter_map(|n| answers.remove(n)).collect())
}

struct Explainer<'r> {
    repo: &'r Repo,
    cache: Cache,
    contents: Contents<'r>,
    progress: &'r dyn Progress,
    interrupt: &'r Interrupt,
}

impl Explainer<'_> {
    fn reasons(&mut self, stage: &Stage, found: &changes::Changes) -> Result<Vec<Reason>> {
        let mut reasons = Vec::new();
        if stage.cmd.is_some() && stage.lock.is_none() {
            reasons.push(Reason::NeverRan);
        }
        if found.always {
            reasons.push(Reason::Always);
        }
        if found.command {
            let lines = |cmd: Option<&crate::stage::Cmd>| {
                cmd.into_iter().flat_map(|cmd| cmd.lines()).map(str::to_owned).collect()
            };
            let old = lines(stage.lock.as_ref().and_then(|lock| lock.cmd.as_ref()));
            reasons.push(Reason::Command { old, new: lines(stage.cmd.as_ref()) });
        }
        for (path, change) in &found.params {
            params(stage, path, change, &mut reasons)?;
        }
        for (path, change) in &found.deps {
            if let Some(dep) = stage.deps.iter().find(|dep| dep.path == *path) {
                let object = dep.digest.map(|digest| Object { digest, legacy: dep.legacy });
                reasons.push(Reason::Dependency(self.difference(path, &dep.def_path, *change, object)?));
            }
        }
        for (path, change) in &found.outs {
            if let Some(out) = stage.outs.iter().find(|out| out.path == *path) {
                let object = out.digest.map(|digest| Object { digest, legacy: out.legacy });
                reasons.push(Reason::Output(self.difference(path, &out.def_path, *change, object)?));
            }
        }
        Ok(reasons)
    }

    fn difference(
        &mut self,
        path: &Path,
        name: &str,
        change: Change,
        recorded: Option<Object>,
    ) -> Result<Difference> {
        let legacy = recorded.as_ref().is_some_and(|object| object.legacy);
        let now = self.contents.of(path, legacy)?.map(|(digest, _)| digest);
        let old = recorded.as_ref().map(|object| object.digest);
        let word = match (change, old, now) {
            (Change::Modified, None, Some(_)) => "new",
            (change, ..) => change.word().unwrap_or("modified"),
        };
        let mut files = None;
        if let (Some(object), Some(new)) = (recorded, now)
            && object.digest.is_dir()
            && new.is_dir()
            && let Some(before) = listings::of(self.repo, &mut self.cache, &object)?
        {
            let target = Target::with_legacy(path, legacy);
            let found = workspace::hash_many(self.repo, &[target], self.progress, self.interrupt.flag())?;
            let after = found.into_iter().next().flatten().and_then(|content| content.tree);
            files = after.map(|after| differences(&before, &after));
        }
        let text = |digest: Option<Digest>| digest.map(|digest| digest.to_string());
        Ok(Difference { path: name.to_owned(), change: word, old: text(old), new: text(now), files })
    }
}

fn params(stage: &Stage, path: &Path, change: &ParamsChange, reasons: &mut Vec<Reason>) -> Result<()> {
    let Some(file) = stage.params.iter().find(|file| file.path == *path) else { return Ok(()) };
    let Some(now) = changes::read_params(file)? else {
        reasons.push(Reason::NoParamsFile { file: file.def_path.clone() });
        return Ok(());
    };
    let locked = file.locked.clone().unwrap_or_default();
    let mut names: Vec<String> = match change {
        ParamsChange::Values(values) => values.iter().map(|(name, _)| name.clone()).collect(),
        ParamsChange::File(_) => now.keys().chain(&file.keys).cloned().collect(),
    };
    names.sort();
    names.dedup();
    for name in names {
        let (old, new) = (locked.get(&name).cloned(), now.get(&name).cloned());
        leaves(&file.def_path, &name, old, new, reasons);
    }
    Ok(())
}

/// Mappings on both sides are compared key by key, so that a whole file or section shows only what differs in it.
fn leaves(file: &str, name: &str, old: Option<Value>, new: Option<Value>, reasons: &mut Vec<Reason>) {
    if let (Some(Value::Map(before)), Some(Value::Map(after))) = (&old, &new) {
        let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for key in keys {
            let (old, new) = (before.get(key).cloned(), after.get(key).cloned());
            if old != new {
                leaves(file, &format!("{name}.{key}"), old, new, reasons);
            }
        }
        return;
    }
    reasons.push(Reason::Param { file: file.to_owned(), name: name.to_owned(), old, new });
}

fn differences(before: &Tree, after: &Tree) -> FileDifferences {
    let mut files = FileDifferences::default();
    for entry in after.entries() {
        match before.get(&entry.path) {
            None => files.added.push(entry.path.clone()),
            Some(digest) if *digest != entry.digest => files.modified.push(entry.path.clone()),
            Some(_) => {}
        }
    }
    let gone = before.entries().iter().filter(|entry| after.get(&entry.path).is_none());
    files.deleted.extend(gone.map(|entry| entry.path.clone()));
    files
}

fn as_json<S: serde::Serializer>(
    value: &Option<Value>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    value.as_ref().map(Value::to_json).serialize(serializer)
}
