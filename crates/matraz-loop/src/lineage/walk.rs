//! Builds the graph: upwards to commits and data, downwards to versions and aliases.

use std::collections::{HashMap, HashSet};

use indexmap::{IndexMap, IndexSet};
use matraz_data::Repo;

use super::graph::Graph;
use super::node::{
    commit_id, commit_node, data_id, data_node, run_id, run_node, used_node, version_id, version_node,
};
use super::project::add_project;
use super::store::{Store, Version, quoted};
use super::subject::Subject;
use super::{Directions, Kind, Lineage, Node};
use crate::error::Result;
use crate::run::{DatasetUse, Run, tag};

/// The lineage of a thing. In a project git and `dvc.lock` add what the store does not know.
pub async fn trace(
    store: &Store<'_>,
    repo: Option<&Repo>,
    subject: &Subject,
    directions: Directions,
) -> Result<Lineage> {
    let mut walk = Walk { store, graph: Graph::default(), runs: HashMap::new() };
    let start = walk.start(subject).await?;
    if directions.up {
        walk.up(subject).await?;
    }
    if directions.down {
        walk.down(subject).await?;
    }
    let mut graph = walk.graph;
    if let Some(repo) = repo {
        add_project(&mut graph, repo, subject, directions)?;
    }
    Ok(graph.lineage_of(start))
}

struct Walk<'w, 'c> {
    store: &'w Store<'c>,
    graph: Graph,
    /// Runs that were read, by id.
    runs: HashMap<String, Run>,
}

impl Walk<'_, '_> {
    /// The node that was asked about.
    async fn start(&mut self, subject: &Subject) -> Result<String> {
        Ok(match subject {
            Subject::Run(id) => {
                let Some(run) = self.run(id).await? else {
                    return Err(crate::Error::NoSubject { subject: format!("runs:/{id}") });
                };
                self.graph.add(run_node(&run))
            }
            Subject::Data { digest, path } => {
                self.graph.add(data_node(digest, path.as_deref().unwrap_or(digest)))
            }
            Subject::Commit(sha) => self.graph.add(commit_node(sha)),
            Subject::Version { name, version, alias } => {
                let versions = self.store.versions().await?;
                let found = versions.iter().find(|one| one.model == *name && one.version == *version);
                let Some(found) = found else {
                    return Err(crate::Error::NoSubject { subject: format!("models:/{name}/{version}") });
                };
                let id = self.graph.add(version_node(found));
                match alias {
                    Some(alias) => self.alias(name, alias, &id),
                    None => id,
                }
            }
        })
    }

    fn alias(&mut self, model: &str, alias: &str, version: &str) -> String {
        let label = format!("{model}@{alias}");
        let node = Node { id: format!("alias:{label}"), kind: Kind::Alias, label, facts: IndexMap::new() };
        let id = self.graph.add(node);
        self.graph.join(version, &id, "alias");
        id
    }

    async fn run(&mut self, id: &str) -> Result<Option<Run>> {
        if let Some(run) = self.runs.get(id) {
            return Ok(Some(run.clone()));
        }
        let run = self.store.run(id).await?;
        if let Some(run) = &run {
            self.runs.insert(id.to_owned(), run.clone());
        }
        Ok(run)
    }

    async fn search(&mut self, filter: &str) -> Result<Vec<Run>> {
        let found = self.store.runs(filter).await?;
        for run in &found {
            self.runs.insert(run.id.clone(), run.clone());
        }
        Ok(found)
    }

    /// The runs below a run.
    async fn children(&mut self, run: &Run) -> Result<Vec<Run>> {
        let mut found = self.search(&format!("tags.`{}` = '{}'", tag::PARENT, quoted(&run.id))).await?;
        found.reverse();
        Ok(found)
    }

    // ---- upwards

    async fn up(&mut self, subject: &Subject) -> Result<()> {
        let mut pending: Vec<String> = Vec::new();
        match subject {
            Subject::Commit(_) => {}
            Subject::Run(id) => pending.push(id.clone()),
            Subject::Version { name, version, .. } => {
                let versions = self.store.versions().await?;
                let found = versions.iter().find(|one| one.model == *name && one.version == *version);
                if let Some(found) = found.filter(|found| !found.run_id.is_empty())
                    && let Some(run) = self.run(&found.run_id).await?
                {
                    let from = self.graph.add(run_node(&run));
                    self.graph.join(&from, &version_id(found), "registered");
                    pending.push(run.id);
                }
            }
            Subject::Data { digest, .. } => {
                let to = data_id(digest);
                if let Some(maker) = self.maker(digest, None).await? {
                    let from = self.graph.add(run_node(&maker));
                    self.graph.join(&from, &to, "made");
                    pending.push(maker.id);
                }
            }
        }
        let mut seen: HashSet<String> = pending.iter().cloned().collect();
        while let Some(id) = pending.pop() {
            let Some(run) = self.run(&id).await? else { continue };
            for next in self.behind(&run).await? {
                if seen.insert(next.clone()) {
                    pending.push(next);
                }
            }
        }
        Ok(())
    }

