//! Lineage both ways: what is behind a model version, a run or a file, and what was made from it.
//!
//! The facts are those that the recorder left in the store (dataset inputs whose digest is DVC's MD5, tags of the
//! commit and of the parent run, the run of a model version) and, in a project, those of git and `dvc.lock`. A server
//! answers from the store alone. The graph's edges point the way things flow: data → run → model version → alias.

mod commits;
mod draw;
mod graph;
mod node;
mod pipeline_files;
mod project;
mod store;
mod subject;
mod walk;

use indexmap::IndexMap;
use serde::Serialize;
use utoipa::ToSchema;

pub use commits::recorded_in;
pub use store::Store;
pub(crate) use subject::resolve_run;
pub use subject::{Subject, resolve};
pub use walk::trace;

/// What a node of the graph stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Bytes of a known digest.
    Data,
    /// A commit.
    Commit,
    /// A stage as a lock file has it, of which no run is known.
    Stage,
    /// A run.
    Run,
    /// A version of a registered model.
    Version,
    /// An alias of a registered model.
    Alias,
}

/// One thing.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Node {
    /// What edges name it by: `data:MD5`, `commit:SHA`, `run:ID`, `version:NAME/V`, `alias:NAME@ALIAS`, `stage:NAME@SHA`.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// For people.
    pub label: String,
    /// What is known of it.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub facts: IndexMap<String, String>,
}

/// One thing went into another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
pub struct Edge {
    /// The id of what went in.
    pub from: String,
    /// The id of what came of it.
    pub to: String,
    /// `code`, `recorded`, `read`, `made`, `part`, `script`, `restored`, `registered` or `alias`.
    pub how: &'static str,
}

/// What is behind a thing, and what was made from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Lineage {
    /// The ids of the nodes that were asked about.
    pub subjects: Vec<String>,
    /// All nodes.
    pub nodes: Vec<Node>,
    /// All edges, in the direction of flow.
    pub edges: Vec<Edge>,
}

/// Which way to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directions {
    /// What is behind it.
    pub up: bool,
    /// What was made from it.
    pub down: bool,
}

impl Directions {
    /// Both ways.
    pub const BOTH: Self = Self { up: true, down: true };
}

impl Lineage {
    /// The node of this id.
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }
}
