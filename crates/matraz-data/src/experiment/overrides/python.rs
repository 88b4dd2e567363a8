//! Changes in Python files: the literal behind a name is replaced on its line. Whether that did what it was to do is seen by
//! reading the file again.

use std::path::Path;

use matraz_base::{Map, Value};

use super::apply::find;
use crate::stage::{params, python};

/// The text with the values of `new`. The error says what cannot be written.
pub fn edit(text: &str, new: &Map) -> Result<String, String> {
    let mut text = text.to_owned();
    let wanted = Value::Map(new.clone());
    let mut places = Vec::new();
    differing(&read(&text)?, &wanted, &mut Vec::new(), &mut places)?;
    for place in places {
        text = replaced(&text, &wanted, &place).ok_or_else(|| {
            format!("'{}' does not stand on a line of its own with its value", place.join("."))
        })?;
    }
    Ok(text)
}

fn read(text: &str) -> Result<Value, String> {
    params::parse(Path::new("params.py"), text).map_err(|error| error.to_string())
}

/// The places whose values differ.
fn differing(
    old: &Value,
    new: &Value,
    at: &mut Vec<String>,
    places: &mut Vec<Vec<String>>,
) -> Result<(), String> {
    let (Value::Map(old), Value::Map(new)) = (old, new) else {
        if old != new {
            places.push(at.clone());
        }
        return Ok(());
    };
    let lone =
        old.keys().find(|key| !new.contains_key(*key)).or(new.keys().find(|key| !old.contains_key(*key)));
    if let Some(lone) = lone {
        return Err(format!("names can be neither added to Python files nor taken away from them: {lone}"));
    }
    for (key, old) in old {
        at.push(key.clone());
        differing(old, &new[key], at, places)?;
        at.pop();
    }
    Ok(())
}

/// The text with the value at a place changed and all others as they were; `None` when no line allows that.
fn replaced(text: &str, wanted: &Value, place: &[String]) -> Option<String> {
    let before = read(text).ok()?;
    // An entry of a mapping is changed by writing the mapping that the name has.
    for length in (1..=place.len()).rev() {
        let (place, name) = (&place[..length], &place[length - 1]);
        let value = find(wanted, place)?;
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            if let Some((from, to)) = literal_of(line, name) {
                let changed = format!("{}{}{}", &text[..start + from], literal(value), &text[start + to..]);
                if read(&changed).is_ok_and(|after| only_change(&before, &after, place, value)) {
                    return Some(changed);
                }
            }
            start += line.len();
        }
    }
    None
}

/// Where the literal is that a line gives to a name: `name = 1`, `name: int = 1`, `self.name = 1`.
fn literal_of(line: &str, name: &str) -> Option<(usize, usize)> {
    let rest = line.trim_start();
    let rest = rest.strip_prefix("self.").unwrap_or(rest).strip_prefix(name)?.trim_start();
    let rest = match rest.strip_prefix(':') {
        Some(annotated) => annotated.split_once('=')?.1,
        None => rest.strip_prefix('=')?,
    };
    let rest = rest.trim_start();
    let from = line.len() - rest.len();
    Some((from, from + python::literal_length(rest)?))
}

fn literal(value: &Value) -> String {
    // In a list every value is written as Python writes it.
    let list = Value::List(vec![value.clone()]).to_string();
    list[1..list.len() - 1].to_owned()
}

fn only_change(before: &Value, after: &Value, place: &[String], value: &Value) -> bool {
    let (Value::Map(before), Value::Map(after), [first, rest @ ..]) = (before, after, place) else {
        return place.is_empty() && after == value;
    };
    before.len() == after.len()
        && before.iter().all(|(key, old)| match after.get(key) {
            Some(new) if key == first => only_change(old, new, rest, value),
            Some(new) => old == new,
            None => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_replaced_on_their_lines() {
        let text = "# c\nLR = 0.1  # rate\nLRS = [1,\n  2]\nNAME: str = 'x'\nD = {\"a\": 1, \"b\": {\"c\": 2}}\n\
                    class T:\n    LR = 1\n    def __init__(self):\n        self.n = None\n";
        let Value::Map(mut new) = read(text).unwrap() else { panic!() };
        let same = new.clone();
        new["LR"] = Value::Float(0.5);
        new["NAME"] = Value::Str("it's".into());
        let class = Value::Map(Map::from_iter([
            ("LR".to_owned(), Value::Int(7)),
            ("n".to_owned(), Value::List(vec![Value::Bool(true)])),
        ]));
        new["T"] = class;
        let Value::Map(d) = &mut new["D"] else { panic!() };
        d["a"] = Value::Int(9);
        assert_eq!(
            edit(text, &new).unwrap(),
            "# c\nLR = 0.5  # rate\nLRS = [1,\n  2]\nNAME: str = \"it's\"\nD = {'a': 9, 'b': {'c': 2}}\n\
             class T:\n    LR = 7\n    def __init__(self):\n        self.n = [True]\n"
        );
        let refused = |change: &dyn Fn(&mut Map)| {
            let mut new = same.clone();
            change(&mut new);
            edit(text, &new).unwrap_err()
        };
        assert!(refused(&|new| new["LRS"] = Value::Int(1)).contains("LRS"));
        assert!(refused(&|new| drop(new.insert("NEW".into(), Value::Int(1)))).contains("NEW"));
        assert!(refused(&|new| drop(new.shift_remove("D"))).contains("D"));
    }
}
