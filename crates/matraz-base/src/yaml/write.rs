//! Block-style YAML with the layout of the two writers whose files Matraz shares.
//!
//! Where a line is folded and which quotes are taken depends on the column and on flags that the original
//! writers keep while they go, so this writer keeps the same flags.

use super::{Dialect, scalar};
use crate::value::{Value, python_float};

/// Lines are folded after this column where a scalar allows it.
const BEST_WIDTH: usize = 80;
/// Keys from this length on are written as `? key`.
const MAX_SIMPLE_KEY: usize = 128;

/// Writes `value` as `ruamel.yaml` writes plain data in block style.
pub fn write(value: &Value) -> String {
    write_with(value, Dialect::Ruamel12)
}

/// Writes `value` in the layout of `dialect`. Mappings keep their order.
pub fn write_with(value: &Value, dialect: Dialect) -> String {
    write_all(value, dialect, None)
}

/// Like [`write`], where `scalar_keys` tells of a mapping, by the keys that lead to it, whether keys in it that look
/// like numbers or truth values are such and no text.
pub fn write_with_keys(value: &Value, scalar_keys: &dyn Fn(&[String]) -> bool) -> String {
    write_all(value, Dialect::Ruamel12, Some(scalar_keys))
}

/// Says of the way to a mapping, key by key, whether it writes its keys as scalars.
type ScalarKeys<'w> = &'w dyn Fn(&[String]) -> bool;

fn write_all(value: &Value, dialect: Dialect, scalar_keys: Option<ScalarKeys<'_>>) -> String {
    let mut writer = Writer {
        scalar_keys,
        path: Vec::new(),
        out: String::new(),
        dialect,
        column: 0,
        whitespace: true,
        indention: true,
        no_newline: false,
        indent: None,
        indents: Vec::new(),
        open_ended: false,
    };
    writer.node(value, Context { root: true, ..Context::default() });
    writer.write_indent();
    if writer.open_ended {
        writer.out.push_str("...\n");
    }
    writer.out
}

/// What a node is part of.
#[derive(Clone, Copy, Default)]
struct Context {
    root: bool,
    sequence: bool,
    mapping: bool,
    simple_key: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Plain,
    Single,
    Double,
}

struct Analysis {
    empty: bool,
    multiline: bool,
    plain: bool,
    single: bool,
}

struct Writer<'w> {
    scalar_keys: Option<ScalarKeys<'w>>,
    /// The keys that lead to the present mapping; kept only for `scalar_keys`.
    path: Vec<String>,
    out: String,
    dialect: Dialect,
    column: usize,
    /// The last character was white space.
    whitespace: bool,
    /// Only white space and indicators are on this line so far.
    indention: bool,
    no_newline: bool,
    indent: Option<usize>,
    /// Outer indents, and whether each level is a sequence.
    indents: Vec<(Option<usize>, bool)>,
    open_ended: bool,
}

