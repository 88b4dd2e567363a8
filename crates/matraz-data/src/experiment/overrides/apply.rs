//! Making a change in parameters.

use matraz_base::{Map, Value};

use super::super::error::ExperimentError;
use super::grammar::{Action, Override, Setting, bad};
use crate::Result;

/// Makes the change.
pub fn apply(root: &mut Value, change: &Override) -> Result<()> {
    let parts = parts(&change.key);
    let known = find(root, &parts).cloned();
    let value = match &change.setting {
        Setting::One(value) => value.clone(),
        Setting::None => Value::Null,
        Setting::Many(_) => return Err(ExperimentError::SweepWithoutQueue.into()),
    };
    match change.action {
        Action::Change => match known {
            Some(known) => {
                let merged = merge(&known, &value, false).ok_or_else(|| missing(change))?;
                put(root, &parts, merged);
            }
            None => return Err(missing(change)),
        },
        Action::Add | Action::Put => {
            let is_collection = matches!(value, Value::Map(_) | Value::List(_));
            let taken = known.as_ref().is_some_and(|known| *known != Value::Null);
            if change.action == Action::Add && taken && !is_collection {
                return Err(ExperimentError::BadOverride {
                    text: change.text.clone(),
                    reason: format!("an item is already at '{}'", change.key),
                    hint: Some(format!("to change it use {}", change.text.trim_start_matches('+'))),
                }
                .into());
            }
            let merged = known.as_ref().and_then(|known| merge(known, &value, true)).unwrap_or(value);
            if !put(root, &parts, merged) {
                return Err(bad(
                    &change.text,
                    format!("'{}' leads through a value that is no mapping", change.key),
                ));
            }
        }
        Action::Remove => match known {
            None | Some(Value::Null) => {
                return Err(bad(&change.text, format!("'{}' does not exist", change.key)));
            }
            Some(known) if change.setting != Setting::None && known != value => {
                let reason = format!("the value of '{}' is {known} and not {value}", change.key);
                return Err(bad(&change.text, reason));
            }
            Some(_) => remove(root, &parts),
        },
    }
    Ok(())
}

fn missing(change: &Override) -> crate::Error {
    ExperimentError::BadOverride {
        text: change.text.clone(),
        reason: format!("there is no '{}'", change.key),
        hint: Some(format!("to add it use +{}", change.text)),
    }
    .into()
}

/// `a.b[0]` is `a`, `b`, `0`.
pub(super) fn parts(key: &str) -> Vec<String> {
    key.split(['.', '['])
        .map(|part| part.trim_end_matches(']').to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

/// The value at a place.
pub(super) fn find<'v>(value: &'v Value, parts: &[String]) -> Option<&'v Value> {
    parts.iter().try_fold(value, |value, part| match value {
        Value::Map(map) => map.get(part),
        Value::List(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// A mapping takes the entries of another one; anything else is replaced. `None` when there are new entries and these are
/// not allowed.
fn merge(known: &Value, value: &Value, allow_new: bool) -> Option<Value> {
    let (Value::Map(known), Value::Map(value)) = (known, value) else { return Some(value.clone()) };
    let mut merged = known.clone();
    for (key, value) in value {
        let next = match known.get(key) {
            Some(known) => merge(known, value, allow_new)?,
            None if allow_new => value.clone(),
            None => return None,
        };
        merged.insert(key.clone(), next);
    }
    Some(Value::Map(merged))
}

/// Puts the value there, making mappings on the way. False when the way leads through something else.
fn put(value: &mut Value, parts: &[String], new: Value) -> bool {
    let [first, rest @ ..] = parts else {
        *value = new;
        return true;
    };
    match value {
        Value::Map(map) => put(map.entry(first.clone()).or_insert_with(|| Value::Map(Map::new())), rest, new),
        Value::List(items) => match first.parse::<usize>().ok().and_then(|n| items.get_mut(n)) {
            Some(item) => put(item, rest, new),
            None => false,
        },
        // A key that stands there without a value becomes a mapping.
        Value::Null => {
            *value = Value::Map(Map::new());
            put(value, parts, new)
        }
        _ => false,
    }
}

fn remove(value: &mut Value, parts: &[String]) {
    match (value, parts) {
        (Value::Map(map), [last]) => drop(map.shift_remove(last)),
        (Value::List(items), [last]) => {
            if let Some(n) = last.parse::<usize>().ok().filter(|n| *n < items.len()) {
                items.remove(n);
            }
        }
        (Value::Map(map), [first, rest @ ..]) => {
            if let Some(inner) = map.get_mut(first) {
                remove(inner, rest);
            }
        }
        (Value::List(items), [first, rest @ ..]) => {
            if let Some(inner) = first.parse::<usize>().ok().and_then(|n| items.get_mut(n)) {
                remove(inner, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::grammar::parse;
    use super::*;
    use crate::stage::params;

    fn after(change: &str) -> Result<String> {
        let mut value =
            params::parse(Path::new("p.yaml"), "lr: 1\nnet: {act: relu, n: [1, 2]}\nnone:\n").unwrap();
        apply(&mut value, &parse(change)?)?;
        Ok(value.to_string())
    }

    #[test]
    fn changes_additions_and_removals() {
        let table = [
            ("lr=2", "{'lr': 2, 'net': {'act': 'relu', 'n': [1, 2]}, 'none': None}"),
            ("net.n.1=5", "{'lr': 1, 'net': {'act': 'relu', 'n': [1, 5]}, 'none': None}"),
            ("net={act: tanh}", "{'lr': 1, 'net': {'act': 'tanh', 'n': [1, 2]}, 'none': None}"),
            (
                "+net.new.deep=1",
                "{'lr': 1, 'net': {'act': 'relu', 'n': [1, 2], 'new': {'deep': 1}}, 'none': None}",
            ),
            ("+none=3", "{'lr': 1, 'net': {'act': 'relu', 'n': [1, 2]}, 'none': 3}"),
            ("++lr=3", "{'lr': 3, 'net': {'act': 'relu', 'n': [1, 2]}, 'none': None}"),
            ("~net", "{'lr': 1, 'none': None}"),
            ("~lr=1", "{'net': {'act': 'relu', 'n': [1, 2]}, 'none': None}"),
        ];
        for (change, expected) in table {
            assert_eq!(after(change).unwrap(), expected, "{change}");
        }
        for wrong in
            ["new=1", "net.new=1", "net={x: 1}", "+lr=2", "+lr.x=2", "~new", "~lr=2", "~none", "lr=1,2"]
        {
            assert!(after(wrong).is_err(), "{wrong}");
        }
    }
}
