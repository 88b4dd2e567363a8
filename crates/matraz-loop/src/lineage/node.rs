//! The nodes of the graph: how they are named, and what they say.

use indexmap::IndexMap;

use super::store::Version;
use super::{Kind, Node};
use crate::run::{DatasetUse, Run, tag};

pub(super) fn run_id(id: &str) -> String {
    format!("run:{id}")
}

pub(super) fn data_id(digest: &str) -> String {
    format!("data:{digest}")
}

pub(super) fn commit_id(sha: &str) -> String {
    format!("commit:{sha}")
}

pub(super) fn version_id(version: &Version) -> String {
    format!("version:{}/{}", version.model, version.version)
}

/// The first digits of a commit or id.
pub(super) fn short(id: &str) -> String {
    id.chars().take(7).collect()
}

pub(super) fn run_node(run: &Run) -> Node {
    let mut facts = IndexMap::new();
    facts.insert("status".to_owned(), run.status.to_lowercase());
    facts.insert("started".to_owned(), when(run.start_time));
    facts.insert("experiment_id".to_owned(), run.experiment_id.clone());
    let kept = [
        (tag::KIND, "kind"),
        (tag::STAGE, "stage"),
        (tag::DIRTY, "uncommitted_code"),
        (tag::CACHED, "cached"),
        (tag::GATE, "gate"),
    ];
    for (key, name) in kept {
        if let Some(value) = run.tag(key) {
            facts.insert(name.to_owned(), value.to_owned());
        }
    }
    let label = match run.tag(tag::KIND) {
        Some("stage") => format!("stage run {}", run.name),
        Some("pipeline") => format!("pipeline run {}", run.name),
        _ => format!("run {}", run.name),
    };
    Node { id: run_id(&run.id), kind: Kind::Run, label, facts }
}

pub(super) fn data_node(digest: &str, label: &str) -> Node {
    let facts = IndexMap::from([("md5".to_owned(), digest.to_owned())]);
    Node { id: data_id(digest), kind: Kind::Data, label: label.to_owned(), facts }
}

pub(super) fn used_node(item: &DatasetUse) -> Node {
    let mut node = data_node(&item.digest, &item.name);
    let numbers = [("size", item.size), ("files", item.files)];
    for (key, value) in numbers {
        if let Some(value) = value {
            node.facts.insert(key.to_owned(), value.to_string());
        }
    }
    if item.uncommitted {
        node.facts.insert("uncommitted".to_owned(), "true".to_owned());
    }
    node
}

pub(super) fn commit_node(sha: &str) -> Node {
    Node {
        id: commit_id(sha),
        kind: Kind::Commit,
        label: format!("commit {}", short(sha)),
        facts: IndexMap::new(),
    }
}

pub(super) fn version_node(version: &Version) -> Node {
    let mut facts = IndexMap::new();
    facts.insert("created".to_owned(), when(version.created));
    if let Some((_, verdict)) = version.tags.iter().find(|(key, _)| key == tag::GATE) {
        facts.insert("gate".to_owned(), verdict.clone());
    }
    let label = format!("{} version {}", version.model, version.version);
    Node { id: version_id(version), kind: Kind::Version, label, facts }
}

fn when(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds).map(|time| format!("{time:.0}")).unwrap_or_default()
}
