//! Tables of two runs: rows, columns, and keys.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use serde::Serialize;

use super::parquet::Parquet;

/// Keys that are named.
const SHOWN: usize = 5;

/// How a table differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableChange {
    /// Rows of the first and of the second.
    pub rows: (u64, u64),
    /// Columns of the first and of the second.
    pub columns: (usize, usize),
    /// Columns that only the second has.
    pub added_columns: Vec<String>,
    /// Columns that only the first has.
    pub removed_columns: Vec<String>,
    /// The rows by key, when a key was asked for and both have its columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyChange>,
}

/// Rows told apart by a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeyChange {
    /// Keys that only the second has.
    pub added: u64,
    /// Keys that only the first has.
    pub removed: u64,
    /// Keys whose row differs.
    pub changed: u64,
    /// The first of the added, removed and changed keys, with `+`, `−` and `~`.
    pub examples: Vec<String>,
}

impl TableChange {
    /// In one line.
    pub fn line(&self) -> String {
        let mut parts = vec![format!("{} → {} rows", self.rows.0, self.rows.1)];
        if self.columns.0 != self.columns.1
            || !self.added_columns.is_empty()
            || !self.removed_columns.is_empty()
        {
            parts.push(format!("{} → {} columns", self.columns.0, self.columns.1));
        }
        let named = |sign: &str, names: &[String]| -> Vec<String> {
            names.iter().map(|name| format!("{sign}{name}")).collect()
        };
        let mut names = named("+", &self.added_columns);
        names.extend(named("−", &self.removed_columns));
        if !names.is_empty() {
            parts.push(format!("({})", names.join(" ")));
        }
        if let Some(keys) = &self.keys {
            parts.push(format!(
                "keys: {} added, {} removed, {} changed",
                keys.added, keys.removed, keys.changed
            ));
        }
        parts.join(", ").replace(", (", " (")
    }

    /// The change of two tables together.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.rows = (self.rows.0 + other.rows.0, self.rows.1 + other.rows.1);
        if let (Some(mine), Some(theirs)) = (&mut self.keys, &other.keys) {
            mine.added += theirs.added;
            mine.removed += theirs.removed;
            mine.changed += theirs.changed;
            mine.examples
                .extend(theirs.examples.iter().take(SHOWN.saturating_sub(mine.examples.len())).cloned());
        }
        self
    }
}

/// Whether a file is a table by its name.
pub(super) fn is_table(path: &Path) -> bool {
    matches!(ending(path).as_str(), "csv" | "tsv" | "parquet")
}

fn ending(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// Compares two tables, whose format the name `path` tells. What cannot be read is an error in words.
pub(super) fn compare(path: &Path, old: &Path, new: &Path, key: &[String]) -> Result<TableChange, String> {
    let (a, b) = (read(path, old, key)?, read(path, new, key)?);
    let only = |these: &Table, those: &Table| -> Vec<String> {
        these.columns.iter().filter(|column| !those.columns.contains(column)).cloned().collect()
    };
    let keys = match (&a.keys, &b.keys) {
        (Some(old), Some(new)) => Some(compare_keys(old, new)),
        _ => None,
    };
    Ok(TableChange {
        rows: (a.rows, b.rows),
        columns: (a.columns.len(), b.columns.len()),
        added_columns: only(&b, &a),
        removed_columns: only(&a, &b),
        keys,
    })
}

struct Table {
    rows: u64,
    columns: Vec<String>,
    /// The hash of the rows of every key.
    keys: Option<HashMap<String, u64>>,
}

fn read(name: &Path, path: &Path, key: &[String]) -> Result<Table, String> {
    let wrong = |why: String| format!("the rows of {} are not compared: {why}", name.display());
    match ending(name).as_str() {
        "parquet" => read_parquet(path, key).map_err(wrong),
        "tsv" => read_text(path, b'\t', key).map_err(wrong),
        _ => read_text(path, b',', key).map_err(wrong),
    }
}

fn read_parquet(path: &Path, key: &[String]) -> Result<Table, String> {
    let table = Parquet::open(path)?;
    let mut keys = Keys::of(key, &table.columns())?;
    if let Some(keys) = &mut keys {
        table.each_row(|cells| keys.add(cells.iter().map(String::as_bytes)))?;
    }
    Ok(Table { rows: table.rows(), columns: table.columns(), keys: keys.map(|keys| keys.rows) })
}

fn read_text(path: &Path, delimiter: u8, key: &[String]) -> Result<Table, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(std::io::BufReader::new(file));
    let headers = reader.byte_headers().map_err(|error| error.to_string())?;
    let columns: Vec<String> =
        headers.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let mut keys = Keys::of(key, &columns)?;
    let mut rows = 0;
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|error| error.to_string())? {
        rows += 1;
        if let Some(keys) = &mut keys {
            keys.add(record.iter());
        }
    }
    Ok(Table { rows, columns, keys: keys.map(|keys| keys.rows) })
}

