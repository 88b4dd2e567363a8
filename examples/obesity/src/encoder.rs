//! From a person to numbers: missing values filled in, numbers scaled, words as one column each.
//!
//! All figures come from training rows. They are `f32`, and so is the arithmetic, in the very order in which
//! the ONNX graph does it: a forest trained on these numbers meets the same numbers when the model is served.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::schema::COLUMNS;
use crate::table::{Cell, Person, read_text};

/// The fitted encoder; `encoder.json` is its form on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// The number columns, in the order of the table.
    pub numbers: Vec<NumberColumn>,
    /// The choice columns, in the order of the table.
    pub choices: Vec<ChoiceColumn>,
}

/// How a number column is encoded: `(value - offset) * scale`, `median` in the place of a missing value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberColumn {
    /// Its name.
    pub column: String,
    /// The median of the training rows.
    pub median: f32,
    /// Their mean.
    pub offset: f32,
    /// One over their standard deviation; 1 for a constant column.
    pub scale: f32,
}

/// How a choice column is encoded: one column per category, 1 where it is the value; `mode` in the place of a
/// missing value; a word outside the categories gives zeros only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChoiceColumn {
    /// Its name.
    pub column: String,
    /// The most frequent category of the training rows, the first of equals.
    pub mode: String,
    /// The categories that occur in the training rows, in the order of the schema.
    pub categories: Vec<String>,
}

impl Encoder {
    /// Fits the encoder to training rows. A column without a single value counts as 0, or as its first category.
    pub fn fit(people: &[Person]) -> Self {
        let (mut numbers, mut choices) = (Vec::new(), Vec::new());
        for (position, column) in COLUMNS.iter().enumerate() {
            let cells = people.iter().map(|person| person.cells[position]);
            if column.is_number() {
                let values = cells.filter_map(|cell| match cell {
                    Cell::Number(number) => Some(number),
                    _ => None,
                });
                numbers.push(fit_number(column.name, values.collect()));
            } else {
                let words = cells.filter_map(|cell| match cell {
                    Cell::Choice(word) => Some(word),
                    _ => None,
                });
                choices.push(fit_choice(column.name, column.categories(), words));
            }
        }
        Self { numbers, choices }
    }

    /// Reads `encoder.json`.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = read_text(path)?;
        let wrong = |reason: String| Error::Encoder { path: path.to_owned(), reason };
        let encoder: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let found = encoder.numbers.iter().map(|number| number.column.as_str());
        let found: Vec<&str> =
            found.chain(encoder.choices.iter().map(|choice| choice.column.as_str())).collect();
        let expected: Vec<&str> = [true, false]
            .iter()
            .flat_map(|number| COLUMNS.iter().filter(|column| column.is_number() == *number))
            .map(|column| column.name)
            .collect();
        if found != expected {
            return Err(wrong("its columns are not those of the table".to_owned()));
        }
        if let Some(choice) = encoder.choices.iter().find(|choice| !choice.categories.contains(&choice.mode))
        {
            return Err(wrong(format!("the mode of `{}` is none of its categories", choice.column)));
        }
        Ok(encoder)
    }

    /// The encoded columns of a person: numbers first, then the categories of every choice column.
    pub fn encode(&self, person: &Person) -> Vec<f32> {
        let cells = || person.cells.iter().zip(&COLUMNS);
        let mut row = Vec::with_capacity(self.width());
        for (number, (cell, _)) in self.numbers.iter().zip(cells().filter(|(_, column)| column.is_number())) {
            let value = match cell {
                Cell::Number(value) => *value as f32,
                _ => number.median,
            };
            row.push((value - number.offset) * number.scale);
        }
        for (choice, (cell, column)) in
            self.choices.iter().zip(cells().filter(|(_, column)| !column.is_number()))
        {
            let word = match cell {
                Cell::Choice(word) => column.categories().get(*word).copied().unwrap_or_default(),
                _ => choice.mode.as_str(),
            };
            row.extend(choice.categories.iter().map(|category| f32::from(u8::from(category == word))));
        }
        row
    }

    /// How many columns [`Encoder::encode`] makes.
    pub fn width(&self) -> usize {
        self.numbers.len() + self.choices.iter().map(|choice| choice.categories.len()).sum::<usize>()
    }

    /// The column of the table that each encoded column comes from.
    pub fn sources(&self) -> Vec<&str> {
        let numbers = self.numbers.iter().map(|number| number.column.as_str());
        let choices =
            self.choices.iter().flat_map(|choice| choice.categories.iter().map(|_| choice.column.as_str()));
        numbers.chain(choices).collect()
    }
}

