//! One plain value for what is read from YAML, JSON, TOML and Python literals.

use std::fmt;

/// An ordered mapping with text keys.
pub type Map = indexmap::IndexMap<String, Value>;

/// A value without its place in a file. Unlike JSON it keeps infinities, NaN, integers of any size and dates.
#[derive(Clone, Debug)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// A larger integer, as its decimal digits.
    BigInt(String),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Str(String),
    /// A date or time as YAML 1.2 of ruamel writes it (`2020-01-01`).
    Date(String),
    /// A list.
    List(Vec<Value>),
    /// A mapping in source order.
    Map(Map),
}

impl Value {
    /// The text, if this is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The mapping, if this is one.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The items, if this is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The number, if this is an integer or a float.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::BigInt(digits) => digits.parse().ok(),
            Self::Float(x) => Some(*x),
            _ => None,
        }
    }

    /// The value below `key` of a mapping.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map().and_then(|map| map.get(key))
    }

    /// The value at a dotted path (`train.lr`, `layers.0`), as DVC addresses parameters.
    pub fn at(&self, dotted: &str) -> Option<&Value> {
        if let Some(whole) = self.get(dotted) {
            return Some(whole);
        }
        dotted.split('.').try_fold(self, |value, key| match value {
            Self::Map(map) => map.get(key),
            Self::List(items) => key.parse::<usize>().ok().and_then(|n| items.get(n)),
            _ => None,
        })
    }

    /// What kind of value this is, in the words of YAML.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) | Self::BigInt(_) => "integer",
            Self::Float(_) => "number",
            Self::Str(_) => "string",
            Self::Date(_) => "date",
            Self::List(_) => "list",
            Self::Map(_) => "mapping",
        }
    }

    /// The leaves of nested mappings under dotted names, in order: `{a: {b: 1}}` gives `a.b = 1`.
    pub fn flatten(&self) -> Vec<(String, &Value)> {
        fn walk<'v>(prefix: &str, value: &'v Value, out: &mut Vec<(String, &'v Value)>) {
            match value {
                Value::Map(map) if !map.is_empty() || prefix.is_empty() => {
                    for (key, inner) in map {
                        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                        walk(&name, inner, out);
                    }
                }
                leaf => out.push((prefix.to_owned(), leaf)),
            }
        }
        let mut out = Vec::new();
        walk("", self, &mut out);
        out
    }

    /// The value as JSON. NaN and infinities, which JSON lacks, become the words that Python's `json` writes,
    /// as text.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Null => Json::Null,
            Self::Bool(b) => Json::Bool(*b),
            Self::Int(n) => Json::from(*n),
            Self::BigInt(digits) => match digits.parse::<u64>() {
                Ok(n) => Json::from(n),
                Err(_) => digits.parse::<f64>().map_or_else(|_| Json::String(digits.clone()), Json::from),
            },
            Self::Float(x) => {
                serde_json::Number::from_f64(*x).map_or_else(|| Json::String(python_float(*x)), Json::Number)
            }
            Self::Str(text) | Self::Date(text) => Json::String(text.clone()),
            Self::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Self::Map(map) => Json::Object(map.iter().map(|(k, v)| (k.clone(), v.to_json())).collect()),
        }
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Null,
            Json::Bool(b) => Self::Bool(*b),
            Json::Number(n) => match (n.as_i64(), n.is_u64()) {
                (Some(n), _) => Self::Int(n),
                (None, true) => Self::BigInt(n.to_string()),
                _ => Self::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Str(text.clone()),
            Json::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Json::Object(map) => Self::Map(map.iter().map(|(k, v)| (k.clone(), Self::from(v))).collect()),
        }
    }
}

/// Equality as Python has it: `1 == 1.0 == True`, order of keys does not matter, NaN differs from itself.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        fn number(value: &Value) -> Option<f64> {
            match value {
                Value::Bool(b) => Some(f64::from(u8::from(*b))),
                other => other.as_f64(),
            }
        }
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::BigInt(a), Self::BigInt(b)) => a == b,
            (Self::Str(a), Self::Str(b)) | (Self::Date(a), Self::Date(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            _ => matches!((number(self), number(other)), (Some(a), Some(b)) if a == b),
        }
    }
}

