//! Reading and writing the table: raw text for cleaning, checked rows for everything after it.

use std::fs;
use std::path::{Path, PathBuf};

use matraz_base::{Place, file};

use crate::error::Error;
use crate::schema::{self, CLASSES, COLUMNS, Kind, N_COLUMNS, TARGET};

/// One value of a describing column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// Nothing was noted.
    Missing,
    /// A number.
    Number(f64),
    /// The position of a word in the column's list.
    Choice(usize),
}

/// A person with a known class.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// The describing columns, in the order of [`COLUMNS`].
    pub cells: [Cell; N_COLUMNS],
    /// Position in [`CLASSES`].
    pub class: usize,
}

/// A row as it stands in the file, cells trimmed.
#[derive(Clone, Debug)]
pub struct RawRow {
    /// The line in the file, from 1.
    pub line: usize,
    /// The describing columns, in the order of [`COLUMNS`].
    pub cells: [String; N_COLUMNS],
    /// The target column.
    pub target: String,
}

/// A table whose columns are right and whose cells are not looked at yet.
#[derive(Clone, Debug)]
pub struct RawTable {
    /// The file.
    pub path: PathBuf,
    /// The file's text, for excerpts in errors.
    text: String,
    /// The rows.
    pub rows: Vec<RawRow>,
}

/// Reads a file as text; bytes that are no UTF-8 are an error.
pub fn read_text(path: &Path) -> Result<String, Error> {
    let bytes = fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    String::from_utf8(bytes).map_err(|error| Error::Csv {
        path: path.to_owned(),
        reason: format!("it is not UTF-8 text (byte {})", error.utf8_error().valid_up_to() + 1),
    })
}

/// Writes a file whole or not at all.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    file::write(path, bytes).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Writes a value as indented JSON with a line end.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Error> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::Write { path: path.to_owned(), source: error.into() })?;
    bytes.push(b'\n');
    write_bytes(path, &bytes)
}

impl RawTable {
    /// Reads the table at `path`: a header with all 17 columns in any order, further columns are ignored, line
    /// ends of either kind.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::parse(path, read_text(path)?)
    }

    /// Like [`RawTable::read`] for text that is at hand; `path` is for messages.
    pub fn parse(path: &Path, text: String) -> Result<Self, Error> {
        // One kind of line end only: the reader counts lines by it.
        let text = text.replace("\r\n", "\n");
        let csv_error = |error: csv::Error| Error::Csv { path: path.to_owned(), reason: error.to_string() };
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(
            // A byte order mark, as spreadsheets write it, is no part of the first column's name.
            text.strip_prefix('\u{feff}').unwrap_or(&text).as_bytes(),
        );
        let header = reader.headers().map_err(csv_error)?.clone();
        if header.is_empty() {
            return Err(Error::Empty { path: path.to_owned(), after_cleaning: false });
        }
        let find = |name: &str| -> Result<usize, Error> {
            let mut positions = header.iter().enumerate().filter(|(_, title)| *title == name);
            let Some((position, _)) = positions.next() else {
                return Err(Error::MissingColumn {
                    path: path.to_owned(),
                    column: name.to_owned(),
                    found: header.iter().map(str::to_owned).collect(),
                });
            };
            if positions.next().is_some() {
                return Err(Error::DuplicateColumn { path: path.to_owned(), column: name.to_owned() });
            }
            Ok(position)
        };
        let mut positions = [0; N_COLUMNS];
        for (position, column) in positions.iter_mut().zip(&COLUMNS) {
            *position = find(column.name)?;
        }
        let target = find(TARGET)?;

        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(csv_error)?;
            let cell = |position: usize| record.get(position).unwrap_or_default().to_owned();
            rows.push(RawRow {
                line: record.position().map_or(0, |place| place.line() as usize),
                cells: positions.map(cell),
                target: cell(target),
            });
        }
        if rows.is_empty() {
            return Err(Error::Empty { path: path.to_owned(), after_cleaning: false });
        }
        Ok(Self { path: path.to_owned(), text, rows })
    }

    /// The place of `value` in `row`, for an error.
    pub fn place(&self, row: &RawRow, value: &str) -> Box<Place> {
        let line = row.line.checked_sub(1).and_then(|n| self.text.lines().nth(n)).unwrap_or_default();
        let column = line.find(value).map_or(1, |byte| line[..byte].chars().count() + 1);
        Box::new(Place::at(&self.path, &self.text, row.line, column, value.chars().count()))
    }

    /// The value of the describing column at `position` in `row`. Ranges are not looked at.
    pub fn cell(&self, row: &RawRow, position: usize) -> Result<Cell, Error> {
        let (column, text) = (&COLUMNS[position], row.cells[position].as_str());
        if is_missing(text) {
            return Ok(Cell::Missing);
        }
        match column.kind {
            Kind::Number { .. } => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Cell::Number(number)),
                _ => Err(Error::NotANumber {
                    place: self.place(row, text),
                    column: column.name,
                    value: text.to_owned(),
                }),
            },
            Kind::Choice(words) => match schema::position(words, text) {
                Some(word) => Ok(Cell::Choice(word)),
                None => Err(self.unknown(row, column.name, text, words)),
            },
        }
    }

    /// The class of `row`, if it has one.
    pub fn class(&self, row: &RawRow) -> Result<Option<usize>, Error> {
        if is_missing(&row.target) {
            return Ok(None);
        }
        match schema::position(&CLASSES, &row.target) {
            Some(class) => Ok(Some(class)),
            None => Err(self.unknown(row, TARGET, &row.target, &CLASSES)),
        }
    }

    fn unknown(
        &self,
        row: &RawRow,
        column: &'static str,
        value: &str,
        known: &'static [&'static str],
    ) -> Error {
        Error::UnknownCategory { place: self.place(row, value), column, value: value.to_owned(), known }
    }
}