fn fit_number(column: &str, mut values: Vec<f64>) -> NumberColumn {
    values.sort_by(f64::total_cmp);
    let count = values.len();
    if count == 0 {
        return NumberColumn { column: column.to_owned(), median: 0.0, offset: 0.0, scale: 1.0 };
    }
    let median = (values[(count - 1) / 2] + values[count / 2]) / 2.0;
    let mean = values.iter().sum::<f64>() / count as f64;
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count as f64;
    let scale = if variance > 0.0 { 1.0 / variance.sqrt() } else { 1.0 };
    NumberColumn {
        column: column.to_owned(),
        median: median as f32,
        offset: mean as f32,
        scale: scale as f32,
    }
}

fn fit_choice(column: &str, words: &[&str], values: impl Iterator<Item = usize>) -> ChoiceColumn {
    let mut counts = vec![0usize; words.len()];
    values.for_each(|word| counts[word] += 1);
    let most = counts.iter().copied().max().unwrap_or(0);
    let mode = counts.iter().position(|count| *count == most).unwrap_or(0);
    let occurs = |word: &usize| counts[*word] > 0 || *word == mode;
    ChoiceColumn {
        column: column.to_owned(),
        mode: words[mode].to_owned(),
        categories: (0..words.len()).filter(occurs).map(|word| words[word].to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Kind, N_COLUMNS};
    use crate::table::write_json;

    fn person(numbers: f64, word: usize) -> Person {
        let mut cells = [Cell::Missing; N_COLUMNS];
        for (cell, column) in cells.iter_mut().zip(&COLUMNS) {
            *cell = match column.kind {
                Kind::Number { .. } => Cell::Number(numbers),
                Kind::Choice(_) => Cell::Choice(word),
            };
        }
        Person { cells, class: 0 }
    }

    #[test]
    fn numbers_are_centred_and_words_become_columns() {
        let people = [person(1.0, 0), person(2.0, 1), person(6.0, 1), person(3.0, 1)];
        let encoder = Encoder::fit(&people);
        assert_eq!(encoder.numbers[0].median, 2.5);
        assert_eq!(encoder.numbers[0].offset, 3.0);
        assert_eq!(encoder.choices[0].mode, "Male");
        // CAEC has four words, two of which occur.
        assert_eq!(encoder.choices[3].categories, ["no", "Sometimes"]);
        assert_eq!(encoder.width(), 8 + 8 * 2);
        assert_eq!(encoder.sources().len(), encoder.width());
        let column: f32 = people.iter().map(|person| encoder.encode(person)[0]).sum();
        assert!(column.abs() < 1e-6);
        assert_eq!(encoder.encode(&people[0])[8..10], [1.0, 0.0]);
    }

    #[test]
    fn missing_values_are_filled_and_unseen_words_give_zeros() {
        let encoder = Encoder::fit(&[person(1.0, 0), person(2.0, 1), person(6.0, 1)]);
        let mut odd = person(2.0, 1);
        let usual = encoder.encode(&odd);
        odd.cells = [Cell::Missing; N_COLUMNS];
        assert_eq!(encoder.encode(&odd), usual);
        odd.cells[8] = Cell::Choice(3);
        let row = encoder.encode(&odd);
        let first = encoder.sources().iter().position(|source| *source == "CAEC").unwrap();
        assert_eq!(row[first..first + 2], [0.0, 0.0]);
    }

    #[test]
    fn it_survives_its_file() {
        let encoder = Encoder::fit(&[person(1.1, 0), person(2.7, 1), person(6.3, 1)]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("encoder.json");
        write_json(&path, &encoder).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(Encoder::read(&path).unwrap(), encoder);
        for bad in ["{}", "[", &text.replace("Age", "age")] {
            std::fs::write(&path, bad).unwrap();
            assert!(Encoder::read(&path).unwrap_err().to_string().contains("is not an encoder"), "{bad}");
        }
    }
}
