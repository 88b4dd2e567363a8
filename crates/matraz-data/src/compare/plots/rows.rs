//! Files of rows: CSV, TSV, JSON, YAML, TOML.

use std::path::Path;

use matraz_base::{Map, Value};

use crate::stage::params;
use crate::{Error, Result};

/// The key of cells beyond the last column: what Python's `None` is in JSON.
const BEYOND: &str = "null";

fn suffix(path: &Path) -> &str {
    path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default()
}

/// Refuses files of other formats.
pub(super) fn check_format(path: &Path) -> Result<()> {
    match suffix(path) {
        "csv" | "tsv" | "json" | "yaml" | "yml" | "toml" | "py" => Ok(()),
        _ => Err(Error::NotAPlotFile { path: path.to_path_buf() }),
    }
}

/// The content of a file by the ending of its name. A table becomes a list of mappings of texts; without a `header` its
/// columns are called `0`, `1` and so on.
pub(super) fn parse(path: &Path, text: &str, header: bool) -> Result<Value> {
    match suffix(path) {
        "csv" => table(path, text, b',', header),
        "tsv" => table(path, text, b'\t', header),
        _ => params::parse(path, text),
    }
}

fn table(path: &Path, text: &str, delimiter: u8, header: bool) -> Result<Value> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut names: Option<Vec<String>> = None;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record
            .map_err(|error| Error::PlotTable { path: path.to_path_buf(), message: error.to_string() })?;
        let names = match &names {
            Some(names) => names,
            None if header => {
                names = Some(record.iter().map(str::to_owned).collect());
                continue;
            }
            None => names.insert((0..record.len()).map(|n| n.to_string()).collect()),
        };
        let mut row = Map::new();
        for (n, name) in names.iter().enumerate() {
            row.insert(name.clone(), record.get(n).map_or(Value::Null, |cell| Value::Str(cell.to_owned())));
        }
        if record.len() > names.len() {
            let rest = record.iter().skip(names.len()).map(|cell| Value::Str(cell.to_owned()));
            row.insert(BEYOND.to_owned(), Value::List(rest.collect()));
        }
        rows.push(Value::Map(row));
    }
    Ok(Value::List(rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_become_mappings_of_texts() {
        let show = |name: &str, text: &str, header| parse(Path::new(name), text, header).unwrap().to_string();
        assert_eq!(
            show("a.csv", "x,\"y,z\"\n1,2\n\n3\n4,5,6\n", true),
            "[{'x': '1', 'y,z': '2'}, {'x': '3', 'y,z': None}, {'x': '4', 'y,z': '5', 'null': ['6']}]"
        );
        assert_eq!(show("a.tsv", "1\t2\r\n3\t4\r\n", false), "[{'0': '1', '1': '2'}, {'0': '3', '1': '4'}]");
        assert_eq!(show("a.csv", "", true), "[]");
        assert!(check_format(Path::new("a.txt")).is_err());
    }
}
