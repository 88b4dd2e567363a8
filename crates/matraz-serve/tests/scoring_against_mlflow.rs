//! Sends requests to the scorer and compares with what MLflow's own server answered for the same directory.
//!
//! The answers come from `record_scoring.py`: some are kept beside this file; all of them are checked when
//! MATRAZ_SCORING_FIXTURES names a folder that the script filled. Answers must be equal to the byte up to the last
//! digits of floats; refusals must have the same status and error code, and the rule's words.

#![allow(clippy::unwrap_used, reason = "a broken fixture must end the test")]

use std::fs;
use std::path::Path;

use matraz_serve::Model;
use serde_json::Value as Json;

/// Splits an answer into what is between numbers and the numbers.
fn parts(text: &str) -> (String, Vec<f64>) {
    let mut frame = String::new();
    let mut numbers = Vec::new();
    let mut rest = text;
    let mut in_text = false;
    while let Some(c) = rest.chars().next() {
        if !in_text && (c == '-' || c.is_ascii_digit()) {
            let end = rest.find([',', ']', '}', ' ']).unwrap_or(rest.len());
            if let Ok(number) = rest[..end].parse() {
                frame.push(if rest[..end].contains(['.', 'e']) { '#' } else { '%' });
                numbers.push(number);
                rest = &rest[end..];
                continue;
            }
        }
        if c == '"' && !frame.ends_with('\\') {
            in_text = !in_text;
        }
        frame.push(c);
        rest = &rest[c.len_utf8()..];
    }
    (frame, numbers)
}

fn same_answer(found: &str, expected: &str) -> bool {
    let ((frame, numbers), (expected_frame, expected_numbers)) = (parts(found), parts(expected));
    frame == expected_frame
        && numbers
            .iter()
            .zip(&expected_numbers)
            .all(|(x, y)| x == y || (x - y).abs() <= 1e-6 * y.abs().max(1.0))
}

/// The words of a rule inside MLflow's message, which around them shows the data in pandas' way.
fn rule(message: &str) -> &str {
    let text = message.rsplit_once(". Error: ").map_or(message, |(_, rule)| rule);
    text.rsplit_once("\nError: ").map_or(text, |(_, rule)| rule)
}

fn check(model: &Model, case: &Json) -> Result<(), String> {
    let text = |key: &str| case[key].as_str().unwrap();
    let found = model.predict(text("body").as_bytes(), text("content_type"));
    let status = case["status"].as_u64().unwrap();
    let expected = text("answer");
    match found {
        Ok(answer) if status == 200 => {
            if same_answer(&answer, expected) {
                Ok(())
            } else {
                Err(format!("answered {answer}, expected {expected}"))
            }
        }
        // Where only pandas or onnxruntime stood in the way, an answer is welcome.
        _ if case["accident"] == true => Ok(()),
        Ok(answer) => Err(format!("answered {answer}, expected {status} {expected}")),
        Err(refusal) => {
            if u64::from(refusal.status) != status {
                return Err(format!("{} {}, expected {status} {expected}", refusal.status, refusal.body));
            }
            if status != 400 {
                return Ok(());
            }
            let found: Json = serde_json::from_str(&refusal.body).unwrap();
            let expected: Json = serde_json::from_str(expected).unwrap();
            for key in ["error_code", "error_class", "sqlstate"] {
                if found[key] != expected[key] {
                    return Err(format!("{key} {}, expected {expected}, body {}", found[key], refusal.body));
                }
            }
            let (found, expected) =
                (rule(found["message"].as_str().unwrap()), rule(expected["message"].as_str().unwrap()));
            let start = |text: &str| text.chars().take(24).collect::<String>();
            if start(found) == start(expected) {
                Ok(())
            } else {
                Err(format!("message {found:?}, expected {expected:?}"))
            }
        }
    }
}

fn check_folder(folder: &Path, at_least: usize) {
    let mut failures = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        let model = Model::load(&path).unwrap();
        let cases: Json =
            serde_json::from_str(&fs::read_to_string(path.join("answers.json")).unwrap()).unwrap();
        for case in cases.as_array().unwrap() {
            count += 1;
            if let Err(reason) = check(&model, case) {
                let name = path.file_name().unwrap().display();
                failures.push(format!("{name}: {} {}\n    {reason}", case["content_type"], case["body"]));
            }
        }
    }
    assert!(count >= at_least, "only {count} requests in {}", folder.display());
    assert!(failures.is_empty(), "{} of {count} answers differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_kept_requests_are_answered_as_by_mlflow() {
    check_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scoring"), 150);
}

#[test]
fn all_recorded_requests_are_answered_as_by_mlflow() {
    match std::env::var_os("MATRAZ_SCORING_FIXTURES") {
        Some(folder) => check_folder(Path::new(&folder), 300),
        None => the_kept_requests_are_answered_as_by_mlflow(),
    }
}
