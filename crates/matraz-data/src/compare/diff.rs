//! How the values of files differ between two moments.

use std::path::PathBuf;

use indexmap::IndexMap;
use matraz_base::{Map, Value};

/// The values of files at a moment; a file that cannot be read has none.
pub type Values = Vec<(PathBuf, Option<Value>)>;

/// A value before and after.
#[derive(Clone, Debug)]
pub struct Delta {
    /// Before; null when there was none.
    pub old: Value,
    /// After; null when there is none.
    pub new: Value,
    /// After minus before, of numbers.
    pub diff: Option<Value>,
}

/// The differences by file and dotted name.
pub type Differences = IndexMap<PathBuf, IndexMap<String, Delta>>;

/// Compares. With `unchanged` equal values are listed too. Lists are compared as their text.
pub fn diff(old: &Values, new: &Values, unchanged: bool) -> Differences {
    let mut differences = Differences::new();
    let mut paths: Vec<&PathBuf> = Vec::new();
    for (path, _) in old.iter().chain(new) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    for path in paths {
        let changed = match (read(old, path), read(new, path)) {
            (Side::Map(old), Side::Map(new)) => maps(&old, &new, unchanged),
            (Side::One(old), Side::One(new)) => {
                let whole = |value| Map::from_iter([(String::new(), value)]);
                maps(&whole(old), &whole(new), unchanged)
            }
            // A single value has none of the names that the other side has.
            (Side::One(_), Side::Map(new)) => maps(&unparsed(&new), &new, unchanged),
            (Side::Map(old), Side::One(_)) => maps(&old, &unparsed(&old), unchanged),
        };
        if !changed.is_empty() {
            differences.insert(path.clone(), changed);
        }
    }
    differences
}

/// The values of a file, or the single value that it is.
enum Side {
    Map(Map),
    One(Value),
}

fn maps(old: &Map, new: &Map, unchanged: bool) -> IndexMap<String, Delta> {
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    let mut changed = IndexMap::new();
    for name in names {
        let before = old.get(name).cloned().unwrap_or(Value::Null);
        let after = new.get(name).cloned().unwrap_or(Value::Null);
        if unchanged || before != after {
            let diff = minus(&after, &before);
            changed.insert(name.clone(), Delta { old: before, new: after, diff });
        }
    }
    changed
}

fn unparsed(names: &Map) -> Map {
    names.keys().map(|name| (name.clone(), Value::Str("unable to parse".into()))).collect()
}

fn read(values: &Values, path: &PathBuf) -> Side {
    let value = values.iter().find(|(known, _)| known == path).and_then(|(_, value)| value.as_ref());
    match value {
        None | Some(Value::Map(_)) => Side::Map(flat(values, path)),
        // A text may hold a number.
        Some(Value::Str(text)) => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(json) => Side::One(Value::from(&json)),
            Err(_) => Side::One(Value::Str(text.clone())),
        },
        Some(other) => Side::One(other.clone()),
    }
}

fn flat(values: &Values, path: &PathBuf) -> Map {
    let value = values.iter().find(|(known, _)| known == path).and_then(|(_, value)| value.as_ref());
    let Some(value) = value else { return Map::new() };
    let mut map = Map::new();
    for (name, leaf) in value.flatten() {
        match leaf {
            Value::Map(_) => {}
            Value::List(_) => {
                map.insert(name, Value::Str(leaf.to_string()));
            }
            leaf => {
                map.insert(name, leaf.clone());
            }
        }
    }
    map
}

fn minus(a: &Value, b: &Value) -> Option<Value> {
    let whole = |value: &Value| match value {
        Value::Int(n) => Some(*n),
        Value::Bool(truth) => Some(i64::from(*truth)),
        _ => None,
    };
    if let (Some(a), Some(b)) = (whole(a), whole(b)) {
        return a.checked_sub(b).map(Value::Int);
    }
    let real = |value: &Value| whole(value).map(|n| n as f64).or_else(|| value.as_f64());
    Some(Value::Float(real(a)? - real(b)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::params;
    use std::path::Path;

    fn values(text: &str) -> Values {
        vec![("m.yaml".into(), Some(params::parse(Path::new("m.yaml"), text).unwrap()))]
    }

    #[test]
    fn numbers_texts_and_lists_differ() {
        let old = values("{a: 1, b: {c: 0.5, d: x}, l: [1, 2], t: true, gone: 1, e: {}}");
        let new = values("{a: 1, b: {c: 1, d: y}, l: [1, 3], t: false, fresh: null}");
        let shown: Vec<String> = diff(&old, &new, false)[Path::new("m.yaml")]
            .iter()
            .map(|(name, d)| format!("{name}: {} {} {}", d.old, d.new, d.diff.clone().unwrap_or(Value::Null)))
            .collect();
        assert_eq!(
            shown,
            [
                "b.c: 0.5 1 0.5",
                "b.d: x y None",
                "gone: 1 None None",
                "l: [1, 2] [1, 3] None",
                "t: True False -1"
            ]
        );
        assert_eq!(diff(&old, &new, true)[Path::new("m.yaml")].len(), 7);
    }
}
