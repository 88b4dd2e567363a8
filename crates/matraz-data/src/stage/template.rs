//! `${…}` in `dvc.yaml`: the values that it may name, and how they are put into text.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use matraz_base::yaml::{Key, Node, NodeKind, Span};
use matraz_base::{Map, Value};
use winnow::combinator::{alt, delimited, eof, preceded, repeat};
use winnow::prelude::*;
use winnow::token::take_while;

use super::address::join;
use super::document::Document;
use super::{PARAMS_FILE, params};
use crate::error::Fault;
use crate::{Error, Result};

/// How mappings become command-line options (`parsing` in the configuration).
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// A false value becomes `--no-key` instead of nothing.
    pub boolean_optional: bool,
    /// A list repeats its option instead of following it once.
    pub append: bool,
}

/// Reads a text file of the project, if it is there.
pub type ReadText<'r> = &'r dyn Fn(&Path) -> Result<Option<String>>;

/// The values that `${…}` may name.
#[derive(Clone, Debug, Default)]
pub struct Context {
    values: Map,
    /// Where the leaf at each dotted path came from.
    sources: HashMap<String, String>,
    /// Files that were loaded: whole (`None`) or some of their keys.
    loaded: HashMap<PathBuf, Option<Vec<String>>>,
    /// Names that belong to `foreach` and `matrix` while their stages are made.
    reserved: Vec<String>,
    /// The dotted paths that reserved names stand for.
    aliases: HashMap<String, String>,
    /// The files among the sources.
    files: HashMap<String, PathBuf>,
    /// The values from files that were used, by file and dotted path.
    used: RefCell<IndexMap<PathBuf, Map>>,
    style: Style,
}

impl Context {
    /// An empty context.
    pub fn new(style: Style) -> Self {
        Self { style, ..Self::default() }
    }

    /// Loads `params.yaml` of `folder`, if there is one.
    pub fn load_default(&mut self, document: &Document, folder: &Path, read: ReadText<'_>) -> Result<()> {
        let path = folder.join(PARAMS_FILE);
        if let Some(text) = read(&path)? {
            let whole = params::parse(&path, &text)?;
            if !matches!(whole, Value::Map(_)) {
                let message = format!("`{PARAMS_FILE}` must hold a mapping, not {}", whole.type_name());
                return Err(
                    Document::new(&path, text).error(Span { line: 1, column: 1, ..Span::default() }, message)
                );
            }
            self.load_file(
                document,
                Span { line: 1, column: 1, ..Span::default() },
                PARAMS_FILE,
                path,
                whole,
                None,
            )?;
        }
        Ok(())
    }

    /// Loads a `vars` list: files, `file:key1,key2`, and mappings. Paths are relative to `folder`.
    pub fn load_vars(
        &mut self,
        document: &Document,
        vars: &Node,
        place: &str,
        folder: &Path,
        read: ReadText<'_>,
    ) -> Result<()> {
        refuse_templates(document, vars)?;
        for (index, item) in document.list(vars, "`vars`")?.iter().enumerate() {
            if item.as_map().is_some() {
                let source = format!("{place}vars[{index}]");
                self.merge(document, item.span, &source, item.to_value())?;
                continue;
            }
            let text = document.str(item, "an entry of `vars`")?;
            let (file, keys) = match text.split_once(':') {
                Some((file, keys)) if !keys.is_empty() => {
                    (file, Some(keys.split(',').filter(|key| !key.is_empty()).map(str::to_owned).collect()))
                }
                Some((file, _)) => (file, None),
                None => (text, None),
            };
            let path = join(folder, file);
            let content =
                read(&path)?.ok_or_else(|| document.error(item.span, format!("'{file}' does not exist")))?;
            let whole = params::parse(&path, &content)?;
            self.load_file(document, item.span, file, path, whole, keys)?;
        }
        Ok(())
    }

