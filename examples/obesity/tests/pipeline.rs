//! The four stages one after the other, called as a pipeline calls them.

#![allow(clippy::unwrap_used, reason = "a test ends when something is missing")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use matraz_base::{Explain, Kind};
use obesity::encoder::Encoder;
use obesity::forest::Forest;
use obesity::params::Params;
use obesity::schema::{CLASSES, N_COLUMNS};
use obesity::table::{self, Cell, Person};
use obesity::{Error, Template, model, train};

/// A project folder with the files of the example.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in obesity::template(Template::Rust) {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn set(&self, from: &str, to: &str) {
        let params = self.text("params.yaml");
        assert!(params.contains(from), "{from}");
        fs::write(self.path("params.yaml"), params.replace(from, to)).unwrap();
    }

    /// Runs a stage with all its paths below the folder.
    fn run(&self, stage: &str, more: &[&str]) -> Result<String, Error> {
        let paths: &[&str] = match stage {
            "prepare" => &["data/obesity.csv", "--out=data/clean.csv", "--report=data/quality.json"],
            "features" => &["data/clean.csv", "--out=features"],
            "train" => &["features", "--out=model", "--plots=plots"],
            _ => &[
                "model",
                "features/test.csv",
                "--metrics=metrics.json",
                "--plots=plots",
                "--predictions=predictions.csv",
            ],
        };
        let mut args = vec![stage.to_owned()];
        for path in paths {
            let root = self.folder.path().display();
            args.push(match path.split_once('=') {
                Some((option, path)) => format!("{option}={root}/{path}"),
                None => format!("{root}/{path}"),
            });
        }
        if stage != "evaluate" {
            args.push(format!("--params={}", self.path("params.yaml").display()));
        }
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        let mut out = Vec::new();
        obesity::run(&args, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn run_all(&self) {
        for stage in ["prepare", "features", "train", "evaluate"] {
            self.run(stage, &[]).unwrap_or_else(|error| panic!("{stage}: {error}"));
        }
    }

    fn metrics(&self) -> serde_json::Value {
        serde_json::from_str(&self.text("metrics.json")).unwrap()
    }

    fn model(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.path("model")).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
            .collect()
    }
}

#[test]
fn the_pipeline_learns_the_synthetic_table() {
    let project = Project::new();
    project.run_all();
    let metrics = project.metrics();
    let accuracy = metrics["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.85 && accuracy < 0.98, "{metrics}");
    assert!(metrics["f1_macro"].as_f64().unwrap() > 0.85);
    for class in CLASSES {
        assert!(metrics["precision"][class].as_f64().unwrap() > 0.6, "{class}");
        assert!(metrics["recall"][class].as_f64().unwrap() > 0.6, "{class}");
    }

    let test_rows = project.text("features/test.csv").lines().count() - 1;
    let confusion = project.text("plots/confusion.csv");
    assert!(confusion.starts_with("actual,predicted\n"));
    assert_eq!(confusion.lines().count() - 1, test_rows);
    let right = confusion.lines().skip(1).filter(|line| {
        let (actual, predicted) = line.split_once(',').unwrap();
        actual == predicted
    });
    assert!((right.count() as f64 / test_rows as f64 - accuracy).abs() < 1e-9);
    assert_eq!(project.text("predictions.csv").lines().count() - 1, test_rows);
    assert!(project.text("plots/importance.csv").starts_with("feature,importance\nWeight,"));

    let quality: serde_json::Value = serde_json::from_str(&project.text("data/quality.json")).unwrap();
    for reason in ["duplicate", "out_of_range"] {
        assert!(quality["dropped"][reason].as_u64().unwrap() > 0, "{reason}");
    }
}

#[test]
fn many_trees_do_better_than_few() {
    let project = Project::new();
    project.run_all();
    let many = project.metrics()["accuracy"].as_f64().unwrap();
    project.set("n_estimators: 300", "n_estimators: 10");
    project.run_all();
    assert!(project.metrics()["accuracy"].as_f64().unwrap() < many);
}

#[test]
fn the_model_directory_is_the_same_byte_for_byte() {
    let project = Project::new();
    project.set("n_estimators: 300", "n_estimators: 20");
    for stage in ["prepare", "features"] {
        project.run(stage, &[]).unwrap();
    }
    project.run("train", &["--threads=1"]).unwrap();
    let first = project.model();
    fs::remove_dir_all(project.path("model")).unwrap();
    project.run("train", &["--threads=5"]).unwrap();
    assert_eq!(project.model(), first);
    let names: Vec<&str> = first.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "MLmodel",
            "conda.yaml",
            "input_example.json",
            "model.onnx",
            "python_env.yaml",
            "requirements.txt",
            "serving_input_example.json"
        ]
    );
    project.set("seed: 42", "seed: 43");
    project.run("train", &[]).unwrap();
    assert_ne!(project.model()["model.onnx"], first["model.onnx"]);
}

