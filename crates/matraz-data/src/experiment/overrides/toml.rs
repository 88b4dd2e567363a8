//! Changes in TOML files that keep comments and layout.

use matraz_base::{Map, Value};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike};

/// The text with the values of `new`. The error says what cannot be written.
pub fn edit(text: &str, new: &Map) -> Result<String, String> {
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    table(document.as_table_mut(), new)?;
    Ok(document.to_string())
}

fn table(table: &mut dyn TableLike, new: &Map) -> Result<(), String> {
    let gone: Vec<String> =
        table.iter().map(|(key, _)| key.to_owned()).filter(|key| !new.contains_key(key)).collect();
    for key in gone {
        table.remove(&key);
    }
    for (key, value) in new {
        match (table.get_mut(key), value) {
            (Some(item), Value::Map(map)) if item.is_table_like() => {
                if let Some(inner) = item.as_table_like_mut() {
                    self::table(inner, map)?;
                }
            }
            (Some(item), value) => {
                if let Some(old) = item.as_value() {
                    let mut new = scalar(value)?;
                    if same(old, &new) {
                        continue;
                    }
                    *new.decor_mut() = old.decor().clone();
                    *item = Item::Value(new);
                } else if !item.as_array_of_tables().is_some_and(|tables| is_same(tables, value)) {
                    *item = fresh(value)?;
                }
            }
            (None, value) => {
                table.insert(key, fresh(value)?);
            }
        }
    }
    Ok(())
}

fn same(old: &toml_edit::Value, new: &toml_edit::Value) -> bool {
    let bare = |value: &toml_edit::Value| {
        let mut value = value.clone();
        value.decor_mut().clear();
        value.to_string()
    };
    match (old, new) {
        (toml_edit::Value::Integer(a), toml_edit::Value::Integer(b)) => a.value() == b.value(),
        (toml_edit::Value::Float(a), toml_edit::Value::Float(b)) => a.value() == b.value(),
        (toml_edit::Value::String(a), toml_edit::Value::String(b)) => a.value() == b.value(),
        (toml_edit::Value::Datetime(a), toml_edit::Value::String(b)) => a.value().to_string() == *b.value(),
        _ => bare(old) == bare(new),
    }
}

fn fresh(value: &Value) -> Result<Item, String> {
    match value {
        Value::Map(map) => fresh_table(map).map(Item::Table),
        Value::List(items) if !items.is_empty() && items.iter().all(|item| matches!(item, Value::Map(_))) => {
            let mut tables = ArrayOfTables::new();
            for item in items {
                if let Value::Map(map) = item {
                    tables.push(fresh_table(map)?);
                }
            }
            Ok(Item::ArrayOfTables(tables))
        }
        value => scalar(value).map(Item::Value),
    }
}

fn fresh_table(map: &Map) -> Result<Table, String> {
    let mut table = Table::new();
    // The heading of a table that only holds tables says nothing.
    table.set_implicit(!map.is_empty() && map.values().all(|value| matches!(value, Value::Map(_))));
    for (key, value) in map {
        table.insert(key, fresh(value)?);
    }
    Ok(table)
}

/// Whether tables in a row hold just these values.
fn is_same(tables: &ArrayOfTables, value: &Value) -> bool {
    let Value::List(items) = value else { return false };
    tables.len() == items.len()
        && tables.iter().zip(items).all(|(table, item)| {
            let Value::Map(map) = item else { return false };
            let mut copy = table.clone();
            self::table(&mut copy, map).is_ok() && copy.to_string() == table.to_string()
        })
}

fn scalar(value: &Value) -> Result<toml_edit::Value, String> {
    Ok(match value {
        Value::Null => return Err("TOML has no null".into()),
        Value::Bool(truth) => (*truth).into(),
        Value::Int(n) => (*n).into(),
        Value::BigInt(digits) => return Err(format!("{digits} is too large for TOML")),
        Value::Float(x) => (*x).into(),
        Value::Str(text) => text.as_str().into(),
        Value::Date(text) => match text.parse::<toml_edit::Datetime>() {
            Ok(date) => date.into(),
            Err(_) => text.as_str().into(),
        },
        Value::List(items) => {
            let mut array = Array::new();
            for item in items {
                array.push(scalar(item)?);
            }
            array.into()
        }
        Value::Map(map) => {
            let mut inline = InlineTable::new();
            for (key, value) in map {
                inline.insert(key, scalar(value)?);
            }
            inline.into()
        }
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::stage::params;

    #[test]
    fn comments_stay_where_they_are() {
        let text = "# t\ntop = 1 # one\nlist = [1, 2]\n[sec]\nkey = \"v\" # kk\nold = 2\n";
        let Value::Map(mut new) = params::parse(Path::new("p.toml"), text).unwrap() else { panic!() };
        new["top"] = Value::Int(3);
        let Value::Map(section) = &mut new["sec"] else { panic!() };
        section.insert("key".into(), Value::Str("w".into()));
        section.shift_remove("old");
        section.insert("new".into(), Value::Bool(true));
        let after = edit(text, &new).unwrap();
        assert_eq!(after, "# t\ntop = 3 # one\nlist = [1, 2]\n[sec]\nkey = \"w\" # kk\nnew = true\n");
        let Value::Map(added) = params::parse(Path::new("p.yaml"), "q: {r: {s: hi}}\narr: [{y: 3}]").unwrap()
        else {
            panic!()
        };
        let text = "a = 1\n\n[[arr]]\ny = 1\n\n[[arr]]\ny = 2\n";
        let mut more = added.clone();
        more.insert("a".into(), Value::Int(1));
        assert_eq!(edit(text, &more).unwrap(), "a = 1\n\n[[arr]]\ny = 3\n\n[q.r]\ns = \"hi\"\n");
        new.insert("none".into(), Value::Null);
        assert!(edit(text, &new).is_err());
    }
}