    fn load_file(
        &mut self,
        document: &Document,
        span: Span,
        name: &str,
        path: PathBuf,
        whole: Value,
        keys: Option<Vec<String>>,
    ) -> Result<()> {
        let Value::Map(mut map) = whole else {
            let message = format!("`{name}` must hold a mapping, not {}", whole.type_name());
            return Err(document.error(span, message));
        };
        match (self.loaded.get(&path), &keys) {
            (None, _) => {}
            (Some(None), None) => return Ok(()),
            (Some(None), Some(_)) => {
                return Err(
                    document.error(span, format!("cannot partially load '{name}' as it's already loaded."))
                );
            }
            (Some(Some(before)), keys) => {
                let overlap = keys.as_ref().is_none_or(|keys| keys.iter().any(|key| before.contains(key)));
                if overlap {
                    return Err(document
                        .error(span, format!("cannot load '{name}' as it's partially loaded already")));
                }
            }
        }
        if let Some(keys) = &keys {
            let mut some = Map::new();
            for key in keys {
                let value = map
                    .swap_remove(key)
                    .ok_or_else(|| document.error(span, format!("could not find '{key}' in '{name}'")))?;
                some.insert(key.clone(), value);
            }
            map = some;
        }
        self.files.insert(name.to_owned(), path.clone());
        self.merge(document, span, name, Value::Map(map))?;
        match (self.loaded.get_mut(&path), keys) {
            (Some(Some(before)), Some(keys)) => before.extend(keys),
            (_, keys) => {
                self.loaded.insert(path, keys);
            }
        }
        Ok(())
    }

    fn merge(&mut self, document: &Document, span: Span, source: &str, update: Value) -> Result<()> {
        let Value::Map(update) = update else { return Ok(()) };
        if let Some(key) = self.reserved.iter().find(|key| update.contains_key(*key)) {
            return Err(document.error(span, format!("`{key}` is reserved here")));
        }
        let mut values = std::mem::take(&mut self.values);
        let merged = self.merge_into(&mut values, update, "", source);
        self.values = values;
        merged.map_err(|message| document.error(span, message))
    }

    fn merge_into(&mut self, into: &mut Map, update: Map, prefix: &str, source: &str) -> Result<(), String> {
        for (key, value) in update {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match (into.get_mut(&key), value) {
                (Some(Value::Map(inner)), Value::Map(update)) => {
                    self.merge_into(inner, update, &path, source)?;
                }
                (Some(_), _) => {
                    let before = self.source_below(&path);
                    return Err(format!(
                        "cannot redefine '{path}' from '{source}' as it already exists in '{before}'"
                    ));
                }
                (None, value) => {
                    self.sources.insert(path, source.to_owned());
                    into.insert(key, value);
                }
            }
        }
        Ok(())
    }

    /// Where the value at `path`, or the first one below it, came from.
    fn source_below(&self, path: &str) -> &str {
        let mut path = path;
        loop {
            if let Some(source) = self.sources.get(path) {
                return source;
            }
            match path.rsplit_once('.') {
                Some((parent, _)) => path = parent,
                None => return "vars",
            }
        }
    }

    /// The same context with `item` and the like set, for one stage of a group.
    pub fn with_reserved(&self, entries: impl IntoIterator<Item = (String, Value)>) -> Self {
        let mut context = self.clone();
        for (name, value) in entries {
            context.values.insert(name.clone(), value);
            context.reserved.push(name);
        }
        context
    }

    /// Says which value a reserved name stands for.
    pub fn set_origin(&mut self, name: &str, expression: &str) {
        self.aliases.insert(name.to_owned(), dotted(expression));
    }

    /// The values from files that were used since the last call.
    pub fn take_used(&self) -> IndexMap<PathBuf, Map> {
        self.used.take()
    }

    /// Remembers the use of a value, when it is from a file.
    fn note_use(&self, expression: &str, value: &Value) {
        if matches!(value, Value::Map(_)) {
            return;
        }
        let mut path = dotted(expression);
        let (first, rest) = path.split_once('.').unwrap_or((&path, ""));
        match self.aliases.get(first) {
            Some(origin) if rest.is_empty() => path = origin.clone(),
            Some(origin) => path = format!("{origin}.{rest}"),
            None if self.reserved.iter().any(|name| name == first) => return,
            None => {}
        }
        let Some(file) = self.files.get(self.source_below(&path)) else { return };
        self.used.borrow_mut().entry(file.clone()).or_default().insert(path, value.clone());
    }

