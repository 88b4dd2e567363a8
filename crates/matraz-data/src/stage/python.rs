//! Parameters in Python files: names that are assigned literals, at the top, in classes, and by `self.name = …` in
//! `__init__`. Nothing is executed; what is no literal is passed over.

use matraz_base::{Map, Value};

/// The values of a module. `None` when its lines cannot be told apart (an open bracket or string).
pub(super) fn parse(text: &str) -> Option<Value> {
    let lines = logical_lines(text)?;
    let mut module = Map::new();
    block(&lines, &mut 0, 0, Scope::Module, &mut module);
    Some(Value::Map(module))
}

/// The names that a module gives to tuples or to what holds one, without their classes.
pub fn tuples(text: &str) -> Vec<String> {
    let lines = logical_lines(text).unwrap_or_default();
    let mut names = Vec::new();
    for line in &lines {
        let text = line.text.strip_prefix("self.").unwrap_or(&line.text);
        let Some((name, value)) = text.split_once('=') else { continue };
        let name = name.split(':').next().unwrap_or(name).trim();
        let mut literal = Literal { rest: value.trim_start(), has_tuple: false };
        if literal.value(0).is_some() && literal.has_tuple {
            names.push(name.to_owned());
        }
    }
    names
}

/// The bytes that the literal at the start of the text takes; `None` when there is no whole one.
pub fn literal_length(text: &str) -> Option<usize> {
    let mut literal = Literal { rest: text, has_tuple: false };
    literal.value(0)?;
    // Behind a string it looks for another one, past the blanks.
    Some(text[..text.len() - literal.rest.len()].trim_end().len())
}

