//! What is collected: things once each, and the ways between them.

use indexmap::{IndexMap, IndexSet};

use super::{Edge, Kind, Lineage, Node};

/// The graph of a lineage while it grows.
#[derive(Default)]
pub(super) struct Graph {
    pub(super) nodes: IndexMap<String, Node>,
    pub(super) edges: IndexSet<Edge>,
}

impl Graph {
    /// Adds a node. Returns its id.
    pub(super) fn add(&mut self, node: Node) -> String {
        let id = node.id.clone();
        match self.nodes.get_mut(&id) {
            None => drop(self.nodes.insert(id.clone(), node)),
            // The same bytes may lie at several paths.
            Some(known) if known.kind == Kind::Data => {
                for (key, value) in node.facts {
                    known.facts.entry(key).or_insert(value);
                }
                if id.ends_with(&known.label) {
                    known.label = node.label;
                } else if known.label != node.label && !id.ends_with(&node.label) {
                    let also = known.facts.entry("also".to_owned()).or_default();
                    if !also.split(", ").any(|path| path == node.label) {
                        also.push_str(if also.is_empty() { "" } else { ", " });
                        also.push_str(&node.label);
                    }
                }
            }
            Some(_) => {}
        }
        id
    }

    /// Says that one thing went into another.
    pub(super) fn join(&mut self, from: &str, to: &str, how: &'static str) {
        self.edges.insert(Edge { from: from.to_owned(), to: to.to_owned(), how });
    }

    /// The lineage of the node `start`.
    pub(super) fn lineage_of(self, start: String) -> Lineage {
        Lineage {
            subjects: vec![start],
            nodes: self.nodes.into_values().collect(),
            edges: self.edges.into_iter().collect(),
        }
    }
}