/// The hash of the rows of every key.
struct Keys {
    /// Where the columns of the key are.
    places: Vec<usize>,
    rows: HashMap<String, u64>,
}

impl Keys {
    /// None when no key is asked for.
    fn of(key: &[String], columns: &[String]) -> Result<Option<Self>, String> {
        if key.is_empty() {
            return Ok(None);
        }
        let places: Option<Vec<usize>> =
            key.iter().map(|name| columns.iter().position(|column| column == name)).collect();
        match places {
            Some(places) => Ok(Some(Self { places, rows: HashMap::new() })),
            None => Err(format!("it has no column {}", key.join(", "))),
        }
    }

    fn add<'c>(&mut self, cells: impl Iterator<Item = &'c [u8]> + Clone) {
        let part = |place: &usize| {
            let cell = cells.clone().nth(*place).unwrap_or_default();
            String::from_utf8_lossy(cell).into_owned()
        };
        let name = self.places.iter().map(part).collect::<Vec<_>>().join(", ");
        let mut hasher = DefaultHasher::new();
        cells.for_each(|cell| cell.hash(&mut hasher));
        // Rows of the same key count together, in whatever order.
        let sum: &mut u64 = self.rows.entry(name).or_default();
        *sum = sum.wrapping_add(hasher.finish());
    }
}

fn compare_keys(old: &HashMap<String, u64>, new: &HashMap<String, u64>) -> KeyChange {
    let mut added: Vec<&String> = new.keys().filter(|key| !old.contains_key(*key)).collect();
    let mut removed: Vec<&String> = old.keys().filter(|key| !new.contains_key(*key)).collect();
    let mut changed: Vec<&String> = old
        .iter()
        .filter(|(key, row)| new.get(*key).is_some_and(|other| other != *row))
        .map(|(key, _)| key)
        .collect();
    let mut examples = Vec::new();
    for (sign, keys) in [("+", &mut added), ("−", &mut removed), ("~", &mut changed)] {
        keys.sort();
        examples.extend(keys.iter().take(SHOWN).map(|key| format!("{sign}{key}")));
    }
    KeyChange {
        added: added.len() as u64,
        removed: removed.len() as u64,
        changed: changed.len() as u64,
        examples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_columns_and_keys_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&a, "id,x\n1,10\n2,20\n3,30\n").unwrap();
        std::fs::write(&b, "id,x,y\n2,20,\n3,31,\n4,40,\n5,50,\n").unwrap();
        let name = Path::new("data.csv");
        let found = compare(name, &a, &b, &["id".to_owned()]).unwrap();
        assert_eq!((found.rows, found.columns), ((3, 4), (2, 3)));
        assert_eq!(found.added_columns, ["y"]);
        let keys = found.keys.as_ref().unwrap();
        assert_eq!((keys.added, keys.removed, keys.changed), (2, 1, 2));
        assert_eq!(keys.examples, ["+4", "+5", "−1", "~2", "~3"]);
        assert!(found.line().contains("3 → 4 rows") && found.line().contains("(+y)"), "{}", found.line());
        assert!(compare(name, &a, &b, &["no".to_owned()]).unwrap_err().contains("no column no"));
    }

    #[test]
    fn parquet_has_keys_like_csv() {
        use ::parquet::basic::Compression;
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        super::super::parquet::tests::write(&a, &[(1, "x"), (2, "y"), (3, "")], Compression::SNAPPY);
        super::super::parquet::tests::write(&b, &[(3, "z"), (2, "y"), (4, "x")], Compression::UNCOMPRESSED);
        let name = Path::new("data.parquet");
        let keys = compare(name, &a, &b, &["id".to_owned()]).unwrap().keys.unwrap();
        assert_eq!((keys.added, keys.removed, keys.changed), (1, 1, 1));
        assert_eq!(keys.examples, ["+4", "−1", "~3"]);
        assert_eq!(compare(name, &a, &b, &[]).unwrap().keys, None);
        assert!(compare(name, &a, &b, &["no".to_owned()]).unwrap_err().contains("no column no"));
    }
}