/// A statement: how far it is indented, and its text on one line without comments.
struct Line {
    indent: usize,
    text: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Scope {
    Module,
    Class,
    Init,
}

fn block(lines: &[Line], at: &mut usize, indent: usize, scope: Scope, into: &mut Map) {
    while let Some(line) = lines.get(*at).filter(|line| line.indent >= indent) {
        *at += 1;
        let body = lines.get(*at).map_or(0, |next| next.indent);
        let deeper = body > line.indent;
        if let Some(name) = class_name(&line.text).filter(|_| scope != Scope::Init && deeper) {
            let mut class = Map::new();
            block(lines, at, body, Scope::Class, &mut class);
            into.insert(name.to_owned(), Value::Map(class));
        } else if scope == Scope::Class && deeper && line.text.starts_with("def __init__(") {
            block(lines, at, body, Scope::Init, into);
        } else if deeper {
            skip(lines, at, line.indent);
        } else if let Some((name, value)) = assignment(&line.text, scope) {
            into.insert(name.to_owned(), value);
        }
    }
}

fn skip(lines: &[Line], at: &mut usize, indent: usize) {
    while lines.get(*at).is_some_and(|line| line.indent > indent) {
        *at += 1;
    }
}

fn class_name(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("class ")?.trim_start();
    let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
    (end > 0).then(|| &rest[..end])
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn assignment(text: &str, scope: Scope) -> Option<(&str, Value)> {
    let text = if scope == Scope::Init { text.strip_prefix("self.")? } else { text };
    let end = text.find(|c: char| !is_name(c))?;
    let (name, rest) = text.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let rest = rest.trim_start();
    let value = match rest.strip_prefix(':') {
        // The annotation is skipped; brackets and strings in it may hold `=`, which is too odd to care for.
        Some(annotated) => annotated.split_once('=')?.1,
        None => rest.strip_prefix('=').filter(|rest| !rest.starts_with('='))?,
    };
    let mut literal = Literal { rest: value.trim_start(), has_tuple: false };
    let value = literal.value(0)?;
    literal.rest.trim().is_empty().then_some((name, value))
}

/// Joins what brackets and triple quotes spread over lines, and drops comments.
fn logical_lines(text: &str) -> Option<Vec<Line>> {
    let mut lines = Vec::new();
    let mut current = String::new();
    let mut indent = 0;
    let mut depth = 0usize;
    let mut rest = text;
    let mut fresh = true;
    loop {
        if fresh {
            let body = rest.trim_start_matches([' ', '\t']);
            indent = rest[..rest.len() - body.len()].chars().map(|c| if c == '\t' { 8 } else { 1 }).sum();
            rest = body;
            fresh = false;
        }
        let Some(c) = rest.chars().next() else { break };
        match c {
            '#' => rest = &rest[rest.find('\n').unwrap_or(rest.len())..],
            '\'' | '"' => {
                let end = string_end(rest)?;
                current.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            '\n' if depth == 0 => {
                rest = &rest[1..];
                push(&mut lines, indent, &mut current);
                fresh = true;
            }
            '\\' if rest.starts_with("\\\n") => rest = &rest[2..],
            _ => {
                match c {
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth = depth.checked_sub(1)?,
                    _ => {}
                }
                current.push(if c == '\n' || c == '\r' { ' ' } else { c });
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    push(&mut lines, indent, &mut current);
    (depth == 0).then_some(lines)
}

fn push(lines: &mut Vec<Line>, indent: usize, current: &mut String) {
    let text = std::mem::take(current);
    for (n, part) in text.split(';').enumerate() {
        // A semicolon inside a string is no end of a statement; such lines are kept whole.
        if text.contains(['\'', '"']) {
            if n == 0 && !text.trim().is_empty() {
                lines.push(Line { indent, text: text.trim().to_owned() });
            }
        } else if !part.trim().is_empty() {
            lines.push(Line { indent, text: part.trim().to_owned() });
        }
    }
}

/// Where the string at the start of `text` ends, triple quotes considered.
fn string_end(text: &str) -> Option<usize> {
    let quote = &text[..1];
    let triple = quote.repeat(3);
    let (open, close) = if text.starts_with(&triple) { (3, triple.as_str()) } else { (1, quote) };
    let mut at = open;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with(close) {
            return Some(at + close.len());
        }
        if open == 1 && rest.starts_with('\n') {
            return None;
        }
        let c = rest.chars().next()?;
        at += c.len_utf8();
        if c == '\\' {
            at += rest.chars().nth(1)?.len_utf8();
        }
    }
    None
}

struct Literal<'t> {
    rest: &'t str,
    has_tuple: bool,
}

const MAX_DEPTH: usize = 100;

impl<'t> Literal<'t> {
    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        let found = rest.strip_prefix(token);
        if let Some(rest) = found {
            self.rest = rest;
        }
        found.is_some()
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.rest = self.rest.trim_start();
        match self.rest.chars().next()? {
            '[' => self.items(1, "]", depth).map(Value::List),
            '(' => {
                let before = self.rest;
                let items = self.items(1, ")", depth)?;
                // One value in brackets without a comma is that value.
                let inside = before[1..before.len() - self.rest.len() - 1].trim_end();
                match items.len() {
                    1 if !inside.ends_with(',') => items.into_iter().next(),
                    _ => {
                        self.has_tuple = true;
                        Some(Value::List(items))
                    }
                }
            }
            '{' => self.braces(depth),
            '\'' | '"' => self.strings(),
            'r' | 'R' | 'u' | 'U' if self.rest[1..].starts_with(['\'', '"']) => self.strings(),
            '-' | '+' | '.' | '0'..='9' => self.number(),
            _ => self.word(),
        }
    }

    fn items(&mut self, open: usize, close: &str, depth: usize) -> Option<Vec<Value>> {
        self.rest = &self.rest[open..];
        let mut items = Vec::new();
        while !self.eat(close) {
            items.push(self.value(depth + 1)?);
            if !self.eat(",") {
                return self.eat(close).then_some(items);
            }
        }
        Some(items)
    }

    fn braces(&mut self, depth: usize) -> Option<Value> {
        self.rest = &self.rest[1..];
        let (mut map, mut set) = (Map::new(), Vec::new());
        while !self.eat("}") {
            let key = self.value(depth + 1)?;
            if self.eat(":") {
                map.insert(key.to_string(), self.value(depth + 1)?);
            } else {
                set.push(key);
            }
            if !self.eat(",") {
                if !self.eat("}") {
                    return None;
                }
                break;
            }
        }
        Some(if set.is_empty() { Value::Map(map) } else { Value::List(set) })
    }

    fn word(&mut self) -> Option<Value> {
        let end = self.rest.find(|c: char| !is_name(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "None" => Some(Value::Null),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Value> {
        let mut sign = String::new();
        while let Some(rest) = self.rest.strip_prefix(['-', '+']) {
            if self.rest.starts_with('-') {
                sign = if sign.is_empty() { "-".into() } else { String::new() };
            }
            self.rest = rest.trim_start();
        }
        let mut end = 0;
        let bytes = self.rest.as_bytes();
        let hexadecimal = self.rest.starts_with("0x") || self.rest.starts_with("0X");
        while end < bytes.len() {
            let after_e = end > 0 && matches!(bytes[end - 1], b'e' | b'E') && !hexadecimal;
            match bytes[end] {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'.' => end += 1,
                b'-' | b'+' if after_e => end += 1,
                _ => break,
            }
        }
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        let digits = digits.replace('_', "").to_lowercase();
        for (prefix, base) in [("0x", 16), ("0o", 8), ("0b", 2)] {
            if let Some(digits) = digits.strip_prefix(prefix) {
                return i64::from_str_radix(&format!("{sign}{digits}"), base).ok().map(Value::Int);
            }
        }
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let signed = format!("{sign}{digits}");
            return Some(signed.parse().map(Value::Int).unwrap_or(Value::BigInt(signed)));
        }
        let number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        number.then(|| format!("{sign}{digits}").parse().ok().map(Value::Float)).flatten()
    }

    /// One string, or several that stand side by side.
    fn strings(&mut self) -> Option<Value> {
        let mut text = String::new();
        loop {
            self.rest = self.rest.trim_start();
            let raw = self.rest.starts_with(['r', 'R']);
            let prefixed = self.rest.starts_with(['r', 'R', 'u', 'U']);
            let body = if prefixed { &self.rest[1..] } else { self.rest };
            if !body.starts_with(['\'', '"']) {
                break;
            }
            let end = string_end(body)?;
            let quotes = if body.starts_with("'''") || body.starts_with("\"\"\"") { 3 } else { 1 };
            let inside = &body[quotes..end - quotes];
            text.push_str(&if raw { inside.to_owned() } else { unescape(inside)? });
            self.rest = &body[end..];
        }
        Some(Value::Str(text))
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let escape = characters.next()?;
        let length = match escape {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        if length > 0 {
            let digits: String = characters.by_ref().take(length).collect();
            out.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
            continue;
        }
        match escape {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            '0' => out.push('\0'),
            '\n' => {}
            '\\' | '\'' | '"' => out.push(escape),
            other => out.extend(['\\', other]),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_and_the_rest_is_passed_over() {
        let text = r#"
"""Module: x = 1"""
import os  # N = 0
N = 5; M = -0x1F
NAME = 'q' "r\n"  # comment
D = {"k": 1, 'n': {"t": (1, 2)},
     2: [None, True]}  
T = (1, 2,)
ONE = (1)
F: float = 1e-5
CALL = os.getpid()
if N:
    HIDDEN = 1
class Train(Base):
    """Doc."""
    lr = 0.5
    epochs: int = 7
    def helper(self):
        self.no = 1
    def __init__(self):
        self.x = 3
        y = 4
    class Inner:
        z = {1, 2}
LAST = """a
b"""
"#;
        assert_eq!(
            parse(text).unwrap().to_string(),
            "{'N': 5, 'M': -31, 'NAME': 'qr\\n', 'D': {'k': 1, 'n': {'t': [1, 2]}, '2': [None, True]}, 'T': [1, 2], \
             'ONE': 1, 'F': 1e-05, 'Train': {'lr': 0.5, 'epochs': 7, 'x': 3, 'Inner': {'z': [1, 2]}}, 'LAST': 'a\\nb'}"
        );
        assert_eq!(tuples(text), ["D", "T"]);
        assert_eq!(parse("a = [1,\n"), None);
        assert_eq!(parse("a = 'x\n"), None);
    }
}
