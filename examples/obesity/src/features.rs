//! Stage `features`: the clean table is split, and the encoder is fitted to the training rows alone.

use std::path::Path;

use crate::encoder::Encoder;
use crate::error::Error;
use crate::random::Random;
use crate::schema::CLASSES;
use crate::table::{self, Person};

/// Training and test rows, both in the order of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Rows to learn from.
    pub train: Vec<Person>,
    /// Rows to judge by.
    pub test: Vec<Person>,
}

/// Splits people so that every class keeps its share in both parts. `test_size` is the share of the test rows.
/// `path` is for messages.
pub fn split(people: &[Person], test_size: f64, seed: u64, path: &Path) -> Result<Split, Error> {
    let counts = table::class_counts(people);
    for (class, rows) in CLASSES.iter().zip(counts) {
        if rows == 1 {
            return Err(Error::ClassTooSmall { path: path.to_owned(), class, rows });
        }
    }
    let mut is_test = vec![false; people.len()];
    for (class, tested) in test_counts(&counts, test_size).into_iter().enumerate() {
        let mut rows: Vec<usize> = (0..people.len()).filter(|row| people[*row].class == class).collect();
        // A class has its own randomness, so that one class's rows do not decide how another is split.
        Random::for_part(seed, class as u64).shuffle(&mut rows);
        rows.iter().take(tested).for_each(|row| is_test[*row] = true);
    }
    let part = |tested: bool| {
        people
            .iter()
            .zip(&is_test)
            .filter(|(_, is)| **is == tested)
            .map(|(person, _)| person.clone())
            .collect()
    };
    Ok(Split { train: part(false), test: part(true) })
}

/// How many rows of each class are tested: its share, rounded so that the sum is right, and at least one row
/// on either side.
fn test_counts(counts: &[usize], test_size: f64) -> Vec<usize> {
    let exact: Vec<f64> = counts.iter().map(|count| *count as f64 * test_size).collect();
    let mut tested: Vec<usize> = exact.iter().map(|share| share.floor() as usize).collect();
    let wanted = (counts.iter().sum::<usize>() as f64 * test_size).ceil() as usize;
    let mut by_remainder: Vec<usize> = (0..counts.len()).collect();
    let remainder = |class: usize| exact[class] - exact[class].floor();
    by_remainder.sort_by(|a, b| remainder(*b).total_cmp(&remainder(*a)).then(a.cmp(b)));
    for class in by_remainder {
        if tested.iter().sum::<usize>() < wanted && tested[class] < counts[class] {
            tested[class] += 1;
        }
    }
    for (tested, count) in tested.iter_mut().zip(counts) {
        if *count >= 2 {
            *tested = (*tested).clamp(1, count - 1);
        }
    }
    tested
}

/// Runs the stage: reads the clean table and writes `train.csv`, `test.csv` and `encoder.json` into `folder`.
pub fn run(clean_table: &Path, folder: &Path, test_size: f64, seed: u64) -> Result<Split, Error> {
    let split = split(&table::read_people(clean_table)?, test_size, seed, clean_table)?;
    let encoder = Encoder::fit(&split.train);
    table::write_bytes(&folder.join("train.csv"), table::people_to_csv(&split.train).as_bytes())?;
    table::write_bytes(&folder.join("test.csv"), table::people_to_csv(&split.test).as_bytes())?;
    table::write_json(&folder.join("encoder.json"), &encoder)?;
    Ok(split)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::N_COLUMNS;
    use crate::table::Cell;

    fn people(counts: &[usize]) -> Vec<Person> {
        let classes = counts.iter().enumerate().flat_map(|(class, count)| vec![class; *count]);
        classes
            .enumerate()
            .map(|(number, class)| Person { cells: [Cell::Number(number as f64); N_COLUMNS], class })
            .collect()
    }

    #[test]
    fn every_class_keeps_its_share() {
        let everyone = people(&[100, 50, 20, 10, 33, 7, 2]);
        let parts = split(&everyone, 0.3, 42, Path::new("clean.csv")).unwrap();
        assert_eq!(table::class_counts(&parts.test), [30, 15, 6, 3, 10, 2, 1]);
        assert_eq!(parts.train.len() + parts.test.len(), everyone.len());
        assert_eq!(split(&everyone, 0.3, 42, Path::new("clean.csv")).unwrap(), parts);
        assert_ne!(split(&everyone, 0.3, 43, Path::new("clean.csv")).unwrap(), parts);
        let mut together = [parts.train, parts.test].concat();
        let number = |person: &Person| match person.cells[0] {
            Cell::Number(number) => number as usize,
            _ => 0,
        };
        together.sort_by_key(number);
        assert_eq!(together, everyone);
    }

    #[test]
    fn the_number_of_test_rows_is_rounded_up_as_a_whole() {
        assert_eq!(test_counts(&[265, 281, 276, 290, 351, 297, 324], 0.3).iter().sum::<usize>(), 626);
        assert_eq!(test_counts(&[2, 2], 0.01), [1, 1]);
        assert_eq!(test_counts(&[2, 2], 0.99), [1, 1]);
        assert_eq!(test_counts(&[0, 4], 0.5), [0, 2]);
    }

    #[test]
    fn a_class_of_one_row_cannot_be_split() {
        let error = split(&people(&[5, 1]), 0.3, 1, Path::new("clean.csv")).unwrap_err().to_string();
        assert_eq!(
            error,
            "class `Normal_Weight` has 1 row(s), too few to be split into training and test rows"
        );
    }
}
