//! Stage `prepare`: the raw table becomes a clean one, and a report says what was dropped and why.

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::schema::{CLASSES, COLUMNS, Kind, N_COLUMNS};
use crate::table::{self, Cell, Person, RawTable};

/// How many impossible values the report lists one by one.
const MAX_LISTED: usize = 50;

/// An impossible value.
#[derive(Clone, Debug, PartialEq)]
pub struct OutOfRange {
    /// Line in the raw table.
    pub line: usize,
    /// Position of the column.
    pub position: usize,
    /// The value.
    pub value: f64,
}

/// A cleaned table and what became of the raw one.
#[derive(Clone, Debug, PartialEq)]
pub struct Cleaned {
    /// The rows that stay, in their order.
    pub people: Vec<Person>,
    /// Rows of the raw table.
    pub rows: usize,
    /// Rows that were dropped because an earlier row is equal.
    pub duplicates: usize,
    /// Rows that were dropped because they have no class.
    pub without_class: usize,
    /// Values that cannot be; their rows were dropped.
    pub out_of_range: Vec<OutOfRange>,
    /// Rows that were dropped for such values.
    pub rows_out_of_range: usize,
}

impl Cleaned {
    /// How many rows were dropped.
    pub fn dropped(&self) -> usize {
        self.duplicates + self.without_class + self.rows_out_of_range
    }

    /// The reasons for dropping rows, in words.
    pub fn reasons(&self) -> String {
        format!(
            "{} repeated, {} with an impossible value, {} without a class",
            self.duplicates, self.rows_out_of_range, self.without_class
        )
    }
}

/// Cleans a table: cells are read (blanks around them are gone already), rows without a class, with a value out
/// of its range or equal to an earlier row are dropped. Missing values stay, to be filled in later.
pub fn clean(raw: &RawTable, max_dropped: f64) -> Result<Cleaned, Error> {
    let mut cleaned = Cleaned {
        people: Vec::with_capacity(raw.rows.len()),
        rows: raw.rows.len(),
        duplicates: 0,
        without_class: 0,
        out_of_range: Vec::new(),
        rows_out_of_range: 0,
    };
    let mut seen = HashSet::new();
    for row in &raw.rows {
        let mut cells = [Cell::Missing; N_COLUMNS];
        for (position, cell) in cells.iter_mut().enumerate() {
            *cell = raw.cell(row, position)?;
        }
        let Some(class) = raw.class(row)? else {
            cleaned.without_class += 1;
            continue;
        };
        let impossible: Vec<OutOfRange> = (0..N_COLUMNS)
            .filter_map(|position| match (cells[position], COLUMNS[position].kind) {
                (Cell::Number(value), Kind::Number { min, max }) if !(min..=max).contains(&value) => {
                    Some(OutOfRange { line: row.line, position, value })
                }
                _ => None,
            })
            .collect();
        if !impossible.is_empty() {
            cleaned.rows_out_of_range += 1;
            cleaned.out_of_range.extend(impossible);
            continue;
        }
        if !seen.insert(identity(&cells, class)) {
            cleaned.duplicates += 1;
            continue;
        }
        cleaned.people.push(Person { cells, class });
    }
    if cleaned.people.is_empty() {
        return Err(Error::Empty { path: raw.path.clone(), after_cleaning: true });
    }
    if cleaned.dropped() as f64 > max_dropped * cleaned.rows as f64 {
        return Err(Error::TooManyDropped {
            path: raw.path.clone(),
            dropped: cleaned.dropped(),
            rows: cleaned.rows,
            limit: max_dropped,
            reasons: cleaned.reasons(),
        });
    }
    Ok(cleaned)
}

/// What two rows must share to be the same: all values, however they are written (`21` and `21.0`).
fn identity(cells: &[Cell; N_COLUMNS], class: usize) -> [u64; N_COLUMNS + 1] {
    let mut identity = [class as u64; N_COLUMNS + 1];
    for (part, cell) in identity.iter_mut().zip(cells) {
        *part = match cell {
            Cell::Missing => u64::MAX,
            // Adding zero makes -0.0 equal to 0.0.
            Cell::Number(number) => (number + 0.0).to_bits(),
            Cell::Choice(word) => *word as u64,
        };
    }
    identity
}

