//! From text to [`Node`]s: events of the scanner, anchors, aliases, merge keys and tags resolved.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::node::{Key, Node, NodeKind, Span};
use super::tabs::{self, Part, PartKind};
use super::{Dialect, scalar};
use crate::value::Value;

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 100;
/// Most nodes that aliases may blow a document up to.
const MAX_NODES: usize = 1_000_000;

/// Text that is not YAML, or that breaks a rule that all readers share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters are at fault.
    pub width: usize,
    /// What is wrong.
    pub message: String,
}

impl SyntaxError {
    fn at(span: Span, source: &str, message: impl Into<String>) -> Self {
        Self { line: span.line, column: span.column, width: span.width(source), message: message.into() }
    }
}

/// Reads one document as `ruamel.yaml` does: by the rules of YAML 1.1 when it says `%YAML 1.1`. Empty text is null.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let head = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut directives =
        head.lines().take_while(|line| line.starts_with(['%', '#']) || line.trim().is_empty());
    let is_1_1 = head.starts_with(['%', '#'])
        && directives.any(|line| line.split_whitespace().take(2).eq(["%YAML", "1.1"]));
    parse_with(text, if is_1_1 { Dialect::PyYaml11 } else { Dialect::Ruamel12 })
}

/// Reads one document. Empty text is null.
pub fn parse_with(text: &str, dialect: Dialect) -> Result<Node, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder {
        source: text,
        dialect,
        offsets: Offsets::new(text),
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        // PyYAML's reader in C takes tabs for white space, as the parser does.
        parts: (dialect == Dialect::Ruamel12 && text.contains('\t')).then(Vec::new),
    };
    let node = builder.document()?;
    if let Some(parts) = &mut builder.parts {
        tabs::check(text, parts)?;
    }
    Ok(node)
}

/// Turns character offsets into byte offsets.
struct Offsets(Option<Vec<usize>>);

impl Offsets {
    fn new(text: &str) -> Self {
        if text.is_ascii() {
            return Self(None);
        }
        Self(Some(text.char_indices().map(|(at, _)| at).chain([text.len()]).collect()))
    }

    fn byte(&self, character: usize, source: &str) -> usize {
        match &self.0 {
            None => character.min(source.len()),
            Some(table) => table.get(character).copied().unwrap_or(source.len()),
        }
    }
}

struct Builder<'t> {
    source: &'t str,
    dialect: Dialect,
    offsets: Offsets,
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    /// What has rules of its own for tabs, in a text that has some.
    parts: Option<Vec<Part>>,
}

