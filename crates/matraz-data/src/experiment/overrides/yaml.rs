//! Changes in YAML files, in the layout that DVC leaves: comments stay at their keys and in their columns, indentation
//! becomes two spaces, lists stand in block style, texts lose quotes that they do not need, and numbers that did not
//! change are written as before.

use matraz_base::yaml::{self, Key, Node, NodeKind};
use matraz_base::{Map, Value};

/// The text with the values of `new`.
pub fn rewrite(text: &str, new: &Map) -> String {
    let whole = Value::Map(new.clone());
    let Ok(root) = yaml::parse(text) else { return yaml::write(&whole) };
    let NodeKind::Map(entries) = &root.kind else { return yaml::write(&whole) };
    if entries.is_empty() {
        return yaml::write(&whole);
    }
    if has_aliases(text) {
        // What stands in two places cannot be written at both.
        return yaml::edit(text, &whole).unwrap_or_else(|_| yaml::write(&whole));
    }
    if text[root.span.start..].starts_with('{') {
        return format!("{}\n", flow(&whole, Some(&root), text));
    }
    let mut writer = Writer { text, out: String::new() };
    let start = entries.first().map_or(0, |(key, _)| key.span.start);
    for line in text[..line_start(text, start)].lines() {
        if !line.starts_with("---") && !line.starts_with('%') {
            writer.own_line(line);
        }
    }
    writer.mapping(entries, new, 0, text.len());
    let written = writer.out;
    // Nothing of the user's may be lost to a layout that is not understood.
    match yaml::parse(&written) {
        Ok(again) if again.to_value() == whole => written,
        _ => yaml::edit(text, &whole).unwrap_or_else(|_| yaml::write(&whole)),
    }
}

fn has_aliases(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start().trim_start_matches("- ");
        let value = line.split_once(": ").map_or(line, |(_, value)| value.trim_start());
        line.starts_with("<<:") || value.starts_with(['&', '*', '!'])
    })
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// What stands between two pieces of a document.
#[derive(Default)]
struct Gap<'t> {
    /// The comment at the end of the line, and its column from 0.
    comment: Option<(&'t str, usize)>,
    /// Whole lines of comment, or empty ones.
    lines: Vec<&'t str>,
}

struct Writer<'t> {
    text: &'t str,
    out: String,
}