/// The data-quality report.
pub fn report(cleaned: &Cleaned) -> Value {
    let listed = cleaned.out_of_range.iter().take(MAX_LISTED).map(
        |found| json!({"line": found.line, "column": COLUMNS[found.position].name, "value": found.value}),
    );
    let counts = table::class_counts(&cleaned.people);
    let classes: Map<String, Value> =
        CLASSES.iter().zip(counts).map(|(class, count)| ((*class).to_owned(), count.into())).collect();
    let columns: Map<String, Value> = COLUMNS
        .iter()
        .enumerate()
        .map(|(position, column)| (column.name.to_owned(), describe(position, &cleaned.people)))
        .collect();
    json!({
        "rows": {"raw": cleaned.rows, "clean": cleaned.people.len()},
        "dropped": {
            "duplicate": cleaned.duplicates,
            "out_of_range": cleaned.rows_out_of_range,
            "without_class": cleaned.without_class,
        },
        "out_of_range": listed.collect::<Vec<_>>(),
        "classes": classes,
        "columns": columns,
    })
}

/// Figures of one column of the clean rows.
fn describe(position: usize, people: &[Person]) -> Value {
    let cells = || people.iter().map(|person| person.cells[position]);
    let missing = cells().filter(|cell| *cell == Cell::Missing).count();
    match COLUMNS[position].kind {
        Kind::Number { min, max } => {
            let mut values: Vec<f64> = cells()
                .filter_map(|cell| match cell {
                    Cell::Number(number) => Some(number),
                    _ => None,
                })
                .collect();
            values.sort_by(f64::total_cmp);
            let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
            json!({
                "missing": missing,
                "admitted": [min, max],
                "min": values.first(),
                "median": values.get(values.len() / 2),
                "mean": (!values.is_empty()).then_some((mean * 1e6).round() / 1e6),
                "max": values.last(),
            })
        }
        Kind::Choice(words) => {
            let count = |word: usize| cells().filter(|cell| *cell == Cell::Choice(word)).count();
            let values: Map<String, Value> = words
                .iter()
                .enumerate()
                .map(|(word, name)| ((*name).to_owned(), count(word).into()))
                .collect();
            json!({"missing": missing, "values": values})
        }
    }
}

/// Runs the stage: reads `raw`, writes the clean table and the report. Returns what was done.
pub fn run(raw: &Path, clean_table: &Path, quality: &Path, max_dropped: f64) -> Result<Cleaned, Error> {
    let cleaned = clean(&RawTable::read(raw)?, max_dropped)?;
    table::write_bytes(clean_table, table::people_to_csv(&cleaned.people).as_bytes())?;
    table::write_json(quality, &report(&cleaned))?;
    Ok(cleaned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str =
        "Female,21,1.62,64,yes,no,2,3,Sometimes,no,2,no,0,1,no,Public_Transportation,Normal_Weight";

    fn cleaned(rows: &[String], max_dropped: f64) -> Result<Cleaned, Error> {
        let text = table::header() + &rows.join("\r\n");
        clean(&RawTable::parse(Path::new("raw.csv"), text)?, max_dropped)
    }

    #[test]
    fn rows_are_dropped_for_a_reason_that_is_told() {
        let rows = [
            ROW.to_owned(),
            ROW.replace("21", "21.0"),
            ROW.replace("Sometimes", "sometimes "),
            ROW.replace("1.62", "162"),
            ROW.replace("Normal_Weight", ""),
            ROW.replace("64", ""),
            ROW.replace("no,0,1", "no,9,9"),
        ];
        let result = cleaned(&rows, 1.0).unwrap();
        assert_eq!(result.people.len(), 2);
        assert_eq!((result.duplicates, result.rows_out_of_range, result.without_class), (2, 2, 1));
        assert_eq!(result.out_of_range.len(), 3);
        let report = report(&result);
        assert_eq!(report["rows"]["clean"], 2);
        assert_eq!(report["out_of_range"][0], json!({"line": 5, "column": "Height", "value": 162.0}));
        assert_eq!(report["columns"]["Weight"]["missing"], 1);
        assert_eq!(report["columns"]["CAEC"]["values"]["Sometimes"], 2);
        assert_eq!(report["classes"]["Normal_Weight"], 2);
    }

    #[test]
    fn too_many_dropped_rows_stop_the_pipeline() {
        let rows = [ROW.to_owned(), ROW.to_owned()];
        assert!(cleaned(&rows, 0.5).is_ok());
        let error = cleaned(&rows, 0.4).unwrap_err().to_string();
        assert!(error.contains("would drop 1 of 2 rows"), "{error}");
        let error = cleaned(&[ROW.replace("64", "0")], 1.0).unwrap_err().to_string();
        assert!(error.contains("no rows left after cleaning"), "{error}");
    }
}