    /// The value that `expression` names.
    fn select(&self, expression: &str) -> Option<&Value> {
        let mut parts = expression.split(['.', '[']).map(|part| part.trim().trim_end_matches(']').trim());
        let mut value = self.values.get(parts.next()?)?;
        for part in parts {
            value = match value {
                Value::Map(map) => map.get(part)?,
                Value::List(items) => {
                    let index: isize = part.parse().ok()?;
                    let index = if index < 0 { index + items.len() as isize } else { index };
                    items.get(usize::try_from(index).ok()?)?
                }
                _ => return None,
            };
        }
        Some(value)
    }

    /// Replaces every `${…}` in `node`. `key` is the top-level key of the stage in which it stands: a mapping may
    /// stand for options in `cmd` alone; without a key any value may stand alone.
    pub fn resolve(&self, document: &Document, node: &Node, key: Option<&str>) -> Result<Node> {
        let kind = match &node.kind {
            NodeKind::Scalar(Value::Str(text)) => {
                return Ok(from_value(self.resolve_text(document, node.span, text, key)?, node.span));
            }
            NodeKind::Scalar(value) => NodeKind::Scalar(value.clone()),
            NodeKind::List(items) => NodeKind::List(
                items.iter().map(|item| self.resolve(document, item, key)).collect::<Result<_>>()?,
            ),
            NodeKind::Map(entries) => {
                let mut out: Vec<(Key, Node)> = Vec::with_capacity(entries.len());
                for (name, value) in entries {
                    let resolved = match &name.value {
                        Value::Str(text) => self.resolve_text(document, name.span, text, key)?,
                        other => other.clone(),
                    };
                    let name = Key { text: resolved.to_string(), value: resolved, span: name.span };
                    out.push((name, self.resolve(document, value, key)?));
                }
                NodeKind::Map(out)
            }
        };
        Ok(Node { span: node.span, kind })
    }

    /// The text of a key with every `${…}` in it replaced.
    pub fn resolve_key(&self, document: &Document, key: &Key) -> Result<String> {
        Ok(self.resolve_text(document, key.span, &key.text, None)?.to_string())
    }

    fn resolve_text(&self, document: &Document, span: Span, text: &str, key: Option<&str>) -> Result<Value> {
        let pieces = split(text);
        if let [Piece::Expression(expression)] = pieces.as_slice() {
            return Ok(self.value_of(document, span, expression, key)?.clone());
        }
        let mut out = String::with_capacity(text.len());
        for piece in pieces {
            match piece {
                Piece::Text(literal) => out.push_str(literal),
                Piece::Expression(expression) => {
                    let value = self.value_of(document, span, expression, key)?;
                    let text = self
                        .to_text(value)
                        .map_err(|message| document.error(inside(document, span, expression), message))?;
                    out.push_str(&text);
                }
            }
        }
        // In the values too, as in DVC.
        Ok(Value::Str(out.replace("\\${", "${")))
    }

    fn value_of(
        &self,
        document: &Document,
        span: Span,
        expression: &str,
        key: Option<&str>,
    ) -> Result<&Value> {
        let at = || inside(document, span, expression);
        if path_expression.parse(expression).is_err() {
            return Err(Error::Definition {
                fault: Fault::Schema,
                message: format!("`${{{expression}}}` is not the name of a value"),
                place: Box::new(document.place(at())),
                hint: Some("write `${a.b}`, `${a[0]}`, or `\\${` for a literal `${`".into()),
            });
        }
        let value = self.select(expression).ok_or_else(|| Error::Definition {
            fault: Fault::Schema,
            message: format!("Could not find '{}'", dotted(expression)),
            place: Box::new(document.place(at())),
            hint: Some(format!("values come from `{PARAMS_FILE}` beside the pipeline file and from `vars`")),
        })?;
        let fits = match value {
            Value::Map(_) => key.is_none() || key == Some("cmd"),
            Value::List(_) => key.is_none(),
            _ => true,
        };
        if !fits {
            return Err(
                document.error(at(), format!("Cannot interpolate data of type '{}'", python_type(value)))
            );
        }
        self.note_use(expression, value);
        Ok(value)
    }