type Step<'t> = (Event<'t>, Span);

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<Step<'t>, SyntaxError> {
        match self.parser.next_event() {
            None => Ok((Event::StreamEnd, Span { line: 1, column: 1, ..Span::default() })),
            Some(Ok((event, span))) => {
                let span = Span {
                    line: span.start.line(),
                    column: span.start.col() + 1,
                    start: self.offsets.byte(span.start.index(), self.source),
                    end: self.offsets.byte(span.end.index(), self.source),
                };
                Ok((event, span))
            }
            Some(Err(error)) => {
                let marker = error.marker();
                Err(SyntaxError {
                    line: marker.line(),
                    column: marker.col() + 1,
                    width: 1,
                    message: error.info().to_owned(),
                })
            }
        }
    }

    fn document(&mut self) -> Result<Node, SyntaxError> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if root.is_some() => {
                    return Err(SyntaxError::at(span, self.source, "a second document in the same file"));
                }
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        let nothing = Span { line: 1, column: 1, start: 0, end: 0 };
        Ok(root.unwrap_or(Node { span: nothing, kind: NodeKind::Scalar(Value::Null) }))
    }

    fn count(&mut self, span: Span, more: usize) -> Result<(), SyntaxError> {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            return Err(SyntaxError::at(
                span,
                self.source,
                "the document is too large once aliases are replaced",
            ));
        }
        Ok(())
    }

    fn part(&mut self, start: usize, end: usize, kind: PartKind) {
        if let Some(parts) = &mut self.parts {
            parts.push(Part { start, end: end.min(self.source.len()), kind });
        }
    }

    fn brackets(&mut self, start: usize, end: usize) {
        if matches!(self.source.as_bytes().get(start), Some(b'[' | b'{')) {
            self.part(start, end, PartKind::Brackets);
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(SyntaxError::at(span, self.source, "nested too deeply"));
        }
        self.count(span, 1)?;
        let (node, anchor) = match event {
            Event::Alias(id) => {
                let node = self.anchors.get(&id).cloned().ok_or_else(|| {
                    SyntaxError::at(span, self.source, "an alias to something that contains it")
                })?;
                let size = weight(&node);
                self.count(span, size)?;
                return Ok(Node { span, kind: node.kind });
            }
            Event::Scalar(text, style, anchor, tag) => {
                match style {
                    ScalarStyle::Plain => {}
                    ScalarStyle::Literal | ScalarStyle::Folded => {
                        self.part(span.start, span.end, PartKind::Block)
                    }
                    _ => self.part(span.start, span.end, PartKind::Quoted),
                }
                let kind = NodeKind::Scalar(self.scalar(text, style, tag.as_deref(), span)?);
                (Node { span, kind }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.collection_tag(tag.as_deref(), &["seq"], span)?;
                let mut items = Vec::new();
                let mut end = span.end;
                loop {
                    let (event, inner) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        end = end.max(inner.end.min(self.source.len()));
                        self.brackets(span.start, inner.start + 1);
                        break;
                    }
                    items.push(self.node(event, inner, depth + 1)?);
                }
                (Node { span: Span { end, ..span }, kind: NodeKind::List(items) }, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.collection_tag(tag.as_deref(), &["map"], span)?;
                (self.mapping(span, depth)?, anchor)
            }
            _ => return Err(SyntaxError::at(span, self.source, "expected a value")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn mapping(&mut self, span: Span, depth: usize) -> Result<Node, SyntaxError> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        let mut merged: Vec<(Key, Node)> = Vec::new();
        let mut end = span.end;
        loop {
            let (event, at) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                end = end.max(at.end.min(self.source.len()));
                self.brackets(span.start, at.start + 1);
                break;
            }
            let merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.node(event, at, depth + 1)?;
            let (event, value_at) = self.next()?;
            let value = self.node(event, value_at, depth + 1)?;
            if merge {
                self.merge(value, &mut merged)?;
                continue;
            }
            let key = self.key(key)?;
            if !seen.insert(key.text.clone()) {
                let message = format!("key `{}` appears twice", key.text);
                return Err(SyntaxError::at(key.span, self.source, message));
            }
            entries.push((key, value));
        }
        if !merged.is_empty() {
            entries = with_merged(entries, merged);
        }
        Ok(Node { span: Span { end, ..span }, kind: NodeKind::Map(entries) })
    }

    fn merge(&self, value: Node, merged: &mut Vec<(Key, Node)>) -> Result<(), SyntaxError> {
        match value.kind {
            NodeKind::Map(entries) => merged.extend(entries),
            NodeKind::List(items) => {
                // The first of them wins, so it is taken last.
                for item in items.into_iter().rev() {
                    match item.kind {
                        NodeKind::Map(entries) => merged.extend(entries),
                        _ => {
                            return Err(SyntaxError::at(
                                item.span,
                                self.source,
                                "only mappings can be merged",
                            ));
                        }
                    }
                }
            }
            NodeKind::Scalar(_) => {
                return Err(SyntaxError::at(value.span, self.source, "only mappings can be merged"));
            }
        }
        Ok(())
    }

    fn key(&self, node: Node) -> Result<Key, SyntaxError> {
        match node.kind {
            NodeKind::Scalar(value) => Ok(Key { text: value.to_string(), value, span: node.span }),
            _ => Err(SyntaxError::at(node.span, self.source, "a key must be a plain value")),
        }
    }

    fn collection_tag(&self, tag: Option<&Tag>, allowed: &[&str], span: Span) -> Result<(), SyntaxError> {
        match tag {
            None => Ok(()),
            Some(tag) if tag.is_yaml_core_schema() && allowed.contains(&tag.suffix.as_str()) => Ok(()),
            Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Ok(()),
            Some(tag) => Err(self.unknown_tag(tag, span)),
        }
    }

    fn unknown_tag(&self, tag: &Tag, span: Span) -> SyntaxError {
        SyntaxError::at(span, self.source, format!("unknown tag `{}{}`", tag.handle, tag.suffix))
    }

    fn scalar(
        &self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<Value, SyntaxError> {
        let Some(tag) = tag else {
            return Ok(match style {
                ScalarStyle::Plain => scalar::resolve(&text, self.dialect),
                _ => Value::Str(text.into_owned()),
            });
        };
        if tag.handle.is_empty() && tag.suffix == "!" || (tag.is_yaml_core_schema() && tag.suffix == "str") {
            return Ok(Value::Str(text.into_owned()));
        }
        if !tag.is_yaml_core_schema() {
            return Err(self.unknown_tag(tag, span));
        }
        let value = scalar::resolve(&text, self.dialect);
        let fits = match (tag.suffix.as_str(), &value) {
            ("int", Value::Int(_) | Value::BigInt(_)) | ("float", Value::Float(_)) => true,
            ("bool", Value::Bool(_)) | ("null", Value::Null) | ("timestamp", Value::Date(_)) => true,
            ("float", Value::Int(n)) => return Ok(Value::Float(*n as f64)),
            ("int" | "float" | "bool" | "null" | "timestamp", _) => false,
            _ => return Err(self.unknown_tag(tag, span)),
        };
        if fits {
            return Ok(value);
        }
        Err(SyntaxError::at(span, self.source, format!("`{text}` does not fit its tag `!!{}`", tag.suffix)))
    }
}

/// The entries of a mapping that takes in others: theirs come first, and a key that stands twice keeps its first place
/// and its last value, so what is written in the mapping itself wins.
fn with_merged(entries: Vec<(Key, Node)>, merged: Vec<(Key, Node)>) -> Vec<(Key, Node)> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut all: Vec<(Key, Node)> = Vec::with_capacity(merged.len() + entries.len());
    for (key, node) in merged.into_iter().chain(entries) {
        match places.entry(key.text.clone()) {
            Entry::Occupied(place) => all[*place.get()] = (key, node),
            Entry::Vacant(place) => {
                place.insert(all.len());
                all.push((key, node));
            }
        }
    }
    all
}

fn weight(node: &Node) -> usize {
    match &node.kind {
        NodeKind::Scalar(_) => 1,
        NodeKind::List(items) => 1 + items.iter().map(weight).sum::<usize>(),
        NodeKind::Map(entries) => 1 + entries.iter().map(|(_, node)| 1 + weight(node)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn faults_are_placed() {
        let table = [
            ("a: 1\nb: 2\na: 3\n", 3, 1, "key `a` appears twice"),
            ("a: [1, 2\nb: 3\n", 2, 2, "illegal placement of ':'"),
            ("a: !odd 1\n", 1, 4, "unknown tag"),
            ("a: 1\n---\nb: 2\n", 3, 1, "second document"),
            ("a: *nothing\n", 1, 4, "unknown anchor"),
            ("{a: 1}: 2\n", 1, 1, "a key must be a plain value"),
            ("\tstages: {}\n", 1, 1, "a tab cannot stand here; use spaces"),
            ("# note\n \t\na: 1\n", 2, 2, "a tab cannot stand here; use spaces"),
            ("a: &x [*x]\n", 1, 8, "alias to something that contains it"),
        ];
        for (text, line, column, message) in table {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains(message), "{text:?}: {error:?}");
            assert_eq!((error.line, error.column), (line, column), "{text:?}: {error:?}");
        }
    }

    #[test]
    fn keys_and_values_know_their_place() {
        let source = "é: x\nstages:\n  train:\n    cmd: python é.py\n";
        let root = parse(source).unwrap();
        let (key, stage) = root.get("stages").unwrap().entry("train").unwrap();
        assert_eq!((key.span.line, key.span.column, key.span.width(source)), (3, 3, 5));
        let cmd = stage.get("cmd").unwrap();
        assert_eq!((cmd.span.line, cmd.span.column), (4, 10));
        assert_eq!(&source[cmd.span.start..cmd.span.end], "python é.py");
    }

    #[test]
    fn a_document_may_ask_for_the_rules_of_yaml_1_1() {
        let value = |text: &str| parse(text).unwrap().to_value().to_string();
        let body = "---\na: yes\nb: 010\nc: 1:30\n";
        assert_eq!(value(&format!("# c\n%YAML 1.1\n{body}")), "{'a': True, 'b': 8, 'c': 90}");
        for text in [body.to_owned(), format!("%YAML 1.2\n{body}"), format!("#%YAML 1.1\n{body}")] {
            assert_eq!(value(&text), "{'a': 'yes', 'b': 10, 'c': '1:30'}", "{text}");
        }
    }

    #[test]
    fn anchors_and_merge_keys_are_resolved() {
        let root = parse("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n").unwrap();
        let merged = root.get("use").unwrap().to_value();
        assert_eq!(merged.get("x"), Some(&Value::Int(1)));
        assert_eq!(merged.get("y"), Some(&Value::Int(3)));
    }

    #[test]
    fn aliases_cannot_blow_a_document_up() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let refs = vec![format!("*a{}", n - 1); 10].join(", ");
            text.push_str(&format!("a{n}: &a{n} [{refs}]\n"));
        }
        assert!(parse(&text).unwrap_err().message.contains("too large"));
        assert!(parse(&"[".repeat(5000)).is_err());
    }

    #[test]
    fn rare_line_breaks_read_back() {
        for text in ["t\u{85}", "\u{2028}", "a\u{2029}b", "it's\u{85} x"] {
            let value = Value::Map(
                [("a".to_owned(), Value::List(vec![Value::Str(text.into())]))].into_iter().collect(),
            );
            let written = crate::yaml::write(&value);
            assert_eq!(parse(&written).unwrap().to_value(), value, "{written:?}");
        }
    }

    #[test]
    fn words_between_several_spaces_read_back() {
        for words in 10..40 {
            for gap in [" ", "  ", "    "] {
                let text = Value::Str(vec!["- word"; words].join(gap)[2..].to_owned());
                let list = Value::List(vec![Value::List(vec![text.clone()])]);
                let value =
                    Value::Map([("text".to_owned(), text), ("list".to_owned(), list)].into_iter().collect());
                let written = crate::yaml::write(&value);
                assert_eq!(parse(&written).unwrap().to_value(), value, "{written:?}");
            }
        }
    }

    #[test]
    fn a_key_that_would_be_folded_reads_back() {
        for words in 10..40 {
            let key = vec!["word"; words].join(" ");
            let inner = Value::Map([(key.clone(), Value::Int(1))].into_iter().collect());
            let list = Value::List(vec![inner.clone()]);
            let value = Value::Map([(key, inner), ("list".to_owned(), list)].into_iter().collect());
            let written = crate::yaml::write(&value);
            let read = parse(&written).unwrap_or_else(|error| panic!("{written:?} is not read: {error}"));
            assert_eq!(read.to_value(), value, "{written:?}");
        }
        // A key of one word stays on its line, as does a key in quotes.
        let long = "w".repeat(100);
        for (key, start) in [(long.clone(), "w"), (format!("- {long} x"), "'- w")] {
            let written = crate::yaml::write(&Value::Map([(key, Value::Int(1))].into_iter().collect()));
            assert!(written.starts_with(start), "{written:?}");
        }
    }

    proptest! {
        #[test]
        fn any_key_of_one_line_reads_back(key in "([ a-zé:#'\"\\\\-]|[a-z]{1,20} ){0,60}") {
            let key: String = key.chars().take(122).collect();
            let inner = Value::Map([(key.clone(), Value::Int(1))].into_iter().collect());
            let value = Value::Map([(key, inner)].into_iter().collect());
            for dialect in [Dialect::Ruamel12, Dialect::PyYaml11] {
                let written = crate::yaml::write_with(&value, dialect);
                let read = parse_with(&written, dialect).map(|node| node.to_value());
                prop_assert_eq!(read.as_ref(), Ok(&value), "{:?}", written);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}|[-a-c:\\[\\]{},&*!|>'\"%@` \n\t#]{0,60}") {
            let _ = parse(&text);
            let _ = parse_with(&text, Dialect::PyYaml11);
        }

        #[test]
        fn any_written_text_reads_back(text in "([ a-z:#'\"\\\\\n-]|\\PC){0,120}") {
            let mut map = crate::Map::new();
            map.insert("k".into(), Value::List(vec![Value::Str(text.clone())]));
            let written = crate::yaml::write_with(&Value::Map(map), Dialect::PyYaml11);
            let root = parse_with(&written, Dialect::PyYaml11).unwrap();
            prop_assert_eq!(root.get("k").unwrap().as_list().unwrap()[0].as_str(), Some(text.as_str()));
        }
    }
}
