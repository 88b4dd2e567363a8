//! A parsed document that remembers where everything stood.

use crate::value::{Map, Value};

/// Where a piece of a document stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Line of the first character, from 1.
    pub line: usize,
    /// Column of the first character, in characters from 1.
    pub column: usize,
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// How many characters a caret should mark: those of the piece on its first line, at least one.
    pub fn width(&self, source: &str) -> usize {
        let piece = source.get(self.start..self.end).unwrap_or("");
        piece.lines().next().unwrap_or("").trim_end().chars().count().max(1)
    }
}

/// The key of a mapping entry.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key as text; a number or a boolean in the words of Python (`1`, `True`).
    pub text: String,
    /// What the key was before it became text.
    pub value: Value,
    /// Where it stands.
    pub span: Span,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub kind: NodeKind,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// Anything but a list or a mapping.
    Scalar(Value),
    /// A list.
    List(Vec<Node>),
    /// A mapping in source order, without duplicates.
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// The node without its places.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            NodeKind::Scalar(value) => value.clone(),
            NodeKind::List(items) => Value::List(items.iter().map(Self::to_value).collect()),
            NodeKind::Map(entries) => Value::Map(
                entries.iter().map(|(key, node)| (key.text.clone(), node.to_value())).collect::<Map>(),
            ),
        }
    }

    /// Whether this is null, or nothing.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, NodeKind::Scalar(Value::Null))
    }

    /// The text, if this is text.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar(Value::Str(text)) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match &self.kind {
            NodeKind::Scalar(Value::Bool(truth)) => Some(*truth),
            _ => None,
        }
    }

    /// The items, if this is a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.kind {
            NodeKind::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if this is a mapping.
    pub fn as_map(&self) -> Option<&[(Key, Node)]> {
        match &self.kind {
            NodeKind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The node below `key` of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node)
    }

    /// The entry of `key` in a mapping.
    pub fn entry(&self, key: &str) -> Option<&(Key, Node)> {
        self.as_map()?.iter().find(|(candidate, _)| candidate.text == key)
    }

    /// What kind of value this is, in the words of YAML.
    pub fn type_name(&self) -> &'static str {
        match &self.kind {
            NodeKind::Scalar(value) => value.type_name(),
            NodeKind::List(_) => "list",
            NodeKind::Map(_) => "mapping",
        }
    }
}