    fn to_text(&self, value: &Value) -> Result<String, String> {
        match value {
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::Map(_) => self.options(value),
            other => Ok(other.to_string()),
        }
    }

    /// A mapping as command-line options.
    fn options(&self, value: &Value) -> Result<String, String> {
        let mut words: Vec<String> = Vec::new();
        for (key, leaf) in value.flatten() {
            match leaf {
                Value::Map(_) => {}
                Value::Bool(true) => words.push(format!("--{key}")),
                Value::Bool(false) if self.style.boolean_optional => words.push(format!("--no-{key}")),
                Value::Bool(false) => {}
                Value::List(items) => {
                    for (n, item) in items.iter().enumerate() {
                        let word = match item {
                            Value::List(_) | Value::Map(_) => {
                                return Err(format!("Cannot interpolate nested iterable in '{key}'"));
                            }
                            item => shell_word(item),
                        };
                        if n == 0 || self.style.append {
                            words.push(format!("--{key}"));
                        }
                        words.push(word);
                    }
                }
                leaf => {
                    words.push(format!("--{key}"));
                    words.push(shell_word(leaf));
                }
            }
        }
        Ok(words.join(" "))
    }
}

fn shell_word(value: &Value) -> String {
    match value {
        Value::Str(text) => quote(text),
        other => other.to_string(),
    }
}

/// `text` as one word of a POSIX shell.
pub fn quote(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

fn from_value(value: Value, span: Span) -> Node {
    let kind = match value {
        Value::List(items) => NodeKind::List(items.into_iter().map(|item| from_value(item, span)).collect()),
        Value::Map(map) => NodeKind::Map(
            map.into_iter()
                .map(|(text, value)| {
                    let key = Key { value: Value::Str(text.clone()), text, span };
                    (key, from_value(value, span))
                })
                .collect(),
        ),
        scalar => NodeKind::Scalar(scalar),
    };
    Node { span, kind }
}

/// The name that Python has for the type.
fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Map(_) => "dict",
        Value::List(_) => "list",
        other => other.type_name(),
    }
}

/// Refuses `${…}` where it is not allowed.
pub fn refuse_templates(document: &Document, node: &Node) -> Result<()> {
    let check = |text: &str, span: Span| {
        if has_template(text) {
            return Err(document.error(span, "interpolating is not allowed"));
        }
        Ok(())
    };
    match &node.kind {
        NodeKind::Scalar(Value::Str(text)) => check(text, node.span),
        NodeKind::Scalar(_) => Ok(()),
        NodeKind::List(items) => items.iter().try_for_each(|item| refuse_templates(document, item)),
        NodeKind::Map(entries) => entries.iter().try_for_each(|(key, value)| {
            check(&key.text, key.span)?;
            refuse_templates(document, value)
        }),
    }
}

/// Whether `text` holds a `${…}`.
pub fn has_template(text: &str) -> bool {
    split(text).iter().any(|piece| matches!(piece, Piece::Expression(_)))
}