/// Whether a cell says that nothing was noted.
fn is_missing(text: &str) -> bool {
    matches!(text, "" | "?" | "NA" | "N/A" | "NaN" | "nan" | "null")
}

/// Reads a table that `prepare` or `features` wrote: every row has a class and every cell is right.
pub fn read_people(path: &Path) -> Result<Vec<Person>, Error> {
    let table = RawTable::read(path)?;
    let mut people = Vec::with_capacity(table.rows.len());
    for row in &table.rows {
        let mut cells = [Cell::Missing; N_COLUMNS];
        for (position, cell) in cells.iter_mut().enumerate() {
            *cell = table.cell(row, position)?;
        }
        let Some(class) = table.class(row)? else {
            return Err(Error::MissingClass { place: table.place(row, "") });
        };
        people.push(Person { cells, class });
    }
    Ok(people)
}

/// A table of people as CSV: the columns in their order, the target last, line ends `\n`.
pub fn people_to_csv<'p>(people: impl IntoIterator<Item = &'p Person>) -> String {
    let mut text = header();
    for person in people {
        for (cell, column) in person.cells.iter().zip(&COLUMNS) {
            text.push_str(&cell_text(*cell, column.categories()));
            text.push(',');
        }
        text.push_str(CLASSES[person.class]);
        text.push('\n');
    }
    text
}

/// How many people each class has.
pub fn class_counts(people: &[Person]) -> [usize; CLASSES.len()] {
    let mut counts = [0; CLASSES.len()];
    people.iter().for_each(|person| counts[person.class] += 1);
    counts
}

/// The header line, with its line end.
pub fn header() -> String {
    let mut names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
    names.push(TARGET);
    names.join(",") + "\n"
}

/// A value as it stands in a file.
pub fn cell_text(cell: Cell, words: &[&str]) -> String {
    match cell {
        Cell::Missing => String::new(),
        Cell::Number(number) => number.to_string(),
        Cell::Choice(word) => words.get(word).copied().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str =
        "Female,21,1.62,64,yes,no,2,3,Sometimes,no,2,no,0,1,no,Public_Transportation,Normal_Weight";

    fn parse(text: &str) -> Result<Vec<Person>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("people.csv");
        fs::write(&path, text).unwrap();
        read_people(&path)
    }

    #[test]
    fn a_table_is_written_as_it_was_read() {
        let text = header() + ROW + "\n";
        let people = parse(&text).unwrap();
        assert_eq!(people[0].cells[1], Cell::Number(21.0));
        assert_eq!(people[0].class, 1);
        assert_eq!(people_to_csv(&people), text);
    }

    #[test]
    fn line_ends_blanks_marks_and_column_order_do_not_matter() {
        let spread = ROW.replace(',', " , ");
        let crlf = format!("\u{feff}{}\r\n{spread}\r\n", header().trim_end());
        let turned: Vec<_> = [header().trim_end().to_owned(), ROW.to_owned()]
            .map(|line| line.split(',').rev().collect::<Vec<_>>().join(","))
            .to_vec();
        let plain = parse(&(header() + ROW)).unwrap();
        assert_eq!(parse(&crlf).unwrap(), plain);
        assert_eq!(parse(&turned.join("\n")).unwrap(), plain);
    }

    #[test]
    fn faults_are_named_with_their_place() {
        let head = header();
        let cases = [
            (String::new(), "people.csv has no rows"),
            (head.clone(), "people.csv has no rows"),
            (head.replace("Height", "Size") + ROW, "has no column `Height`"),
            (head.replace("Height", "Age") + ROW, "has the column `Age` twice"),
            (head.clone() + &ROW.replace("1.62", "tall"), "`tall` in column `Height` is not a number"),
            (head.clone() + &ROW.replace("1.62", "inf"), "`inf` in column `Height` is not a number"),
            (
                head.clone() + &ROW.replace("Public_Transportation", "Tram"),
                "`Tram` is not a value of column `MTRANS`",
            ),
            (
                head.clone() + &ROW.replace("Normal_Weight", "Fine"),
                "`Fine` is not a value of column `NObeyesdad`",
            ),
            (head.clone() + &ROW.replace("Normal_Weight", ""), "the row has no `NObeyesdad`"),
            (head.clone() + "Female,21\n", "is not a CSV table"),
        ];
        for (text, message) in cases {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(message), "{error} should say {message}");
        }
    }

    #[test]
    fn the_place_marks_the_cell() {
        use matraz_base::Explain;
        let error = parse(&(header() + ROW + "\n" + &ROW.replace("1.62", "tall"))).unwrap_err();
        let place = error.place().unwrap();
        assert_eq!((place.line, place.column, place.width), (3, 11, 4));
        assert!(place.excerpt.as_deref().unwrap().starts_with("Female,21,tall"));
    }
}
