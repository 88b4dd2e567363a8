//! Parameter files: YAML, JSON, TOML and Python by the ending of their name; YAML when it is another one.

use std::path::Path;

use matraz_base::yaml;
use matraz_base::{Map, Place, Value};

use crate::error::Fault;
use crate::{Error, Result};

/// Reads the parameters in `text`, the content of the file at `path`. Nothing at all is an empty mapping.
pub fn parse(path: &Path, text: &str) -> Result<Value> {
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase()).unwrap_or_default();
    let value = match suffix.as_str() {
        "json" => parse_json(path, text)?,
        "toml" => parse_toml(path, text)?,
        "py" => super::python::parse(text).ok_or_else(|| Error::Definition {
            fault: Fault::Format,
            message: "not valid Python".into(),
            place: Box::new(Place::file(path)),
            hint: Some("a bracket or a string is open at the end".into()),
        })?,
        _ => parse_yaml(path, text)?,
    };
    Ok(if value == Value::Null { Value::Map(Map::new()) } else { value })
}

fn parse_yaml(path: &Path, text: &str) -> Result<Value> {
    let node = yaml::parse(text).map_err(|error| Error::Definition {
        fault: Fault::Format,
        place: Box::new(Place::at(path, text, error.line, error.column, error.width)),
        message: error.message,
        hint: None,
    })?;
    Ok(node.to_value())
}

/// JSON with Python's additions `NaN`, `Infinity` and `-Infinity`; a repeated key keeps its last value.
pub fn parse_json(path: &Path, text: &str) -> Result<Value> {
    if has_long_integer(text)
        && let Some(value) = with_python_numbers(text)
    {
        return Ok(value);
    }
    let plain: Result<serde_json::Value, _> = serde_json::from_str(text);
    let error = match plain {
        Ok(json) => return Ok(Value::from(&json)),
        Err(error) => error,
    };
    if let Some(value) = with_python_numbers(text) {
        return Ok(value);
    }
    Err(Error::Definition {
        fault: Fault::Format,
        place: Box::new(Place::at(path, text, error.line(), error.column(), 1)),
        message: format!("not valid JSON: {}", strip_position(&error.to_string())),
        hint: None,
    })
}

fn strip_position(message: &str) -> &str {
    message.split(" at line ").next().unwrap_or(message)
}

/// Whether an integer stands there that 64 bits may not hold.
fn has_long_integer(text: &str) -> bool {
    text.as_bytes().split(|byte| !byte.is_ascii_digit()).any(|run| run.len() >= 19)
}

/// Marks numbers that JSON lacks or that 64 bits do not hold as strings no document holds, reads, and puts the numbers
/// back.
fn with_python_numbers(text: &str) -> Option<Value> {
    const MARK: &str = "\u{0}matraz-number:";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut found = false;
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let end = string_end(rest)?;
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        let word = ["-Infinity", "Infinity", "NaN"].into_iter().find(|word| rest.starts_with(word));
        let (taken, marked) = match word {
            Some(word) => (word, Some(word)),
            None if first.is_ascii_digit() || first == '-' => {
                let number = number(rest);
                (number, beyond_json(number))
            }
            None => (&rest[..first.len_utf8()], None),
        };
        match marked {
            Some(text) => {
                found = true;
                out.push_str(&format!("\"\\u0000{}{text}\"", &MARK[1..]));
            }
            None => out.push_str(taken),
        }
        rest = &rest[taken.len()..];
    }
    if !found {
        return None;
    }
    let json: serde_json::Value = serde_json::from_str(&out).ok()?;
    Some(put_back(Value::from(&json), MARK))
}

/// The number at the start of `text`.
fn number(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c)));
    &text[..end.unwrap_or(text.len())]
}

/// How a number is kept that 64 bits do not hold: an integer by its digits, another one as infinity, as Python has it.
fn beyond_json(number: &str) -> Option<&str> {
    let digits = number.strip_prefix('-').unwrap_or(number);
    if digits.len() >= 19 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(number);
    }
    let infinite = number.parse().is_ok_and(f64::is_infinite);
    infinite.then_some(if number.starts_with('-') { "-Infinity" } else { "Infinity" })
}

/// Where the JSON string at the start of `text` ends.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn put_back(value: Value, mark: &str) -> Value {
    match value {
        Value::Str(text) => match text.strip_prefix(mark) {
            Some("NaN") => Value::Float(f64::NAN),
            Some("Infinity") => Value::Float(f64::INFINITY),
            Some("-Infinity") => Value::Float(f64::NEG_INFINITY),
            Some(digits) => digits.parse().map(Value::Int).unwrap_or(Value::BigInt(digits.to_owned())),
            None => Value::Str(text),
        },
        Value::List(items) => Value::List(items.into_iter().map(|item| put_back(item, mark)).collect()),
        Value::Map(map) => {
            Value::Map(map.into_iter().map(|(key, value)| (key, put_back(value, mark))).collect())
        }
        other => other,
    }
}