    /// Adds what is directly behind a run. Returns the runs to look behind next.
    async fn behind(&mut self, run: &Run) -> Result<Vec<String>> {
        let to = run_id(&run.id);
        let mut next = Vec::new();
        match run.tag(tag::KIND) {
            Some("pipeline") => {
                let stages = self.children(run).await?;
                for stage in stages.iter().filter(|child| child.tag(tag::KIND) == Some("stage")) {
                    let from = self.graph.add(run_node(stage));
                    self.graph.join(&from, &to, "part");
                    next.push(stage.id.clone());
                }
                let read = |item: &DatasetUse| {
                    stages.iter().any(|stage| stage.datasets.iter().any(|one| one.digest == item.digest))
                };
                let rest: Vec<DatasetUse> = run.datasets.iter().filter(|item| !read(item)).cloned().collect();
                self.read_by(&rest, &to);
                self.code(run, &to);
            }
            Some("stage") => {
                self.read_by(&run.datasets, &to);
                if let Some(origin) = run.tag(tag::CACHED_FROM).map(str::to_owned)
                    && let Some(origin) = self.run(&origin).await?
                {
                    let from = self.graph.add(run_node(&origin));
                    self.graph.join(&from, &to, "restored");
                    self.code(&origin, &from);
                }
                let siblings = match run.tag(tag::PARENT).map(str::to_owned) {
                    Some(parent) => match self.run(&parent).await? {
                        Some(parent) => self.children(&parent).await?,
                        None => Vec::new(),
                    },
                    None => Vec::new(),
                };
                for item in run.datasets.iter().filter(|item| !item.is_output()) {
                    let made = |one: &&Run| one.id != run.id && makes(one, &item.digest);
                    let maker = match siblings.iter().find(made) {
                        Some(sibling) => Some(sibling.clone()),
                        None => self.maker(&item.digest, Some(run)).await?,
                    };
                    if let Some(maker) = maker {
                        let from = self.graph.add(run_node(&maker));
                        self.graph.join(&from, &data_id(&item.digest), "made");
                        next.push(maker.id);
                    }
                }
                let above = run.tag(tag::PARENT).map(run_id);
                if above.is_none_or(|above| !self.graph.nodes.contains_key(&above)) {
                    self.code(run, &to);
                }
            }
            _ => {
                self.read_by(&run.datasets, &to);
                match run.tag(tag::PARENT).map(str::to_owned) {
                    Some(parent) => {
                        if let Some(parent) = self.run(&parent).await? {
                            let from = self.graph.add(run_node(&parent));
                            self.graph.join(&from, &to, "script");
                            next.push(parent.id);
                        }
                    }
                    None => self.code(run, &to),
                }
            }
        }
        Ok(next)
    }

    fn code(&mut self, run: &Run, to: &str) {
        if let Some(sha) = run.tag(tag::COMMIT) {
            let from = self.graph.add(commit_node(sha));
            self.graph.join(&from, to, "code");
        }
    }

    fn read_by(&mut self, datasets: &[DatasetUse], to: &str) {
        for item in datasets.iter().filter(|item| !item.is_output()) {
            let from = self.graph.add(used_node(item));
            self.graph.join(&from, to, "read");
        }
    }

    /// The first stage run that computed data: the last one before `reader` where there is one.
    async fn maker(&mut self, digest: &str, reader: Option<&Run>) -> Result<Option<Run>> {
        let filter = format!("dataset.digest = '{}' AND tags.`{}` = 'stage'", quoted(digest), tag::KIND);
        let found = self.search(&filter).await?;
        let mut makers = found.into_iter().filter(|run| {
            makes(run, digest)
                && run.tag(tag::CACHED).is_none()
                && reader.is_none_or(|reader| run.start_time <= reader.start_time && run.id != reader.id)
        });
        Ok(makers.next())
    }

    // ---- downwards