impl<'t> Writer<'t> {
    /// Reads what stands from `start` up to the line of `end`.
    fn gap(&self, start: usize, end: usize) -> Gap<'t> {
        let stop = if end >= self.text.len() { end } else { line_start(self.text, end).max(start) };
        let piece = &self.text[start..stop.min(self.text.len())];
        let mut lines = piece.split('\n');
        let first = lines.next().unwrap_or("").trim_end();
        let comment = first.find('#').map(|at| {
            let column = self.text[line_start(self.text, start)..start + at].chars().count();
            (&first[at..], column)
        });
        let mut lines: Vec<&str> = lines.map(str::trim_end).collect();
        // The last newline ends a line and begins none.
        if piece.ends_with('\n') {
            lines.pop();
        }
        lines.retain(|line| *line != "..." && *line != "---");
        Gap { comment, lines }
    }

    fn own_line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// Ends the present line with the comments of `gap`.
    fn close(&mut self, gap: &Gap<'_>) {
        if let Some((comment, column)) = gap.comment {
            let width = self.out[line_start(&self.out, self.out.len())..].chars().count();
            let spaces = column.saturating_sub(width).max(1);
            self.out.extend(std::iter::repeat_n(' ', spaces));
            self.out.push_str(comment);
        }
        self.out.push('\n');
        for line in &gap.lines {
            self.own_line(line);
        }
    }

    /// Writes a mapping; `end` is where the next piece of the document begins.
    fn mapping(&mut self, entries: &[(Key, Node)], new: &Map, indent: usize, end: usize) {
        for (n, (key, node)) in entries.iter().enumerate() {
            let Some(value) = new.get(&key.text) else { continue };
            let next = entries.get(n + 1).map_or(end, |(key, _)| key.span.start);
            self.entry(key, node, value, indent, next);
        }
        for (key, value) in new.iter().filter(|(key, _)| entries.iter().all(|(known, _)| known.text != **key))
        {
            self.plain(key, value, indent, &Gap::default());
        }
    }

    fn entry(&mut self, key: &Key, node: &Node, value: &Value, indent: usize, next: usize) {
        let colon = self.text[key.span.end..].find(':').map_or(key.span.end, |at| key.span.end + at + 1);
        let is_flow = self.text[node.span.start..].starts_with(['{', '[']);
        let is_block = !is_flow && matches!(node.kind, NodeKind::Map(_) | NodeKind::List(_));
        let gap = if is_block {
            self.gap(colon, node.span.start)
        } else {
            self.gap(self.content_end(node, colon), next)
        };
        let unchanged = node.to_value() == *value && node.to_value().type_name() == value.type_name();
        if let (NodeKind::Scalar(_), true, Some(start)) = (&node.kind, unchanged, self.block_scalar_at(colon))
        {
            self.key(&key.text, indent);
            self.block_scalar(start, node.span.end, indent);
            for line in &gap.lines {
                self.own_line(line);
            }
            return;
        }
        match (&node.kind, value) {
            (NodeKind::Map(entries), Value::Map(map)) if is_block && !map.is_empty() => {
                self.key(&key.text, indent);
                self.close(&gap);
                self.mapping(entries, map, indent + 2, next);
            }
            (NodeKind::Map(_), Value::Map(map)) if is_flow && !map.is_empty() => {
                self.key(&key.text, indent);
                let flow = flow(value, Some(node), self.text);
                self.out.push_str(&format!(" {flow}"));
                self.close(&gap);
            }
            (NodeKind::Scalar(old), _) if unchanged && !matches!(old, Value::Str(_) | Value::Null) => {
                self.key(&key.text, indent);
                let source = self.text[node.span.start..node.span.end].trim();
                let word =
                    if matches!(old, Value::Bool(_)) { source.to_lowercase() } else { source.to_owned() };
                self.out.push_str(&format!(" {word}"));
                self.close(&gap);
            }
            _ => self.plain(&key.text, value, indent, &gap),
        }
    }

    /// Where the text of a scalar, or of a collection in brackets, ends.
    fn content_end(&self, node: &Node, colon: usize) -> usize {
        if matches!(node.kind, NodeKind::Scalar(Value::Null)) {
            let source = self.text.get(node.span.start..node.span.end).unwrap_or("").trim();
            return if source.is_empty() || source.starts_with('#') {
                colon
            } else {
                node.span.start + source.len()
            };
        }
        let source = &self.text[node.span.start..];
        if let Some(length) = enclosed(source) {
            return node.span.start + length;
        }
        let source = &source[..node.span.end.min(self.text.len()) - node.span.start];
        node.span.start + source.trim_end().len()
    }

    /// Where the sign of a text of several lines stands behind a colon, when that follows there.
    fn block_scalar_at(&self, colon: usize) -> Option<usize> {
        let rest = &self.text[colon..];
        let at = rest.find(|c| c != ' ')?;
        rest[at..].starts_with(['|', '>']).then_some(colon + at)
    }

    /// A text of several lines, as it was written.
    fn block_scalar(&mut self, start: usize, end: usize, indent: usize) {
        let source = &self.text[start..end.min(self.text.len()).max(start)];
        let mut lines = source.lines();
        self.out.push_str(&format!(" {}\n", lines.next().unwrap_or("|").trim_end()));
        let lines: Vec<&str> = lines.collect();
        let depth = |line: &&str| line.len() - line.trim_start().len();
        let least = lines.iter().filter(|line| !line.trim().is_empty()).map(depth).min().unwrap_or(0);
        let count = lines.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |at| at + 1);
        for line in &lines[..count] {
            let body = line.get(least..).unwrap_or("");
            if !body.is_empty() {
                self.out.extend(std::iter::repeat_n(' ', indent + 2));
            }
            self.own_line(body);
        }
    }

    fn key(&mut self, key: &str, indent: usize) {
        let line = yaml::write(&Value::Map(Map::from_iter([(key.to_owned(), Value::Null)])));
        self.out.extend(std::iter::repeat_n(' ', indent));
        self.out.push_str(line.trim_end());
    }

    /// A key with a value as a writer without a source writes it; comments stand behind the value, or behind the key of
    /// a collection.
    fn plain(&mut self, key: &str, value: &Value, indent: usize, gap: &Gap<'_>) {
        let written = yaml::write(&Value::Map(Map::from_iter([(key.to_owned(), value.clone())])));
        let mut lines = written.lines();
        let is_collection = match value {
            Value::Map(map) => !map.is_empty(),
            Value::List(items) => !items.is_empty(),
            _ => false,
        };
        let push = |this: &mut Self, line: &str| {
            this.out.extend(std::iter::repeat_n(' ', indent));
            this.out.push_str(line);
        };
        push(self, lines.next().unwrap_or(""));
        if is_collection {
            self.close(gap);
        }
        for line in lines {
            if !is_collection {
                self.out.push('\n');
            }
            push(self, line);
            if is_collection {
                self.out.push('\n');
            }
        }
        if !is_collection {
            self.close(gap);
        }
    }
}