/// The forest of a project, grown again.
fn forest(project: &Project) -> (Encoder, Forest) {
    let people = table::read_people(&project.path("features/train.csv")).unwrap();
    let encoder = Encoder::read(&project.path("features/encoder.json")).unwrap();
    let params = Params::read(&project.path("params.yaml")).unwrap();
    let trained = train::train(&people, encoder, &params.forest, 2);
    (trained.encoder, trained.forest)
}

#[test]
fn the_saved_model_answers_as_the_forest_does() {
    let project = Project::new();
    project.set("n_estimators: 300", "n_estimators: 60");
    project.run_all();
    let (encoder, forest) = forest(&project);
    let mut people = table::read_people(&project.path("features/test.csv")).unwrap();
    // Rows without anything, and with words that training has not seen.
    people.push(Person { cells: [Cell::Missing; N_COLUMNS], class: 0 });
    let mut odd = people[0].clone();
    odd.cells[14] = Cell::Choice(3);
    people.push(odd);

    let answers = model::ask(&project.path("model"), &people).unwrap();
    assert_eq!(answers.len(), people.len());
    for (person, answer) in people.iter().zip(&answers) {
        let row = encoder.encode(person);
        assert_eq!(answer.class, forest.predict(&row));
        assert_eq!(answer.probabilities, forest.probabilities(&row));
    }
}

#[test]
fn faults_end_in_errors_that_say_what_to_do() {
    let project = Project::new();
    let raw = project.text("data/obesity.csv");
    let no_stage_before = project.run("features", &[]).unwrap_err();
    assert_eq!(no_stage_before.kind(), Kind::Missing);
    assert!(no_stage_before.hint().unwrap().contains("run the stage"));

    let second_line = raw.lines().nth(1).unwrap();
    let broken = [
        (raw.replacen("Gender", "Sex", 1), Kind::Corrupt, "no column `Gender`"),
        (raw.replacen("Male", "Unknown", 1), Kind::Corrupt, "`Unknown` is not a value of column `Gender`"),
        (raw.replacen(second_line, &second_line.replacen('.', "x", 1), 1), Kind::Corrupt, "is not a number"),
        (String::new(), Kind::Corrupt, "has no rows"),
    ];
    for (text, kind, message) in broken {
        fs::write(project.path("data/obesity.csv"), text).unwrap();
        let error = project.run("prepare", &[]).unwrap_err();
        assert!(error.to_string().contains(message), "{error} should say {message}");
        assert_eq!(error.kind(), kind);
        assert!(!project.path("data/clean.csv").exists());
    }

    fs::write(project.path("data/obesity.csv"), raw).unwrap();
    project.set("max_dropped: 0.1", "max_dropped: 0.001");
    let strict = project.run("prepare", &[]).unwrap_err();
    assert!(strict.to_string().contains("max_dropped: 0.001"), "{strict}");
    project.set("max_dropped", "max_drooped");
    let misspelt = project.run("prepare", &[]).unwrap_err();
    assert_eq!(misspelt.kind(), Kind::Config);
    assert_eq!(misspelt.place().unwrap().line, 2);
}

#[test]
fn a_broken_model_is_named() {
    let project = Project::new();
    project.set("n_estimators: 300", "n_estimators: 5");
    project.run_all();
    let path = project.path("model/model.onnx");
    for bytes in [&b"not a model"[..], b""] {
        fs::write(&path, bytes).unwrap();
        let error = project.run("evaluate", &[]).unwrap_err();
        assert!(error.to_string().contains("model.onnx"), "{error}");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(project.run("evaluate", &[]).unwrap_err().kind(), Kind::Missing);
}

#[test]
fn windows_line_ends_give_the_same_model() {
    let project = Project::new();
    project.set("n_estimators: 300", "n_estimators: 5");
    let stages = ["prepare", "features", "train"];
    stages.iter().for_each(|stage| drop(project.run(stage, &[]).unwrap()));
    let first = project.model();
    rewrite(&project.path("data/obesity.csv"), |text| text.replace('\n', "\r\n"));
    stages.iter().for_each(|stage| drop(project.run(stage, &[]).unwrap()));
    assert_eq!(project.model(), first);
}

fn rewrite(path: &Path, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, change(text)).unwrap();
}
