//! Edits of an existing document that keep comments, order and layout of everything they do not touch.

use super::node::{Node, NodeKind};
use super::{SyntaxError, parse, write};
use crate::value::{Map, Value};

/// Changes the document `text` so that it reads as `value`: keys that are gone are taken out, new ones go to the
/// end of their mapping, changed values are replaced in place.
///
/// Where the layout leaves no safe place for a change (aliases, odd flow style), the whole is written anew.
pub fn edit(text: &str, value: &Value) -> Result<String, SyntaxError> {
    let mut current = text.to_owned();
    // Each round makes the changes that one parse allows; nested ones may need the places of the next parse.
    for _ in 0..MAX_ROUNDS {
        let root = parse(&current)?;
        if same(&root.to_value(), value) {
            return Ok(current);
        }
        let mut edits = Edits { source: &current, splices: Vec::new() };
        if !edits.node(&root, value) || edits.splices.is_empty() {
            break;
        }
        let next = edits.apply();
        if next == current {
            break;
        }
        current = next;
        if parse(&current).is_err() {
            break;
        }
    }
    match parse(&current) {
        Ok(root) if same(&root.to_value(), value) => Ok(current),
        _ => Ok(write(value)),
    }
}

const MAX_ROUNDS: usize = 64;

/// Equality that tells `1`, `1.0` and `true` apart and minds the type of every leaf.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
        (a, b) => a.type_name() == b.type_name() && a == b,
    }
}

struct Edits<'t> {
    source: &'t str,
    /// Ranges to replace, none overlapping.
    splices: Vec<(usize, usize, String)>,
}

