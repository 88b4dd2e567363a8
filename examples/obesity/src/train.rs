//! Stage `train`: grows the forest and saves the model directory and the importance of the columns.

use std::path::Path;

use crate::encoder::Encoder;
use crate::error::Error;
use crate::forest::{Forest, Matrix, Settings};
use crate::model;
use crate::schema::CLASSES;
use crate::table::{self, Person};

/// A forest with the encoder that feeds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The encoder.
    pub encoder: Encoder,
    /// The forest.
    pub forest: Forest,
}

/// Encodes the rows and grows a forest on `threads` threads.
pub fn train(people: &[Person], encoder: Encoder, settings: &Settings, threads: usize) -> Trained {
    let rows: Vec<Vec<f32>> = people.iter().map(|person| encoder.encode(person)).collect();
    let classes: Vec<usize> = people.iter().map(|person| person.class).collect();
    let features = Matrix::from_rows(&rows);
    let forest = Forest::train(&features, &classes, CLASSES.len(), settings, threads);
    Trained { encoder, forest }
}

/// The importance of every column of the table (that of its categories added up), the greatest first.
pub fn importance(trained: &Trained) -> Vec<(String, f64)> {
    let mut sums: Vec<(String, f64)> = Vec::new();
    for (source, share) in trained.encoder.sources().into_iter().zip(&trained.forest.importance) {
        match sums.iter_mut().find(|(column, _)| column == source) {
            Some((_, sum)) => *sum += share,
            None => sums.push((source.to_owned(), *share)),
        }
    }
    sums.sort_by(|a, b| b.1.total_cmp(&a.1));
    sums
}

/// Runs the stage: reads `train.csv` and `encoder.json` from `features`, writes the model directory `model` and
/// `importance.csv` into `plots`.
pub fn run(
    features: &Path,
    model: &Path,
    plots: &Path,
    settings: &Settings,
    threads: usize,
) -> Result<Trained, Error> {
    let people = table::read_people(&features.join("train.csv"))?;
    let encoder = Encoder::read(&features.join("encoder.json"))?;
    let trained = train(&people, encoder, settings, threads);
    model::write(model, &model::onnx(&trained.encoder, &trained.forest), &people)?;
    let mut text = String::from("feature,importance\n");
    for (column, share) in importance(&trained) {
        text.push_str(&format!("{column},{share:.6}\n"));
    }
    table::write_bytes(&plots.join("importance.csv"), text.as_bytes())?;
    Ok(trained)
}