/// The length of what quotes or brackets at the beginning enclose; `None` when there are none. The parser counts the
/// space behind them as theirs.
fn enclosed(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote: Option<char> = None;
    let mut letters = text.char_indices().peekable();
    let mut skip = false;
    while let Some((at, c)) = letters.next() {
        if std::mem::take(&mut skip) {
            continue;
        }
        match (quote, c) {
            (Some('"'), '\\') => skip = true,
            (Some('\''), '\'') if letters.peek().is_some_and(|(_, next)| *next == '\'') => skip = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => continue,
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if at == 0 && depth == 0 && quote.is_none() {
            return None;
        }
        if depth == 0 && quote.is_none() {
            return Some(at + c.len_utf8());
        }
    }
    None
}

/// A value in one line, in brackets.
fn flow(value: &Value, node: Option<&Node>, text: &str) -> String {
    match value {
        Value::Map(map) => {
            let entry = |(key, value): (&String, &Value)| {
                let node = node.and_then(|node| node.get(key));
                format!("{}: {}", scalar(&Value::Str(key.clone())), flow(value, node, text))
            };
            format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Value::List(items) => {
            // A mapping of one entry stands in a list without its braces.
            let item = |item: &Value| match item {
                Value::Map(map) if map.len() == 1 => {
                    let written = flow(item, None, text);
                    written[1..written.len() - 1].to_owned()
                }
                item => flow(item, None, text),
            };
            let items: Vec<String> = items.iter().map(item).collect();
            format!("[{}]", items.join(", "))
        }
        leaf => match node {
            Some(node) if node.to_value() == *leaf && matches!(leaf, Value::Int(_) | Value::Float(_)) => {
                text[node.span.start..node.span.end].trim().to_owned()
            }
            _ => scalar(leaf),
        },
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Str(text) => {
            let written = yaml::write(&Value::Map(Map::from_iter([("k".to_owned(), value.clone())])));
            let word = written.trim_end().strip_prefix("k: ").unwrap_or("''").to_owned();
            let is_quoted = word.starts_with(['\'', '"']);
            if !is_quoted && text.contains([',', '[', ']', '{', '}']) { format!("'{text}'") } else { word }
        }
        other => {
            let written = yaml::write(&Value::Map(Map::from_iter([("k".to_owned(), other.clone())])));
            written.trim_end().strip_prefix("k: ").unwrap_or_default().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::stage::params;

    /// What DVC 3.67.1 made of the same text.
    #[test]
    fn files_are_left_in_the_layout_of_dvc() {
        let text = "# head\n\nlr: 0.1   # rate\nnet:   # the net\n    # inside\n    layers: [1, 2]  # ls\n    act: relu\n\n    \
                    deep:\n        x: 1  # xx\n        # after x\nseq:  # seqc\n# pre\n- 1  # one\n- 2\n\n# after seq\nname: \"x\"   # nm\n\
                    note: 'it''s'\nsci: 1e-4\nexp: 1.50\nz: null\nlong: |\n  a\n  b\nflow: {a: 1, b: [1, 2]}  # fl\nyes_: yes\n# tail\n";
        let Value::Map(mut new) = params::parse(Path::new("p.yaml"), text).unwrap() else { panic!() };
        new["lr"] = Value::Float(0.123456789);
        new.insert("new".into(), Value::Int(1));
        let after = "# head\n\nlr: 0.123456789 # rate\nnet:   # the net\n    # inside\n  layers:           # ls\n  - 1\n  - 2\n  \
                     act: relu\n\n  deep:\n    x: 1      # xx\n        # after x\nseq:  # seqc\n# pre\n- 1\n- 2\nname: x     # nm\n\
                     note: it's\nsci: 1e-4\nexp: 1.50\nz:\nlong: |\n  a\n  b\nflow: {a: 1, b: [1, 2]}  # fl\nyes_: yes\n# tail\nnew: 1\n";
        assert_eq!(rewrite(text, &new), after);
        new.shift_remove("yes_");
        let Value::Map(net) = &mut new["net"] else { panic!() };
        net.shift_remove("act");
        let after = after.replace("  act: relu\n\n", "").replace("yes_: yes\n# tail\n", "");
        assert_eq!(rewrite(text, &new), after);
    }

    #[test]
    fn what_cannot_be_laid_out_is_still_right() {
        for text in [
            "base: &b {x: 1}\nuse: *b\n",
            "{a: 1, b: [x, 'y z']}",
            "",
            "? a\n: 1\n",
            "a: 1\n---\n",
            "a:\n- b: 1\n  c: 2\n",
        ] {
            let Ok(Value::Map(mut new)) = params::parse(Path::new("p.yaml"), text) else { continue };
            new.insert("k".into(), Value::List(vec![Value::Null, Value::Str("x: y".into())]));
            let written = rewrite(text, &new);
            assert_eq!(params::parse(Path::new("p.yaml"), &written).unwrap(), Value::Map(new), "{written}");
        }
    }
}
