//! The MLflow model directory.
//!
//! Its bytes depend on the model and the example rows alone: MLflow's random model id and time of creation are
//! left out (MLflow reads such directories), so that an unchanged model is an unchanged output.
//!
//! The signature gives every raw column as a one-dimensional tensor. MLflow then feeds each column of a data
//! frame to onnxruntime as an array of the right type, whole numbers and pandas' text columns included; with
//! plain column types it would hand over pandas' own text arrays, which onnxruntime refuses.

use std::path::Path;

use matraz_serve::onnx::proto::ModelProto;
use prost::Message;
use serde_json::{Value, json};

use super::graph::{LABEL, PROBABILITIES};
use crate::error::Error;
use crate::schema::COLUMNS;
use crate::table::{Cell, Person, write_bytes};

/// The file with the graph.
pub const ONNX_FILE: &str = "model.onnx";

/// The Python that the files for its environment name.
const PYTHON: &str = "3.11";

/// What Python needs to load and run the model.
const REQUIREMENTS: [&str; 5] = ["mlflow>=3.0", "numpy", "onnx>=1.16", "onnxruntime>=1.18", "pandas>=2.0"];

/// How many rows the input example has at most.
const EXAMPLE_ROWS: usize = 2;

/// Writes the directory `folder`. The input example is made of the first complete ones of `people`.
pub fn write(folder: &Path, model: &ModelProto, people: &[Person]) -> Result<(), Error> {
    let onnx = model.encode_to_vec();
    let example = example(people);
    let text = |value: &Value| value.to_string() + "\n";
    let files: [(&str, Vec<u8>); 7] = [
        ("MLmodel", mlmodel(onnx.len()).into_bytes()),
        ("input_example.json", text(&example).into_bytes()),
        ("serving_input_example.json", text(&json!({"dataframe_split": example})).into_bytes()),
        ("requirements.txt", (REQUIREMENTS.join("\n") + "\n").into_bytes()),
        ("python_env.yaml", python_env().into_bytes()),
        ("conda.yaml", conda().into_bytes()),
        (ONNX_FILE, onnx),
    ];
    files.iter().try_for_each(|(name, bytes)| write_bytes(&folder.join(name), bytes))
}

/// A few raw rows as a data frame in MLflow's `split` form.
fn example(people: &[Person]) -> Value {
    let complete = people.iter().filter(|person| !person.cells.contains(&Cell::Missing));
    let data: Vec<Vec<Value>> = complete.take(EXAMPLE_ROWS).map(row).collect();
    let columns: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    json!({"columns": columns, "data": data})
}

fn row(person: &Person) -> Vec<Value> {
    let value = |(cell, column): (&Cell, &crate::schema::Column)| match cell {
        Cell::Missing => Value::Null,
        Cell::Number(number) => json!(number),
        Cell::Choice(word) => json!(column.categories().get(*word)),
    };
    person.cells.iter().zip(&COLUMNS).map(value).collect()
}

fn mlmodel(size: usize) -> String {
    let input = |column: &crate::schema::Column| {
        let dtype = if column.is_number() { "float32" } else { "str" };
        json!({"name": column.name, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1]}})
    };
    let inputs: Value = COLUMNS.iter().map(input).collect();
    let outputs = json!([
        {"type": "string", "name": LABEL, "required": true},
        {"type": "map", "values": {"type": "float"}, "name": PROBABILITIES, "required": true},
    ]);
    // In single quotes YAML takes JSON as it is; no name in it has a single quote.
    format!(
        "flavors:
  onnx:
    code: null
    data: {ONNX_FILE}
    onnx_session_options: null
    onnx_version: 1.16.0
    providers:
    - CPUExecutionProvider
  python_function:
    data: {ONNX_FILE}
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.onnx
    python_version: {PYTHON}.0
is_signature_from_type_hint: false
model_size_bytes: {size}
saved_input_example_info:
  artifact_path: input_example.json
  pandas_orient: split
  serving_input_path: serving_input_example.json
  type: dataframe
signature:
  inputs: '{inputs}'
  outputs: '{outputs}'
  params: null
type_hint_from_example: false
"
    )
}

fn python_env() -> String {
    format!(
        "python: '{PYTHON}'\nbuild_dependencies:\n- pip\n- setuptools\n- wheel\ndependencies:\n- -r requirements.txt\n"
    )
}

fn conda() -> String {
    let mut text = format!("channels:\n- conda-forge\ndependencies:\n- python={PYTHON}\n- pip\n- pip:\n");
    for requirement in REQUIREMENTS {
        text.push_str(&format!("  - {requirement}\n"));
    }
    text + "name: mlflow-env\n"
}
