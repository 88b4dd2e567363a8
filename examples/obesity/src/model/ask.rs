//! Asking the saved model: the ONNX graph on raw columns.

use std::path::Path;

use matraz_serve::onnx::{self, Data, Labels, Tensor, Value};

use super::{LABEL, ONNX_FILE, PROBABILITIES};
use crate::error::Error;
use crate::schema::{self, CLASSES, COLUMNS};
use crate::table::{self, Cell, Person};

/// What the model says about one person.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The position of the predicted class in [`CLASSES`].
    pub class: usize,
    /// The probability of every class, in the order of [`CLASSES`].
    pub probabilities: Vec<f32>,
}

/// The answers of the model directory `folder` for `people`, in their order.
pub fn ask(folder: &Path, people: &[Person]) -> Result<Vec<Answer>, Error> {
    let path = folder.join(ONNX_FILE);
    let bytes = std::fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let answers = onnx::parse(&bytes)
        .and_then(|model| model.run(columns(people)))
        .map_err(|error| error.to_string())
        .and_then(|outputs| answers(outputs, people.len()));
    answers.map_err(|reason| Error::Model { path, reason })
}

/// The raw columns as the model takes them: missing numbers are NaN, missing words are empty.
fn columns(people: &[Person]) -> Vec<(String, Tensor)> {
    let column = |(position, column): (usize, &schema::Column)| {
        let cells = people.iter().map(|person| person.cells[position]);
        let data = if column.is_number() {
            let number = |cell| match cell {
                Cell::Number(number) => number as f32,
                _ => f32::NAN,
            };
            Data::F32(cells.map(number).collect())
        } else {
            Data::Text(cells.map(|cell| table::cell_text(cell, column.categories())).collect())
        };
        (column.name.to_owned(), Tensor::vector(data))
    };
    COLUMNS.iter().enumerate().map(column).collect()
}

/// Where in a map with these keys, which are in an order of their own, each of [`CLASSES`] stands.
fn places(keys: &Labels) -> Option<[usize; CLASSES.len()]> {
    let Labels::Texts(keys) = keys else { return None };
    let mut places = [0; CLASSES.len()];
    for (place, class) in places.iter_mut().zip(CLASSES) {
        *place = keys.iter().position(|key| key == class)?;
    }
    (keys.len() == CLASSES.len()).then_some(places)
}

/// Reads the two outputs for `rows` rows.
fn answers(outputs: Vec<(String, Value)>, rows: usize) -> Result<Vec<Answer>, String> {
    let (mut labels, mut probabilities) = (None, None);
    for (name, value) in outputs {
        match (name.as_str(), value) {
            (LABEL, Value::Tensor(tensor)) => match tensor.into_parts() {
                (_, Data::Text(words)) => labels = Some(words),
                _ => return Err(format!("its output `{LABEL}` is not text")),
            },
            (PROBABILITIES, Value::Maps { keys, values }) => {
                let places = places(&keys).ok_or("its classes are not those of the table")?;
                let in_order = |row: &[f32]| places.map(|place| row[place]);
                probabilities =
                    Some(values.chunks_exact(CLASSES.len()).flat_map(in_order).collect::<Vec<_>>());
            }
            _ => {}
        }
    }
    let labels = labels.ok_or_else(|| format!("it has no output `{LABEL}`"))?;
    let probabilities = probabilities.ok_or_else(|| format!("it has no output `{PROBABILITIES}`"))?;
    if labels.len() != rows || probabilities.len() != rows * CLASSES.len() {
        return Err(format!("it gives {} answers for {rows} rows", labels.len()));
    }
    let answer = |(label, probabilities): (&String, &[f32])| match schema::position(&CLASSES, label) {
        Some(class) => Ok(Answer { class, probabilities: probabilities.to_vec() }),
        None => Err(format!("it answers `{label}`, which is no class of the table")),
    };
    labels.iter().zip(probabilities.chunks(CLASSES.len())).map(answer).collect()
}
