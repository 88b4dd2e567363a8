//! Runs exported models and compares with the outputs that onnxruntime gave for them.
//!
//! The cases come from `export_onnx_fixtures.py`: a few are kept beside this file; all of them are run when
//! MATRAZ_ONNX_FIXTURES names a folder that the script filled.

#![allow(clippy::unwrap_used, reason = "a broken fixture must end the test")]

use std::fs;
use std::path::{Path, PathBuf};

use matraz_serve::onnx::{Data, Labels, Tensor, Value, load};
use serde_json::Value as Json;

fn numbers(json: &Json) -> Vec<f64> {
    json.as_array()
        .unwrap()
        .iter()
        .map(|item| match item {
            Json::String(word) => word.parse().unwrap(),
            other => other.as_f64().unwrap(),
        })
        .collect()
}

fn integers(json: &Json) -> Vec<i64> {
    json.as_array().unwrap().iter().map(|item| item.as_i64().unwrap()).collect()
}

fn texts(json: &Json) -> Vec<String> {
    json.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn tensor(json: &Json) -> Tensor {
    let shape = integers(&json["shape"]).into_iter().map(|n| n as usize).collect();
    let items = &json["data"];
    let data = match json["type"].as_str().unwrap() {
        "float32" => Data::F32(numbers(items).into_iter().map(|x| x as f32).collect()),
        "float64" => Data::F64(numbers(items)),
        "int64" => Data::I64(integers(items)),
        "int32" => Data::I32(integers(items).into_iter().map(|n| n as i32).collect()),
        "bool" => Data::Bool(items.as_array().unwrap().iter().map(|item| item.as_bool().unwrap()).collect()),
        "str" => Data::Text(texts(items)),
        other => panic!("type {other}"),
    };
    Tensor::new(shape, data).unwrap()
}

fn near(found: f64, expected: f64, tolerance: f64) -> bool {
    found == expected
        || (found.is_nan() && expected.is_nan())
        || (found - expected).abs() <= tolerance * expected.abs().max(1.0)
}

fn all_near(found: &[f64], expected: &[f64], tolerance: f64) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!("{} numbers, expected {}", found.len(), expected.len()));
    }
    match (0..found.len()).find(|i| !near(found[*i], expected[*i], tolerance)) {
        Some(i) => Err(format!("number {i} is {}, expected {}", found[i], expected[i])),
        None => Ok(()),
    }
}

fn compare(found: &Value, expected: &Json, tolerance: f64) -> Result<(), String> {
    match found {
        Value::Maps { keys, values } => {
            if expected["type"] != "maps" {
                return Err(format!("maps, expected {}", expected["type"]));
            }
            let same_keys = match keys.as_ref() {
                Labels::Integers(labels) => *labels == integers(&expected["keys"]),
                Labels::Texts(labels) => *labels == texts(&expected["keys"]),
            };
            if !same_keys {
                return Err(format!("keys {keys:?}, expected {}", expected["keys"]));
            }
            let rows: Vec<f64> = expected["rows"].as_array().unwrap().iter().flat_map(numbers).collect();
            let values: Vec<f64> = values.iter().map(|x| f64::from(*x)).collect();
            all_near(&values, &rows, tolerance)
        }
        Value::Tensor(found) => {
            let shape: Vec<usize> = integers(&expected["shape"]).into_iter().map(|n| n as usize).collect();
            if found.shape() != shape {
                return Err(format!("shape {:?}, expected {shape:?}", found.shape()));
            }
            if expected["type"] != found.element().to_string() {
                return Err(format!("{}, expected {}", found.element(), expected["type"]));
            }
            let items = &expected["data"];
            match found.data() {
                Data::F32(values) => {
                    let values: Vec<f64> = values.iter().map(|x| f64::from(*x)).collect();
                    all_near(&values, &numbers(items), tolerance)
                }
                Data::F64(values) => all_near(values, &numbers(items), tolerance),
                other => {
                    let expected = tensor(expected);
                    if other == expected.data() {
                        Ok(())
                    } else {
                        Err(format!("{other:?}, expected {:?}", expected.data()))
                    }
                }
            }
        }
    }
}

fn run(model: &Path) -> Result<(), String> {
    let case: Json =
        serde_json::from_str(&fs::read_to_string(model.with_extension("json")).unwrap()).unwrap();
    let tolerance = case["tolerance"].as_f64().unwrap();
    let loaded = load(model).map_err(|error| error.to_string())?;
    let inputs = case["inputs"].as_array().unwrap();
    let feed = inputs.iter().map(|input| (input["name"].as_str().unwrap().to_owned(), tensor(input)));
    let found = loaded.run(feed.collect()).map_err(|error| error.to_string())?;
    let expected = case["outputs"].as_array().unwrap();
    assert_eq!(found.len(), expected.len(), "number of outputs");
    for ((name, found), expected) in found.iter().zip(expected) {
        assert_eq!(expected["name"], *name);
        compare(found, expected, tolerance).map_err(|reason| format!("output {name}: {reason}"))?;
    }
    Ok(())
}

fn check_folder(folder: &Path, at_least: usize) {
    let mut models: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "onnx"))
        .collect();
    models.sort();
    assert!(models.len() >= at_least, "only {} cases in {}", models.len(), folder.display());
    let failures: Vec<String> = models
        .iter()
        .filter_map(|model| {
            run(model).err().map(|reason| format!("{}: {reason}", model.file_stem().unwrap().display()))
        })
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} cases differ:\n{}",
        failures.len(),
        models.len(),
        failures.join("\n")
    );
}

#[test]
fn the_kept_models_give_the_outputs_of_onnxruntime() {
    check_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), 40);
}

#[test]
fn all_exported_models_give_the_outputs_of_onnxruntime() {
    match std::env::var_os("MATRAZ_ONNX_FIXTURES") {
        Some(folder) => check_folder(Path::new(&folder), 300),
        None => the_kept_models_give_the_outputs_of_onnxruntime(),
    }
}