impl Writer<'_> {
    fn ruamel(&self) -> bool {
        self.dialect == Dialect::Ruamel12
    }

    fn node(&mut self, value: &Value, context: Context) {
        match value {
            Value::List(items) if items.is_empty() => self.empty_collection("[", "]"),
            Value::Map(map) if map.is_empty() => self.empty_collection("{", "}"),
            Value::List(items) => self.block_sequence(items, context),
            Value::Map(map) => {
                self.increase_indent(false, false);
                for (key, value) in map {
                    self.block_entry(key, value);
                }
                self.decrease_indent();
            }
            leaf => self.scalar(leaf, context),
        }
    }

    fn block_sequence(&mut self, items: &[Value], context: Context) {
        let indentless = context.mapping && !self.indention;
        self.increase_indent(true, indentless);
        if self.ruamel() && self.indents.iter().rev().take(2).filter(|(_, sequence)| *sequence).count() == 2 {
            self.indention = true;
            self.no_newline = false;
        }
        for item in items {
            let no_newline = self.no_newline && self.column == 0;
            self.write_indent();
            self.indicator("-", true, false, true);
            if no_newline {
                self.no_newline = true;
            }
            self.node(item, Context { sequence: true, ..Context::default() });
        }
        self.decrease_indent();
        self.no_newline = false;
    }

    fn block_entry(&mut self, key: &str, value: &Value) {
        self.write_indent();
        let key_value = match self.scalar_keys {
            Some(holds) if holds(&self.path) => match scalar::resolve(key, self.dialect) {
                number @ (Value::Int(_) | Value::BigInt(_) | Value::Float(_) | Value::Bool(_)) => number,
                _ => Value::Str(key.to_owned()),
            },
            _ => Value::Str(key.to_owned()),
        };
        let in_mapping = Context { mapping: true, ..Context::default() };
        // The length counts the tag `!!str`, which is not written.
        let fits = key.chars().count() + 5 < MAX_SIMPLE_KEY && !has_break(key);
        let simple = fits && (self.ruamel() || !key.is_empty());
        if simple {
            self.scalar(&key_value, Context { simple_key: true, ..in_mapping });
            self.indicator(":", false, false, false);
        } else {
            self.indicator("?", true, false, true);
            self.node(&key_value, in_mapping);
            self.write_indent();
            self.indicator(":", true, false, true);
        }
        if self.scalar_keys.is_some() {
            self.path.push(key.to_owned());
            self.node(value, in_mapping);
            self.path.pop();
        } else {
            self.node(value, in_mapping);
        }
    }

    fn empty_collection(&mut self, open: &str, close: &str) {
        let mut padding = 0;
        if self.ruamel()
            && self.indents.len() >= 2
            && let Some((base, true)) = self.indents.last()
        {
            padding = (base.unwrap_or(0) + 2).saturating_sub(self.column + 1);
        }
        let open = format!("{}{open}", " ".repeat(padding));
        self.indicator(&open, true, true, false);
        self.indicator(close, false, false, false);
        if self.ruamel() {
            self.line_break();
        }
    }

    fn scalar(&mut self, value: &Value, context: Context) {
        let (text, is_text) = match value {
            Value::Null if self.ruamel() && !context.root => (String::new(), false),
            Value::Null => ("null".to_owned(), false),
            Value::Bool(true) => ("true".to_owned(), false),
            Value::Bool(false) => ("false".to_owned(), false),
            Value::Int(n) => (n.to_string(), false),
            Value::BigInt(digits) => (digits.clone(), false),
            Value::Float(x) => (self.float(*x), false),
            Value::Date(text) => (text.clone(), false),
            other => (other.as_str().unwrap_or_default().to_owned(), true),
        };
        let quotes = if is_text { self.quotes(&text, context) } else { Quotes::Plain };
        let outer = self.indent;
        self.indents.push((outer, false));
        self.indent = outer.map(|indent| indent + 2);
        if self.ruamel() && context.sequence {
            self.write_indent();
        }
        let split = !context.simple_key;
        let characters: Vec<char> = text.chars().collect();
        match quotes {
            Quotes::Plain => self.plain(&characters, split, context.root),
            Quotes::Single => self.single_quoted(&characters, split),
            Quotes::Double => self.double_quoted(&characters, split),
        }
        self.decrease_indent();
    }

    fn float(&self, x: f64) -> String {
        if x.is_nan() {
            return ".nan".into();
        }
        if x.is_infinite() {
            return if x > 0.0 { ".inf" } else { "-.inf" }.into();
        }
        let text = python_float(x);
        if !self.ruamel() && !text.contains('.') { text.replacen('e', ".0e", 1) } else { text }
    }

    fn quotes(&self, text: &str, context: Context) -> Quotes {
        let analysis = analyse(text, self.dialect);
        let plain_fits = analysis.plain && !(context.simple_key && (analysis.empty || analysis.multiline));
        if plain_fits && scalar::stays_text(text, self.dialect) {
            return Quotes::Plain;
        }
        // `ruamel.yaml` takes single quotes around the rarer line breaks, and reads spaces in their place.
        if self.ruamel() && text.contains(|c| c == '\'' || is_break(c)) {
            return Quotes::Double;
        }
        if analysis.single && !(context.simple_key && analysis.multiline) {
            Quotes::Single
        } else {
            Quotes::Double
        }
    }

    fn increase_indent(&mut self, sequence: bool, indentless: bool) {
        self.indents.push((self.indent, sequence));
        self.indent = match self.indent {
            None => Some(0),
            Some(indent) if indentless => Some(indent),
            Some(indent) => Some(indent + 2),
        };
    }

    fn decrease_indent(&mut self) {
        if let Some((indent, _)) = self.indents.pop() {
            self.indent = indent;
        }
    }

    fn put(&mut self, text: &str) {
        self.column += text.chars().count();
        self.out.push_str(text);
    }

    fn put_all(&mut self, text: &[char]) {
        self.column += text.len();
        self.out.extend(text);
    }

    fn indicator(&mut self, text: &str, need_whitespace: bool, whitespace: bool, indention: bool) {
        if need_whitespace && !self.whitespace {
            self.put(" ");
        }
        self.put(text);
        self.whitespace = whitespace;
        self.indention = self.indention && indention;
        self.open_ended = false;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            if self.no_newline {
                self.no_newline = false;
            } else {
                self.line_break();
            }
        }
        if self.column < indent {
            self.whitespace = true;
            let padding = " ".repeat(indent - self.column);
            self.put(&padding);
        }
    }

    fn line_break(&mut self) {
        self.other_break('\n');
    }

    fn other_break(&mut self, character: char) {
        self.whitespace = true;
        self.indention = true;
        self.column = 0;
        self.out.push(character);
    }

    fn plain(&mut self, text: &[char], split: bool, root: bool) {
        self.open_ended = root;
        if text.is_empty() {
            return;
        }
        if !self.whitespace {
            self.put(" ");
        }
        self.whitespace = false;
        self.indention = false;
        let ruamel = self.ruamel();
        let (mut start, mut spaces, mut gap) = (0, false, 0);
        for end in 0..=text.len() {
            let character = text.get(end).copied();
            if spaces {
                if character != Some(' ') {
                    gap = end - start;
                    let too_far = if ruamel { self.column >= BEST_WIDTH } else { self.column > BEST_WIDTH };
                    if start + 1 == end && too_far && split {
                        self.write_indent();
                        self.whitespace = false;
                        self.indention = false;
                    } else {
                        self.put_all(&text[start..end]);
                    }
                    start = end;
                }
            } else if character.is_none_or(|c| c == ' ') {
                let word = &text[start..end];
                let inside = self.indent.is_some_and(|indent| self.column > indent);
                // A key before `:` stays on its line, and so do words after several spaces: `ruamel.yaml` folds there, too,
                // and cannot read what it wrote, or reads one space.
                let foldable = split && inside && gap <= 1;
                if ruamel && foldable && word.len() + self.column > BEST_WIDTH {
                    self.write_indent();
                }
                self.put_all(word);
                start = end;
            }
            spaces = character == Some(' ');
        }
    }

    fn single_quoted(&mut self, text: &[char], split: bool) {
        self.indicator("'", true, false, false);
        let (mut start, mut spaces, mut breaks) = (0, false, false);
        for end in 0..=text.len() {
            let character = text.get(end).copied();
            if spaces {
                if character != Some(' ') {
                    let fold = start + 1 == end && self.column > BEST_WIDTH && split;
                    if fold && start != 0 && end != text.len() {
                        self.write_indent();
                    } else {
                        self.put_all(&text[start..end]);
                    }
                    start = end;
                }
            } else if breaks {
                if !character.is_some_and(is_break) {
                    if text[start] == '\n' {
                        self.line_break();
                    }
                    for &line_break in &text[start..end] {
                        self.other_break(line_break);
                    }
                    self.write_indent();
                    start = end;
                }
            } else if character.is_none_or(|c| c == ' ' || c == '\'' || is_break(c)) && start < end {
                self.put_all(&text[start..end]);
                start = end;
            }
            if character == Some('\'') {
                self.put("''");
                start = end + 1;
            }
            spaces = character == Some(' ');
            breaks = character.is_some_and(is_break);
        }
        self.indicator("'", false, false, false);
    }

    fn double_quoted(&mut self, text: &[char], split: bool) {
        self.indicator("\"", true, false, false);
        let mut start = 0;
        for end in 0..=text.len() {
            let character = text.get(end).copied();
            if character.is_none_or(|c| self.needs_escape(c)) {
                if start < end {
                    self.put_all(&text[start..end]);
                    start = end;
                }
                if let Some(character) = character {
                    self.put(&escape(character));
                    start = end + 1;
                }
            }
            let pending = end.saturating_sub(start);
            // `start` may be one past `end` after an escape; then the column has counted it already.
            let reach = if start > end { self.column.saturating_sub(1) } else { self.column + pending };
            if end > 0
                && end + 1 < text.len()
                && (character == Some(' ') || start >= end)
                && reach > BEST_WIDTH
                && split
            {
                // `ruamel.yaml` also folds between an escape and a word, which reads back with a space too many.
                let at_space = text.get(start.max(end)) == Some(&' ');
                let backslash = !(self.ruamel() && at_space && folds_without_backslash(text, start, end));
                if start < end {
                    self.put_all(&text[start..end]);
                    start = end;
                }
                if backslash {
                    self.put("\\");
                }
                self.write_indent();
                self.whitespace = false;
                self.indention = false;
                if text.get(start) == Some(&' ') {
                    if backslash {
                        self.put("\\");
                    } else {
                        start += 1;
                    }
                }
            }
        }
        self.indicator("\"", false, false, false);
    }

    fn needs_escape(&self, character: char) -> bool {
        if matches!(character, '"' | '\\' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') {
            return true;
        }
        !(is_ascii_text(character) || (self.ruamel() && is_unicode_text(character)))
    }
}