#[derive(Debug, PartialEq)]
enum Piece<'t> {
    Text(&'t str),
    Expression(&'t str),
}

/// Splits text into literal pieces and the insides of `${…}`. `\${` is literal, and so is a `${` whose `}` is not
/// on the same line.
fn split(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut from = 0;
    while let Some(at) = text[from..].find("${").map(|at| at + from) {
        let inner = &text[at + 2..];
        let end = inner.find(['}', '\n']).filter(|&end| inner.as_bytes()[end] == b'}');
        let escaped = at > 0 && text.as_bytes()[at - 1] == b'\\';
        match end {
            Some(end) if !escaped => {
                if start < at {
                    pieces.push(Piece::Text(&text[start..at]));
                }
                pieces.push(Piece::Expression(&inner[..end]));
                from = at + 2 + end + 1;
                start = from;
            }
            _ => from = at + 2,
        }
    }
    if start < text.len() || pieces.is_empty() {
        pieces.push(Piece::Text(&text[start..]));
    }
    pieces
}

/// `word(.word | [word])*`
fn path_expression(input: &mut &str) -> winnow::Result<()> {
    fn word<'i>(input: &mut &'i str) -> winnow::Result<&'i str> {
        take_while(1.., |c: char| !matches!(c, '.' | '[' | ']')).parse_next(input)
    }
    fn space<'i>(input: &mut &'i str) -> winnow::Result<&'i str> {
        take_while(0.., [' ', '\t', '\r', '\n']).parse_next(input)
    }
    let step = alt((preceded((space, '.'), word), delimited((space, '['), word, ']')));
    (word, repeat::<_, _, (), _, _>(0.., step), space, eof).void().parse_next(input)
}

/// The expression of a text that is one `${…}` and nothing else.
pub(super) fn only_expression(text: &str) -> Option<&str> {
    match split(text).as_slice() {
        [Piece::Expression(expression)] => Some(expression),
        _ => None,
    }
}

/// `a[0].b` as `a.0.b`.
fn dotted(expression: &str) -> String {
    let parts = expression.split(['.', '[']).map(|part| part.trim().trim_end_matches(']').trim());
    parts.collect::<Vec<_>>().join(".")
}