    async fn down(&mut self, subject: &Subject) -> Result<()> {
        let mut makers: Vec<Run> = Vec::new();
        match subject {
            Subject::Version { name, version, .. } => {
                let versions = self.store.versions().await?;
                let found = versions.iter().find(|one| one.model == *name && one.version == *version);
                for alias in found.map(|found| found.aliases.clone()).unwrap_or_default() {
                    self.alias(name, &alias, &format!("version:{name}/{version}"));
                }
                return Ok(());
            }
            Subject::Run(id) => {
                if let Some(run) = self.run(id).await? {
                    let from = run_id(id);
                    for item in run.datasets.iter().filter(|item| item.is_output()) {
                        let to = self.graph.add(used_node(item));
                        self.graph.join(&from, &to, "made");
                    }
                    let restored = format!("tags.`{}` = '{}'", tag::CACHED_FROM, quoted(id));
                    for cached in self.search(&restored).await? {
                        let to = self.graph.add(run_node(&cached));
                        self.graph.join(&from, &to, "restored");
                        makers.push(cached);
                    }
                    makers.push(run);
                }
            }
            Subject::Data { digest, .. } => {
                let from = data_id(digest);
                let users = self.search(&format!("dataset.digest = '{}'", quoted(digest))).await?;
                let reads =
                    |run: &Run| run.datasets.iter().any(|item| item.digest == *digest && !item.is_output());
                let uses = users.iter().flat_map(|run| &run.datasets).filter(|item| item.digest == *digest);
                uses.for_each(|item| drop(self.graph.add(used_node(item))));
                let readers: Vec<Run> = users.into_iter().filter(|run| reads(run)).collect();
                let below: HashSet<&str> = readers.iter().filter_map(|run| run.tag(tag::PARENT)).collect();
                for run in readers.iter().filter(|run| !below.contains(run.id.as_str())) {
                    let to = self.graph.add(run_node(run));
                    self.graph.join(&from, &to, "read");
                }
                makers = readers;
            }
            Subject::Commit(sha) => {
                let from = commit_id(sha);
                let filter = format!("tags.`{}` = '{}'", tag::COMMIT, quoted(sha));
                let found = self.search(&filter).await?;
                let own: HashSet<&str> = found.iter().map(|run| run.id.as_str()).collect();
                let top = |run: &&Run| run.tag(tag::PARENT).is_none_or(|parent| !own.contains(parent));
                for run in found.iter().filter(top) {
                    let to = self.graph.add(run_node(run));
                    self.graph.join(&from, &to, "code");
                }
                makers = found;
            }
        }
        self.registered(makers).await
    }

    /// Adds the versions and aliases made of runs, the runs below them that a version was made of, and the pipeline runs
    /// above them.
    async fn registered(&mut self, mut runs: Vec<Run>) -> Result<()> {
        let mut known: HashSet<String> = runs.iter().map(|run| run.id.clone()).collect();
        let mut above: Vec<String> = Vec::new();
        for run in &runs {
            if run.tag(tag::KIND) == Some("stage")
                && let Some(parent) = run.tag(tag::PARENT)
                && known.insert(parent.to_owned())
            {
                above.push(parent.to_owned());
            }
        }
        let pipelines = self.store.runs_of(&above).await?;
        for run in &pipelines {
            self.runs.insert(run.id.clone(), run.clone());
        }
        runs.extend(pipelines);
        let versions = self.store.versions().await?;
        // Versions of a script's own run hang below its stage.
        let mut scripts = Vec::new();
        let strangers: IndexSet<String> = versions
            .iter()
            .map(|one| one.run_id.clone())
            .filter(|id| !id.is_empty() && !known.contains(id))
            .collect();
        let strangers: Vec<String> = strangers.into_iter().collect();
        for run in self.store.runs_of(&strangers).await? {
            if run.tag(tag::PARENT).is_some_and(|parent| known.contains(parent)) {
                scripts.push(run);
            }
        }
        runs.extend(scripts);
        let by_id: HashMap<&str, &Run> = runs.iter().map(|run| (run.id.as_str(), run)).collect();
        let mut by_run: HashMap<&str, Vec<&Version>> = HashMap::new();
        for version in versions {
            by_run.entry(&version.run_id).or_default().push(version);
        }
        for run in &runs {
            let from = run_id(&run.id);
            if let Some(parent) = run.tag(tag::PARENT).and_then(|parent| by_id.get(parent)) {
                self.graph.add(run_node(run));
                let above = self.graph.add(run_node(parent));
                match run.tag(tag::KIND) == Some("stage") {
                    true => self.graph.join(&from, &above, "part"),
                    false => self.graph.join(&above, &from, "script"),
                }
            }
            for version in by_run.get(run.id.as_str()).into_iter().flatten() {
                self.graph.add(run_node(run));
                let to = self.graph.add(version_node(version));
                self.graph.join(&from, &to, "registered");
                for alias in &version.aliases {
                    self.alias(&version.model, alias, &to);
                }
            }
        }
        Ok(())
    }
}

fn makes(run: &Run, digest: &str) -> bool {
    run.datasets.iter().any(|item| item.digest == digest && item.is_output())
}
