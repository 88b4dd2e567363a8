//! Stage `evaluate`: asks the saved model about the test rows and judges its answers.
//!
//! The model is run as it will be served: the ONNX graph on the raw columns, not the forest in memory.

use std::path::Path;

use crate::error::Error;
use crate::metrics::Metrics;
use crate::model::{self, Answer};
use crate::schema::CLASSES;
use crate::table::{self, Person};

/// Where the stage writes.
#[derive(Clone, Copy, Debug)]
pub struct Outputs<'a> {
    /// `metrics.json`.
    pub metrics: &'a Path,
    /// The folder of `confusion.csv`.
    pub plots: &'a Path,
    /// The table of predictions.
    pub predictions: &'a Path,
}

/// Runs the stage on the model directory `model` and the rows of `test`.
pub fn run(model: &Path, test: &Path, outputs: &Outputs<'_>) -> Result<Metrics, Error> {
    let people = table::read_people(test)?;
    let answers = model::ask(model, &people)?;
    let pairs: Vec<(usize, usize)> =
        people.iter().zip(&answers).map(|(person, answer)| (person.class, answer.class)).collect();
    let metrics = Metrics::of(&pairs);
    table::write_json(outputs.metrics, &metrics)?;
    table::write_bytes(&outputs.plots.join("confusion.csv"), confusion(&pairs).as_bytes())?;
    table::write_bytes(outputs.predictions, predictions(&people, &answers).as_bytes())?;
    Ok(metrics)
}

/// One line for each test row: what it is and what the model says.
fn confusion(pairs: &[(usize, usize)]) -> String {
    let mut text = String::from("actual,predicted\n");
    for (actual, predicted) in pairs {
        text.push_str(&format!("{},{}\n", CLASSES[*actual], CLASSES[*predicted]));
    }
    text
}

/// One line for each test row with the probabilities of all classes.
fn predictions(people: &[Person], answers: &[Answer]) -> String {
    let mut text = format!("actual,predicted,{}\n", CLASSES.join(","));
    for (person, answer) in people.iter().zip(answers) {
        text.push_str(&format!("{},{}", CLASSES[person.class], CLASSES[answer.class]));
        for probability in &answer.probabilities {
            text.push_str(&format!(",{probability}"));
        }
        text.push('\n');
    }
    text
}