/// Reads TOML.
pub fn parse_toml(path: &Path, text: &str) -> Result<Value> {
    let document: toml_edit::DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let before = text.get(..start).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Error::Definition {
            fault: Fault::Format,
            place: Box::new(Place::at(path, text, line, column, 1)),
            message: format!("not valid TOML: {}", error.message()),
            hint: None,
        }
    })?;
    Ok(from_table(document.as_table()))
}

fn from_table(table: &toml_edit::Table) -> Value {
    let mut map = Map::new();
    for (key, item) in table {
        let value = match item {
            toml_edit::Item::None => continue,
            toml_edit::Item::Value(value) => from_toml(value),
            toml_edit::Item::Table(table) => from_table(table),
            toml_edit::Item::ArrayOfTables(tables) => Value::List(tables.iter().map(from_table).collect()),
        };
        map.insert(key.to_owned(), value);
    }
    Value::Map(map)
}

fn from_toml(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => Value::Str(text.value().clone()),
        toml_edit::Value::Integer(n) => Value::Int(*n.value()),
        toml_edit::Value::Float(x) => Value::Float(*x.value()),
        toml_edit::Value::Boolean(truth) => Value::Bool(*truth.value()),
        toml_edit::Value::Datetime(date) => Value::Date(date.value().to_string().replacen('T', " ", 1)),
        toml_edit::Value::Array(items) => Value::List(items.iter().map(from_toml).collect()),
        toml_edit::Value::InlineTable(table) => {
            Value::Map(table.iter().map(|(key, value)| (key.to_owned(), from_toml(value))).collect())
        }
    }
}

/// The first of `keys` that a Python file gives a tuple.
pub fn tuple_among<'k>(text: &str, keys: &'k [String]) -> Option<&'k String> {
    let tuples = super::python::tuples(text);
    let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    keys.iter().find(|key| tuples.contains(&last(key)))
}

/// The values at `keys` (all top-level ones when there are none), under their dotted names. Absent ones are left
/// out.
pub fn select(values: &Value, keys: &[String]) -> Map {
    if keys.is_empty() {
        return values.as_map().cloned().unwrap_or_default();
    }
    keys.iter().filter_map(|key| Some((key.clone(), values.at(key)?.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_decides_the_format() {
        let table = [
            ("p.yaml", "a: {b: yes}\n", "{'a': {'b': 'yes'}}"),
            (
                "p.json",
                "{\"a\": [1, 2.5, null, NaN, -Infinity, \"NaN\"]}",
                "{'a': [1, 2.5, None, nan, -inf, 'NaN']}",
            ),
            (
                "p.json",
                "{\"a\": [1e999, -12e400, 12e3, -12345678901234567890, 1.5], \"1e999\": \"1e999\"}",
                "{'a': [inf, -inf, 12000.0, -12345678901234567890, 1.5], '1e999': '1e999'}",
            ),
            (
                "p.toml",
                "a = 1\n[b]\nc = 2.50\nd = [1, {e = true}]\n",
                "{'a': 1, 'b': {'c': 2.5, 'd': [1, {'e': True}]}}",
            ),
            ("p.txt", "a: 010\n", "{'a': 10}"),
            ("p.yaml", "", "{}"),
        ];
        for (name, text, expected) in table {
            assert_eq!(parse(Path::new(name), text).unwrap().to_string(), expected, "{name}");
        }
    }

    #[test]
    fn faults_are_placed() {
        use matraz_base::Explain;
        for (name, text, line) in
            [("p.json", "{\"a\": 1,\n}", 2), ("p.toml", "a = 1\nb =\n", 2), ("p.yaml", "a: [\n", 1)]
        {
            let error = parse(Path::new(name), text).unwrap_err();
            assert_eq!(error.place().unwrap().line, line, "{name}: {error}");
        }
    }

    #[test]
    fn values_are_selected_by_dotted_names() {
        let values = parse(Path::new("p.yaml"), "lr: 1\nnet: {layers: [3, 4]}\n").unwrap();
        let keys = ["net.layers.1".to_owned(), "lr".to_owned(), "absent".to_owned()];
        assert_eq!(Value::Map(select(&values, &keys)).to_string(), "{'net.layers.1': 4, 'lr': 1}");
        assert_eq!(select(&values, &[]).len(), 2);
    }
}