/// A fold inside double quotes reads back as one space when exactly one space stands there and a word follows.
fn folds_without_backslash(text: &[char], start: usize, end: usize) -> bool {
    let Some(space) = text[end..].iter().position(|&c| c == ' ').map(|at| at + end) else { return false };
    let stop = text[end..space].iter().position(|&c| c == '\n').map_or(space, |at| at + end);
    let Some(&after) = text.get(stop + 1) else { return false };
    if text[stop] == '\n' && after != ' ' {
        return false;
    }
    let quoted = text[end..stop].iter().any(|&c| c == '"' || c == '\'');
    let two_spaces = end > 0 && text[end - 1] == ' ' && text[end] == ' ';
    !quoted && after != ' ' && after != '\n' && !two_spaces && start != end
}

fn escape(character: char) -> String {
    let short = match character {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        other => {
            let code = u32::from(other);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}

fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn has_break(text: &str) -> bool {
    text.chars().any(is_break)
}

fn is_ascii_text(character: char) -> bool {
    (' '..='~').contains(&character)
}

fn is_unicode_text(character: char) -> bool {
    matches!(character, '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

/// Which ways of writing `text` in block context would read back the same, white space considered.
fn analyse(text: &str, dialect: Dialect) -> Analysis {
    if text.is_empty() {
        return Analysis { empty: true, multiline: false, plain: true, single: true };
    }
    let ruamel = dialect == Dialect::Ruamel12;
    let characters: Vec<char> = text.chars().collect();
    let blank = |c: char| matches!(c, '\0' | ' ' | '\t' | '\r') || is_break(c);
    let mut indicators = text.starts_with("---") || text.starts_with("...");
    let (mut line_breaks, mut special, mut edge, mut break_space, mut space_break) =
        (false, false, false, false, false);
    let (mut previous_space, mut previous_break) = (false, false);
    for (at, &c) in characters.iter().enumerate() {
        let followed_by_blank = characters.get(at + 1).is_none_or(|&next| blank(next));
        let after_blank = at == 0 || blank(characters[at - 1]);
        if at == 0 {
            indicators |= "#,[]{}&*!|>'\"%@`".contains(c) || ("?:-".contains(c) && followed_by_blank);
        } else {
            indicators |= (c == ':' && followed_by_blank) || (c == '#' && after_blank);
        }
        line_breaks |= is_break(c);
        if c != '\n' && !is_ascii_text(c) {
            let harmless = (c == '\u{85}' || is_unicode_text(c)) && c != '\u{feff}';
            special |= !(harmless && ruamel);
        }
        let last = at + 1 == characters.len();
        if c == ' ' {
            edge |= at == 0 || last;
            break_space |= previous_break;
        } else if is_break(c) {
            edge |= at == 0 || last;
            space_break |= previous_space;
        }
        previous_space = c == ' ';
        previous_break = is_break(c);
    }
    Analysis {
        empty: false,
        multiline: line_breaks,
        plain: !(edge || break_space || space_break || special || line_breaks || indicators),
        single: !(break_space || space_break || special),
    }
}
