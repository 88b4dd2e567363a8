//! What git and the lock files of a project add: which commit recorded which data, and who made what no run made.

use std::collections::HashSet;

use indexmap::IndexMap;
use matraz_data::Repo;

use super::graph::Graph;
use super::node::{commit_node, data_id, data_node, short};
use super::subject::Subject;
use super::{Directions, Kind, Node, commits, pipeline_files};
use crate::error::Result;

/// Adds what git and the lock files know of the things in the graph.
pub(super) fn add_project(
    graph: &mut Graph,
    repo: &Repo,
    subject: &Subject,
    directions: Directions,
) -> Result<()> {
    if let (Subject::Data { digest, .. }, true) = (subject, directions.up) {
        let id = data_id(digest);
        if !graph.edges.iter().any(|edge| edge.to == id && edge.how == "made") {
            add_makers(graph, repo, digest)?;
        }
    }
    let digests: HashSet<String> =
        graph.nodes.keys().filter_map(|id| id.strip_prefix("data:")).map(str::to_owned).collect();
    for (digest, commit) in commits::recorded_in(repo, &digests)? {
        if let Some(node) = graph.nodes.get_mut(&data_id(&digest)) {
            node.facts.insert("recorded_in".into(), commit.clone());
        }
        if matches!(subject, Subject::Data { digest: asked, .. } if *asked == digest) && directions.up {
            let from = graph.add(commit_node(&commit));
            graph.join(&from, &data_id(&digest), "recorded");
        }
    }
    let Some(git) = &repo.git else { return Ok(()) };
    for node in graph.nodes.values_mut().filter(|node| node.kind == Kind::Commit) {
        let sha = node.id.trim_start_matches("commit:").to_owned();
        if let Some(subject) = git.subject_of(&sha) {
            node.facts.insert("subject".into(), subject);
        }
    }
    Ok(())
}

/// Follows lock files from data to the stages that made them and the data that those read.
fn add_makers(graph: &mut Graph, repo: &Repo, digest: &str) -> Result<()> {
    let mut pending = vec![digest.to_owned()];
    let mut seen = HashSet::new();
    while let Some(digest) = pending.pop() {
        if !seen.insert(digest.clone()) {
            continue;
        }
        let commit = commits::recorded_in(repo, &HashSet::from([digest.clone()]))?.remove(&digest);
        let Some(maker) = pipeline_files::maker(repo, commit.as_deref(), &digest)? else { continue };
        let at = commit.as_deref().map_or("workspace".to_owned(), short);
        let node = Node {
            id: format!("stage:{}@{at}", maker.stage),
            kind: Kind::Stage,
            label: format!("stage {} by dvc.lock of {at}", maker.stage),
            facts: IndexMap::from([("command".to_owned(), maker.command)]),
        };
        let stage = graph.add(node);
        graph.join(&stage, &data_id(&digest), "made");
        for (path, read) in maker.read {
            let from = graph.add(data_node(&read, &path));
            graph.join(&from, &stage, "read");
            pending.push(read);
        }
    }
    Ok(())
}