/// The span of `${expression}` inside a scalar at `span`.
fn inside(document: &Document, span: Span, expression: &str) -> Span {
    let source = document.text.get(span.start..span.end).unwrap_or("");
    let needle = format!("${{{expression}}}");
    let Some(at) = source.find(&needle) else { return span };
    let before = &source[..at];
    let line = span.line + before.matches('\n').count();
    let column = match before.rfind('\n') {
        Some(newline) => before[newline + 1..].chars().count() + 1,
        None => span.column + before.chars().count(),
    };
    Span { line, column, start: span.start + at, end: span.start + at + needle.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use matraz_base::Explain;
    use proptest::prelude::*;

    fn context(params: &str) -> Context {
        let document = Document::new("/p/dvc.yaml", "");
        let mut context = Context::new(Style::default());
        context.load_default(&document, Path::new("/p"), &|_| Ok(Some(params.to_owned()))).unwrap();
        context
    }

    fn resolve(context: &Context, text: &str, key: Option<&str>) -> Result<Value> {
        let document = Document::new("/p/dvc.yaml", text);
        let node = document.parse().unwrap();
        Ok(context.resolve(&document, &node, key)?.to_value())
    }

    const PARAMS: &str = "lr: 1e-05\nn: 3\non: true\nnone:\nname: two words\nlist: [a, {b: 7}]\n\
                          opt: {lr: 0.001, verbose: true, quiet: false, tags: [a, 'b c'], o: {m: 0.9}, e: {}}\n";

    #[test]
    fn values_are_put_into_text() {
        let context = context(PARAMS);
        let table = [
            ("${lr}", Value::Float(1e-5)),
            ("${list[1].b}", Value::Int(7)),
            ("${list[-1].b}", Value::Int(7)),
            ("x ${lr} ${on} ${none} ${n}", Value::Str("x 1e-05 true None 3".into())),
            ("'\\${n} ${n'", Value::Str("${n} ${n".into())),
            ("plain", Value::Str("plain".into())),
            ("go ${opt}", Value::Str("go --lr 0.001 --verbose --tags a 'b c' --o.m 0.9".into())),
        ];
        for (text, expected) in table {
            assert_eq!(resolve(&context, text, Some("cmd")).unwrap(), expected, "{text}");
        }
        assert_eq!(
            resolve(&context, "{'${name}': ['${n}']}", Some("outs")).unwrap().to_string(),
            "{'two words': [3]}"
        );
    }

    #[test]
    fn options_follow_the_configured_style() {
        let mut context = context(PARAMS);
        context.style = Style { boolean_optional: true, append: true };
        let text = resolve(&context, "${opt} .", Some("cmd")).unwrap();
        assert_eq!(text.as_str(), Some("--lr 0.001 --verbose --no-quiet --tags a --tags 'b c' --o.m 0.9 ."));
    }

    #[test]
    fn faults_point_into_the_text() {
        let context = context(PARAMS);
        let table = [
            ("a: go ${absent.x} on", 7, "Could not find 'absent.x'"),
            ("a: go ${n.} on", 7, "not the name of a value"),
            ("a: ${list}", 4, "Cannot interpolate data of type 'list'"),
            ("a: ${lr.x}", 4, "Could not find 'lr.x'"),
            ("a: ${}", 4, "not the name"),
        ];
        for (text, column, message) in table {
            let error = resolve(&context, text, Some("deps")).unwrap_err();
            assert!(error.to_string().contains(message), "{text}: {error}");
            assert_eq!(error.place().unwrap().column, column, "{text}");
        }
        assert!(resolve(&context, "${opt}", Some("deps")).is_err());
        assert!(resolve(&context, "${opt}", None).is_ok());
    }

    #[test]
    fn values_are_defined_once() {
        let mut context = context("a: {b: 1}\n");
        let document = Document::new("/p/dvc.yaml", "- {a: {c: 2}}\n- {a: {b: 2}}\n");
        let vars = document.parse().unwrap();
        let error = context.load_vars(&document, &vars, "", Path::new("/p"), &|_| Ok(None)).unwrap_err();
        let message = "cannot redefine 'a.b' from 'vars[1]' as it already exists in 'params.yaml'";
        assert!(error.to_string().ends_with(message), "{error}");
        assert_eq!(error.place().unwrap().line, 2);
        assert_eq!(context.select("a.c"), Some(&Value::Int(2)));
    }

    #[test]
    fn a_file_is_loaded_whole_or_by_keys_once() {
        let files = |path: &Path| {
            Ok(Some(if path.ends_with("p.json") { "{\"x\": 1, \"y\": 2}" } else { "a: 1" }.to_owned()))
        };
        let table = [
            ("[p.json, p.json]", None),
            ("['p.json:x', 'p.json:y']", None),
            ("['p.json:x', 'p.json:x']", Some("partially loaded already")),
            ("['p.json:x', p.json]", Some("partially loaded already")),
            ("[p.json, 'p.json:x']", Some("already loaded")),
            ("['p.json:z']", Some("could not find 'z' in 'p.json'")),
            ("['${a}']", Some("interpolating is not allowed")),
        ];
        for (text, fault) in table {
            let document = Document::new("/p/dvc.yaml", text);
            let vars = document.parse().unwrap();
            let result = Context::default().load_vars(&document, &vars, "", Path::new("/p"), &files);
            match (result, fault) {
                (Ok(()), None) => {}
                (Err(error), Some(fault)) => assert!(error.to_string().contains(fault), "{text}: {error}"),
                (result, _) => panic!("{text}: {result:?}"),
            }
        }
    }

    #[test]
    fn words_are_quoted_for_the_shell() {
        for (text, quoted) in
            [("", "''"), ("a/b.c=1", "a/b.c=1"), ("a b", "'a b'"), ("it's", "'it'\"'\"'s'"), ("é", "'é'")]
        {
            assert_eq!(quote(text), quoted);
        }
    }

    proptest! {
        #[test]
        fn splitting_loses_nothing(text in "([a-z .\\[\\]]|\\$\\{|\\}|\\\\|\n|é)*") {
            let joined: String = split(&text)
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => (*text).to_owned(),
                    Piece::Expression(inner) => format!("${{{inner}}}"),
                })
                .collect();
            prop_assert_eq!(joined, text);
        }
    }
}
