//! YAML as the tools that Matraz replaces read, write and edit it.
//!
//! Reading gives [`Node`]s that remember their place, so that an error can point at a key; [`Node::to_value`]
//! drops the places. Writing gives the same bytes as the tool of the chosen [`Dialect`].

mod edit;
mod node;
mod parse;
mod scalar;
mod tabs;
mod write;

pub use edit::edit;
pub use node::{Key, Node, NodeKind, Span};
pub use parse::{SyntaxError, parse, parse_with};
pub use scalar::resolve;
pub use write::{write, write_with, write_with_keys};

/// Whose YAML: the rules for plain scalars, and the layout when writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// YAML 1.2 as `ruamel.yaml` has it: the pipeline and data files.
    #[default]
    Ruamel12,
    /// YAML 1.1 as `PyYAML` has it: model descriptions.
    PyYaml11,
}