impl Edits<'_> {
    fn apply(mut self) -> String {
        self.splices.sort_by_key(|(start, end, _)| (*start, *end));
        let mut out = String::with_capacity(self.source.len());
        let mut done = 0;
        for (start, end, text) in self.splices {
            if start < done {
                continue;
            }
            out.push_str(&self.source[done..start]);
            out.push_str(&text);
            done = end;
        }
        out.push_str(&self.source[done..]);
        out
    }

    /// Plans the changes that make `node` read as `value`. False when there is no safe way.
    fn node(&mut self, node: &Node, value: &Value) -> bool {
        if same(&node.to_value(), value) {
            return true;
        }
        let flow = self.source[node.span.start..].starts_with(['{', '[', '*', '&', '!']);
        match (&node.kind, value) {
            (NodeKind::Map(entries), Value::Map(map)) if !flow && !map.is_empty() => self.map(entries, map),
            (NodeKind::List(items), Value::List(values)) if !flow && !values.is_empty() => {
                self.list(items, values)
            }
            (NodeKind::Scalar(old), scalar) if is_scalar(scalar) && !flow => {
                let (start, end) = (node.span.start, node.span.end);
                let text = scalar_text(scalar);
                if *old == Value::Null && start == end {
                    // Nothing stands there, and its place is that of whatever comes next.
                    return false;
                }
                let end = start + self.source[start..end].trim_end().len();
                self.splices.push((start, end, text));
                true
            }
            _ => false,
        }
    }

    fn map(&mut self, entries: &[(super::Key, Node)], map: &Map) -> bool {
        let Some((first, _)) = entries.first() else { return false };
        let indent = first.span.column - 1;
        let gone: Vec<bool> = entries.iter().map(|(key, _)| !map.contains_key(&key.text)).collect();
        if gone.iter().all(|gone| *gone) {
            return false;
        }
        for (n, (key, node)) in entries.iter().enumerate() {
            if gone[n] {
                let next = entries.get(n + 1);
                self.remove_entry(key.span.start, n == 0, next.map(|(key, _)| key.span.start), key, node);
                continue;
            }
            let Some(value) = map.get(&key.text) else { return false };
            if !self.node(node, value) && !self.replace_entry(key, node, value, indent) {
                return false;
            }
        }
        let mut new = Map::new();
        for (key, value) in map {
            if !entries.iter().any(|(known, _)| known.text == *key) {
                new.insert(key.clone(), value.clone());
            }
        }
        if !new.is_empty() {
            let Some((key, node)) = entries.last() else { return false };
            let at = self.line_end(end_of(key, node));
            self.insert_lines(at, &write(&Value::Map(new)), indent);
        }
        true
    }

    /// Replaces `key: …` as a whole, when the value changes its nature.
    fn replace_entry(&mut self, key: &super::Key, node: &Node, value: &Value, indent: usize) -> bool {
        let mut one = Map::new();
        one.insert(key.text.clone(), value.clone());
        let text = indented(&write(&Value::Map(one)), indent);
        let end = match node.is_null() && node.span.start == node.span.end {
            true => {
                self.source[key.span.end..].find(':').map_or(key.span.end, |colon| key.span.end + colon + 1)
            }
            false => self.source[..end_of(key, node)].trim_end().len(),
        };
        self.splices.push((key.span.start, end, text.trim_start().trim_end().to_owned()));
        true
    }

    fn remove_entry(
        &mut self,
        start: usize,
        first: bool,
        next: Option<usize>,
        key: &super::Key,
        node: &Node,
    ) {
        match next {
            // The first entry may stand behind a dash, which stays.
            Some(next) if first => self.splices.push((start, next, String::new())),
            Some(next) => self.splices.push((self.line_start(start), self.line_start(next), String::new())),
            None => {
                let end = self.line_end(end_of(key, node));
                let end = (end + 1).min(self.source.len());
                self.splices.push((self.line_start(start), end, String::new()));
            }
        }
    }

    fn list(&mut self, items: &[Node], values: &[Value]) -> bool {
        let Some(first) = items.first() else { return false };
        let Some(dash) = self.source[..first.span.start].rfind('-') else { return false };
        let indent = dash - self.line_start(dash);
        for (n, item) in items.iter().enumerate() {
            match values.get(n) {
                Some(value) => {
                    if !self.node(item, value) {
                        let text = indented(&write(&Value::List(vec![value.clone()])), indent);
                        let text = text.trim_start().strip_prefix("- ").unwrap_or("-").trim_end().to_owned();
                        let end = self.source[..last_end(item)].trim_end().len().max(item.span.start);
                        self.splices.push((item.span.start, end, text));
                    }
                }
                None => {
                    let start = self.line_start(item.span.start);
                    let end = (self.line_end(last_end(item)) + 1).min(self.source.len());
                    self.splices.push((start, end, String::new()));
                }
            }
        }
        if values.len() > items.len() {
            let Some(last) = items.last() else { return false };
            let at = self.line_end(last_end(last));
            self.insert_lines(at, &write(&Value::List(values[items.len()..].to_vec())), indent);
        }
        true
    }

    fn insert_lines(&mut self, at: usize, text: &str, indent: usize) {
        let text = indented(text, indent);
        self.splices.push((at, at, format!("\n{}", text.trim_end_matches('\n'))));
    }

    fn line_start(&self, at: usize) -> usize {
        self.source[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Where the line of the last character before `at` ends, before its newline.
    fn line_end(&self, at: usize) -> usize {
        let at = self.source[..at].trim_end().len();
        self.source[at..].find('\n').map_or(self.source.len(), |newline| at + newline)
    }
}

fn end_of(key: &super::Key, node: &Node) -> usize {
    match node.is_null() && node.span.start == node.span.end {
        true => key.span.end,
        false => last_end(node).max(key.span.end),
    }
}

/// Where the last leaf of a node ends; the span of a block collection reaches up to what follows it.
fn last_end(node: &Node) -> usize {
    match &node.kind {
        NodeKind::Scalar(_) => node.span.end,
        NodeKind::List(items) => items.last().map_or(node.span.end, last_end),
        NodeKind::Map(entries) => entries.last().map_or(node.span.end, |(key, value)| end_of(key, value)),
    }
}

fn is_scalar(value: &Value) -> bool {
    match value {
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => true,
    }
}

/// A scalar as it stands behind `key: `.
fn scalar_text(value: &Value) -> String {
    let mut map = Map::new();
    map.insert("k".to_owned(), value.clone());
    let text = write(&Value::Map(map));
    text.strip_prefix("k:").unwrap_or(&text).trim().to_owned()
}

fn indented(text: &str, indent: usize) -> String {
    let padding = " ".repeat(indent);
    text.lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{padding}{line}\n") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> Value {
        parse(text).unwrap().to_value()
    }

    #[test]
    fn comments_and_order_stay() {
        let before =
            "# head\nouts:\n- md5: aaa   # the hash\n  # a word\n  path: x\n  size: 1\ndesc: old # d\n";
        let table = [
            (
                "{outs: [{md5: bbb, path: x, size: 1, hash: md5}], desc: old}",
                "# head\nouts:\n- md5: bbb   # the hash\n  # a word\n  path: x\n  size: 1\n  hash: md5\ndesc: old # d\n",
            ),
            (
                "{outs: [{path: x, nfiles: 2}], desc: 'null', meta: {a: [1]}}",
                "# head\nouts:\n- path: x\n  nfiles: 2\ndesc: 'null' # d\nmeta:\n  a:\n  - 1\n",
            ),
            (
                "{outs: [{md5: aaa, path: x, size: 1}]}",
                "# head\nouts:\n- md5: aaa   # the hash\n  # a word\n  path: x\n  size: 1\n",
            ),
            (
                "{outs: [{md5: aaa, path: x, size: 1}, {path: y}], desc: [1]}",
                "# head\nouts:\n- md5: aaa   # the hash\n  # a word\n  path: x\n  size: 1\n- path: y\ndesc:\n- 1 # d\n",
            ),
        ];
        for (wanted, after) in table {
            assert_eq!(edit(before, &value(wanted)).unwrap(), after, "{wanted}");
        }
    }

    #[test]
    fn nothing_changes_when_nothing_differs() {
        let text = "a:   {x: 1}   # c\n\n\nb: [1,\n 2]\n";
        assert_eq!(edit(text, &value(text)).unwrap(), text);
    }

    #[test]
    fn empty_values_and_flow_style_are_edited() {
        assert_eq!(edit("a:\nb: 1\n", &value("{a: 2, b: 1}")).unwrap(), "a: 2\nb: 1\n");
        let changed = edit(
            "# c\nstages:\n  a: {cmd: x, outs: [y]}\n  b: {cmd: z}\n",
            &value("{stages: {a: {cmd: x, outs: [y], frozen: true}, b: {cmd: z}}}"),
        );
        assert_eq!(
            changed.unwrap(),
            "# c\nstages:\n  a:\n    cmd: x\n    outs:\n    - y\n    frozen: true\n  b: {cmd: z}\n"
        );
    }

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (-5i64..50).prop_map(Value::Int),
            "[a-c #:'-]{0,12}".prop_map(Value::Str),
        ];
        let tree = leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::vec(("[a-d]{1,2}", inner), 0..4)
                    .prop_map(|entries| Value::Map(entries.into_iter().collect())),
            ]
        });
        prop::collection::vec(("[a-e]{1,2}", tree), 1..5)
            .prop_map(|entries| Value::Map(entries.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn any_edit_reads_as_wanted(before in documents(), after in documents()) {
            let text = edit(&write(&before), &after).unwrap();
            prop_assert!(same(&parse(&text).unwrap().to_value(), &after), "{}", text);
        }
    }
}