/// Text as Python's `str()` gives it, which is what tracking stores keep for parameters.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(text) | Self::Date(text) | Self::BigInt(text) => f.write_str(text),
            other => f.write_str(&python_repr(other)),
        }
    }
}

fn python_repr(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(n) => n.to_string(),
        Value::BigInt(digits) => digits.clone(),
        Value::Float(x) => python_float(*x),
        Value::Date(text) => text.clone(),
        Value::Str(text) if text.contains('\'') && !text.contains('"') => format!("\"{text}\""),
        Value::Str(text) => {
            format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
        }
        Value::List(items) => format!("[{}]", items.iter().map(python_repr).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => {
            let pairs: Vec<_> = map
                .iter()
                .map(|(k, v)| format!("{}: {}", python_repr(&Value::Str(k.clone())), python_repr(v)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

/// A float as Python's `repr` writes it: shortest digits that read back equal, exponent from 1e16 up and below
/// 1e-4, two exponent digits at least.
pub fn python_float(x: f64) -> String {
    if x.is_nan() {
        return "nan".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{x:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if x != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{x}");
    if plain.contains('.') { plain } else { format!("{plain}.0") }
}

/// The value as Python's `json.dumps` writes it by default: `", "` and `": "`, everything beyond ASCII escaped,
/// `NaN` and `Infinity` as words. `sorted` orders the keys of mappings by code point. Dates become text.
pub fn python_json(value: &Value, sorted: bool) -> String {
    let mut out = String::new();
    write_python_json(value, sorted, &mut out);
    out
}

fn write_python_json(value: &Value, sorted: bool, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Int(n) => out.push_str(&n.to_string()),
        Value::BigInt(digits) => out.push_str(digits),
        Value::Float(x) if x.is_nan() => out.push_str("NaN"),
        Value::Float(x) if x.is_infinite() => out.push_str(if *x > 0.0 { "Infinity" } else { "-Infinity" }),
        Value::Float(x) => out.push_str(&python_float(*x)),
        Value::Str(text) | Value::Date(text) => write_python_text(text, out),
        Value::List(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push_str(", ");
                }
                write_python_json(item, sorted, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            if sorted {
                entries.sort_by_key(|(key, _)| *key);
            }
            out.push('{');
            for (n, (key, item)) in entries.into_iter().enumerate() {
                if n > 0 {
                    out.push_str(", ");
                }
                write_python_text(key, out);
                out.push_str(": ");
                write_python_json(item, sorted, out);
            }
            out.push('}');
        }
    }
}

fn write_python_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            other => {
                let mut units = [0; 2];
                for unit in other.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_written_as_python_does() {
        let mut map = Map::new();
        map.insert("b".into(), Value::List(vec![Value::Float(1e-5), Value::Float(f64::NAN), Value::Int(1)]));
        map.insert("a".into(), Value::Str("é\u{7f}😀\n\"/".into()));
        let value = Value::Map(map);
        let a = "\"a\": \"\\u00e9\\u007f\\ud83d\\ude00\\n\\\"/\"";
        let b = "\"b\": [1e-05, NaN, 1]";
        assert_eq!(python_json(&value, true), format!("{{{a}, {b}}}"));
        assert_eq!(python_json(&value, false), format!("{{{b}, {a}}}"));
    }

    #[test]
    fn floats_are_written_as_python_does() {
        let table = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e-5, "1e-05"),
            (1e5, "100000.0"),
            (1e16, "1e+16"),
            (1e22, "1e+22"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
        ];
        for (x, text) in table {
            assert_eq!(python_float(x), text);
        }
    }

    #[test]
    fn equality_is_that_of_python() {
        assert_eq!(Value::Int(1), Value::Float(1.0));
        assert_eq!(Value::Int(1), Value::Bool(true));
        assert_ne!(Value::Str("1".into()), Value::Int(1));
        assert_ne!(Value::Float(f64::NAN), Value::Float(f64::NAN));
    }

    #[test]
    fn flatten_names_leaves_by_dots() {
        let json = serde_json::json!({"a": {"b": 1, "c": {"d": [1, 2]}}, "e": {}});
        let value = Value::from(&json);
        let names: Vec<_> = value.flatten().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a.b", "a.c.d", "e"]);
        assert_eq!(value.at("a.c.d.1"), Some(&Value::Int(2)));
    }
}
