//! Reading a request: its content type, its body, and the conversions that MLflow makes while reading.

use matraz_base::{Map, Value};

use super::python::{class_of, repr_list, repr_text, to_text};
use super::refusal::Refusal;
use super::table::{Array, Cells, Frame, Names, Payload};
use super::{csv, json, parquet};
use crate::mlmodel::{ColumnType, Schema, Signature};
use crate::onnx::Element;

const FORMATS: [&str; 4] = ["dataframe_split", "dataframe_records", "instances", "inputs"];

const ONE_FORMAT: &str = "The input must be a JSON dictionary with exactly one of the input fields \
                          {'dataframe_split', 'dataframe_records', 'instances', 'inputs'}";

/// A request that has been read.
pub(super) struct Request {
    pub payload: Payload,
    pub params: Value,
    /// Whether the answer is wrapped as `{"predictions": …}`; bodies for language models are answered bare.
    pub wrapped: bool,
}

/// Reads a request body by its content type.
pub(super) fn read(body: &[u8], content_type: &str, signature: &Signature) -> Result<Request, Refusal> {
    let mut parts = content_type.split(';').map(str::trim);
    let mime = parts.next().unwrap_or_default();
    let mut unknown = Vec::new();
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name {
            "charset" if !value.eq_ignore_ascii_case("utf-8") => {
                return Err(Refusal::content_type("The scoring server only supports UTF-8".into()));
            }
            "charset" => {}
            other => unknown.push(other),
        }
    }
    if !unknown.is_empty() {
        return Err(Refusal::content_type(format!(
            "Unrecognized content type parameters: {}.",
            unknown.join(", ")
        )));
    }
    let inputs = signature.inputs.as_ref();
    match mime {
        "application/json" => read_json(body, signature),
        "text/csv" => {
            let text = std::str::from_utf8(body).map_err(|error| {
                Refusal::invalid_input(format!(
                    "Ensure that input is a valid UTF-8 encoded string. Error: '{error}'"
                ))
            })?;
            let frame = csv::parse(text, |name, position| column_type(inputs, name, position)).map_err(|error| {
                Refusal::bad_request(format!(
                    "Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid CSV-formatted \
                     Pandas DataFrame produced using the `pandas.DataFrame.to_csv()` method. Error: '{error}'"
                ))
            })?;
            Ok(Request { payload: Payload::Frame(frame), params: Value::Null, wrapped: true })
        }
        "application/vnd.apache.parquet" => {
            let names = input_names(inputs);
            let is_wanted = |name: &str| names.is_empty() || names.contains(&name);
            let frame = parquet::parse(body, is_wanted).map_err(|error| {
                Refusal::bad_request(format!(
                    "Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid Parquet Pandas \
                     DataFrame produced using the `pandas.DataFrame.to_parquet()` method. Error: '{error}'"
                ))
            })?;
            Ok(Request { payload: Payload::Frame(frame), params: Value::Null, wrapped: true })
        }
        _ => Err(Refusal::content_type(format!(
            "This predictor only supports the following content types: Types: ['text/csv', 'application/json', \
             'application/vnd.apache.parquet']. Got '{content_type}'."
        ))),
    }
}

/// The element type of a column type, when a graph can take it.
pub(super) fn element_of_column(column: &ColumnType) -> Option<Element> {
    Some(match column {
        ColumnType::Boolean => Element::Bool,
        ColumnType::Integer => Element::I32,
        ColumnType::Long => Element::I64,
        ColumnType::Float => Element::F32,
        ColumnType::Double => Element::F64,
        ColumnType::String => Element::Text,
        ColumnType::Binary | ColumnType::Datetime | ColumnType::Other(_) => return None,
    })
}

/// The element type behind NumPy's name for it, when a graph can take it.
pub(super) fn element_of_dtype(dtype: &str) -> Option<Element> {
    Some(match dtype {
        "float32" => Element::F32,
        "float64" => Element::F64,
        "int64" => Element::I64,
        "int32" => Element::I32,
        "bool" => Element::Bool,
        "str" | "object" => Element::Text,
        text if text.starts_with("<U") || text.starts_with("StringDType") => Element::Text,
        _ => return None,
    })
}

/// The type that the signature demands of the input called `name`.
fn named_type(schema: Option<&Schema>, name: &str) -> Option<Element> {
    match schema? {
        Schema::Columns(columns) => columns
            .iter()
            .find(|column| column.name.as_deref() == Some(name))
            .and_then(|column| element_of_column(&column.column_type)),
        Schema::Tensors(tensors) => tensors
            .iter()
            .find(|tensor| tensor.name.as_deref() == Some(name))
            .and_then(|tensor| element_of_dtype(&tensor.dtype)),
    }
}

/// The type that the signature demands of a column of a table: by name, or by position when it has no names.
fn column_type(schema: Option<&Schema>, name: &str, position: usize) -> Option<Element> {
    match schema? {
        Schema::Columns(columns) if columns.iter().all(|column| column.name.is_none()) => {
            columns.get(position).and_then(|column| element_of_column(&column.column_type))
        }
        Schema::Tensors(tensors) => match tensors.as_slice() {
            [only] if only.name.is_none() => element_of_dtype(&only.dtype),
            _ => named_type(schema, name),
        },
        Schema::Columns(_) => named_type(schema, name),
    }
}

/// The type of the first input, for data without names.
fn first_type(schema: Option<&Schema>) -> Option<Element> {
    match schema? {
        Schema::Columns(columns) => columns.first().and_then(|column| element_of_column(&column.column_type)),
        Schema::Tensors(tensors) => tensors.first().and_then(|tensor| element_of_dtype(&tensor.dtype)),
    }
}

/// Names of the inputs; empty when they have none.
fn input_names(schema: Option<&Schema>) -> Vec<&str> {
    match schema {
        Some(Schema::Columns(columns)) => {
            columns.iter().filter_map(|column| column.name.as_deref()).collect()
        }
        Some(Schema::Tensors(tensors)) => {
            tensors.iter().filter_map(|tensor| tensor.name.as_deref()).collect()
        }
        None => Vec::new(),
    }
}

fn read_json(body: &[u8], signature: &Signature) -> Result<Request, Refusal> {
    let value = json::parse(body).map_err(|error| {
        Refusal::invalid_input(format!(
            "Ensure that input is a valid JSON formatted string. Error: 'JSONDecodeError({})'",
            repr_text(&error.to_string())
        ))
    })?;
    let mut body = match value {
        Value::Map(map) => map,
        Value::List(_) => return Err(Refusal::invalid_input(format!("{ONE_FORMAT}. Received a list."))),
        other => {
            return Err(Refusal::invalid_input(format!(
                "{ONE_FORMAT}. Received unexpected input type '<class '{}'>.",
                class_of(&other)
            )));
        }
    };
    let schema = signature.inputs.as_ref();
    if ["messages", "prompt", "input"].iter().any(|key| body.contains_key(*key)) {
        let is_param = |name: &String| signature.params.iter().any(|param| param.name == *name);
        let (params, data): (Map, Map) = body.into_iter().partition(|(name, _)| is_param(name));
        let payload = named_arrays(data, None)?;
        return Ok(Request { payload, params: Value::Map(params), wrapped: false });
    }
    let params = body.shift_remove("params").unwrap_or(Value::Null);
    let mut given: Vec<(String, Value)> =
        body.into_iter().filter(|(name, _)| FORMATS.contains(&name.as_str())).collect();
    let (Some((format, data)), true) = (given.pop(), given.is_empty()) else {
        return Err(Refusal::bad_request(format!(
            "{ONE_FORMAT}. Received dictionary with {} input fields.",
            if given.is_empty() { "none of the" } else { "several" }
        )));
    };
    let payload = match format.as_str() {
        "dataframe_split" => cast(split(data)?, schema)?,
        "dataframe_records" => cast(records(data)?, schema)?,
        "instances" => instances(data, schema)?,
        _ => inputs(data, schema)?,
    };
    Ok(Request { payload, params, wrapped: true })
}

fn split(data: Value) -> Result<Frame, Refusal> {
    let mut map = match data {
        Value::Map(map) => map,
        other => {
            return Err(Refusal::invalid_input(format!(
                "Dataframe split format must be a dictionary. Got {}.",
                if matches!(other, Value::List(_)) {
                    "list".into()
                } else {
                    format!("type {}", class_of(&other))
                }
            )));
        }
    };
    if !map.contains_key("data")
        || map.keys().any(|key| !["columns", "data", "index"].contains(&key.as_str()))
    {
        return Err(Refusal::invalid_input(format!(
            "Dataframe split format must have 'data' field and optionally 'columns' and 'index' fields. Got {}.'",
            repr_list(map.keys().map(String::as_str))
        )));
    }
    let invalid = |reason: String| {
        Refusal::invalid_input(format!(
            "Provided dataframe_split field is not a valid dataframe representation in 'split' format. Error: \
             '{reason}'"
        ))
    };
    let names = match map.shift_remove("columns") {
        None | Some(Value::Null) => None,
        Some(Value::List(names)) => Some(names.iter().map(to_text).collect::<Vec<_>>()),
        Some(other) => {
            return Err(invalid(format!(
                "Index(...) must be called with a collection of some kind, '{}' was passed",
                to_text(&other)
            )));
        }
    };
    let index = map.shift_remove("index").and_then(|index| index.as_list().map(<[Value]>::len));
    let mut frame = match map.shift_remove("data") {
        Some(Value::List(rows)) if rows.iter().any(|row| matches!(row, Value::Map(_))) => {
            records_of(rows).ok_or_else(|| invalid("the rows are of different kinds".into()))?
        }
        Some(Value::List(rows)) => Frame::from_rows(rows),
        Some(Value::Map(columns)) => columns_of(columns).map_err(invalid)?,
        _ => return Err(invalid("DataFrame constructor not properly called!".into())),
    };
    if let Some(names) = names {
        frame = match frame.names {
            Names::Numbered(0) => Frame {
                columns: names.iter().map(|_| Cells::Raw(Vec::new())).collect(),
                names: Names::Given(names),
                rows: 0,
            },
            Names::Numbered(width) if width != names.len() => {
                return Err(invalid(format!(
                    "{} columns passed, passed data had {width} columns",
                    names.len()
                )));
            }
            Names::Numbered(_) => Frame { names: Names::Given(names), ..frame },
            // Rows with keys of their own: the columns asked for, in that order.
            Names::Given(_) => {
                let rows = frame.rows;
                let columns = names.iter().map(|name| match frame.names.position(name) {
                    Some(position) => frame.columns[position].clone(),
                    None => Cells::Raw(vec![Value::Null; rows]),
                });
                Frame { columns: columns.collect(), names: Names::Given(names), rows }
            }
        };
    }
    match index {
        Some(count) if count != frame.rows => Err(invalid(format!(
            "Shape of passed values is ({}, {}), indices imply ({count}, {})",
            frame.rows,
            frame.columns.len(),
            frame.columns.len()
        ))),
        _ => Ok(frame),
    }
}

/// Rows that are all dictionaries.
fn records_of(rows: Vec<Value>) -> Option<Frame> {
    let maps = rows
        .into_iter()
        .map(|row| match row {
            Value::Map(map) => Some(map),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()?;
    Some(Frame::from_records(maps))
}

/// A dictionary of columns.
fn columns_of(columns: Map) -> Result<Frame, String> {
    let mut names = Vec::new();
    let mut cells = Vec::new();
    let mut rows = None;
    for (name, column) in columns {
        let Value::List(column) = column else {
            return Err("If using all scalar values, you must pass an index".into());
        };
        if *rows.get_or_insert(column.len()) != column.len() {
            return Err("All arrays must be of the same length".into());
        }
        names.push(name);
        cells.push(Cells::Raw(column));
    }
    Ok(Frame { names: Names::Given(names), columns: cells, rows: rows.unwrap_or(0) })
}

fn records(data: Value) -> Result<Frame, Refusal> {
    let rows = match data {
        Value::List(rows) => rows,
        other => {
            let kind = if matches!(other, Value::Map(_)) {
                "dictionary".into()
            } else {
                format!("type {}", class_of(&other))
            };
            return Err(Refusal::invalid_input(format!(
                "Dataframe records format must be a list of records. Got {kind}."
            )));
        }
    };
    if rows.is_empty() {
        return Ok(Frame::from_records(Vec::new()));
    }
    if !rows.iter().any(|row| matches!(row, Value::Map(_))) {
        return Ok(Frame::from_rows(rows));
    }
    let other = rows.iter().find(|row| !matches!(row, Value::Map(_))).map_or("dict", class_of);
    records_of(rows).ok_or_else(|| {
        Refusal::invalid_input(format!(
            "Provided dataframe_records field is not a valid dataframe representation in 'records' format. Error: \
             ''{other}' object is not iterable'"
        ))
    })
}

/// Converts the columns of a table to the types of the signature, as far as they are there.
fn cast(mut frame: Frame, schema: Option<&Schema>) -> Result<Payload, Refusal> {
    for position in 0..frame.columns.len() {
        let name = frame.names.at(position);
        let Some(element) = column_type(schema, &name, position) else { continue };
        let holds_lists = matches!(
            &frame.columns[position],
            Cells::Raw(values) if matches!(values.first(), Some(Value::List(_)))
        );
        if holds_lists && matches!(schema, Some(Schema::Tensors(_))) {
            continue;
        }
        frame.cast(position, element).map_err(|fault| {
            Refusal::invalid_input(format!(
                "Data is not compatible with model signature. Failed to convert column {name} to type '{element}'. \
                 Error: '{}'",
                fault.repr()
            ))
        })?;
    }
    Ok(Payload::Frame(frame))
}

fn array(data: Value, element: Option<Element>) -> Result<Array, Refusal> {
    Array::from_json(data)
        .and_then(|array| match element {
            Some(element) => array.typed(element),
            None => Ok(array),
        })
        .map_err(|fault| Refusal::invalid_input(fault.to_string()))
}

fn named_arrays(data: Map, schema: Option<&Schema>) -> Result<Payload, Refusal> {
    data.into_iter()
        .map(|(name, value)| {
            let element = named_type(schema, &name);
            array(value, element).map(|array| (name, array))
        })
        .collect::<Result<Vec<_>, _>>()
        .map(Payload::Arrays)
}

fn inputs(data: Value, schema: Option<&Schema>) -> Result<Payload, Refusal> {
    let names = input_names(schema);
    let is_unnamed = schema.is_some() && names.is_empty();
    if is_unnamed && matches!(data, Value::Map(_) | Value::Null) {
        return Err(Refusal::invalid_input(format!(
            "Failed to parse input data. This model contains an un-named  model signature which expects a single \
             n-dimensional array or a single value as input, however, an input of type <class '{}'> was found.",
            class_of(&data)
        )));
    }
    match data {
        Value::Map(map) => named_arrays(map, schema),
        // An empty list is a list of no records, unless one input has a name.
        Value::List(items)
            if items.iter().all(|item| matches!(item, Value::Map(_)))
                && !(items.is_empty() && names.len() == 1) =>
        {
            let records = items
                .into_iter()
                .filter_map(|item| match item {
                    Value::Map(map) => Some(map),
                    _ => None,
                })
                .collect::<Vec<_>>();
            // Values that do not fit are refused here already; the table converts them again.
            for (name, value) in records.iter().flatten() {
                if let Some(element) = named_type(schema, name) {
                    array(value.clone(), Some(element))?;
                }
            }
            Ok(Payload::Records(records))
        }
        Value::List(items) => match names.as_slice() {
            [only] if !items.iter().any(|item| matches!(item, Value::Map(_))) => {
                let element = named_type(schema, only);
                let array = array(Value::List(items), element)?;
                Ok(Payload::Arrays(vec![((*only).to_owned(), array)]))
            }
            _ => array(Value::List(items), first_type(schema)).map(Payload::Array),
        },
        scalar => {
            let shown = to_text(&scalar);
            array(scalar, first_type(schema)).map(Payload::Array).map_err(|_| {
                Refusal::invalid_input(format!(
                    "Failed to convert data `{shown}` to the type defined in the model signature."
                ))
            })
        }
    }
}

/// `instances`: one item for each row. Items with keys become columns.
fn instances(data: Value, schema: Option<&Schema>) -> Result<Payload, Refusal> {
    let items = match data {
        Value::List(items) if matches!(items.first(), Some(Value::Map(_))) => items,
        other => return inputs(other, schema),
    };
    let mut columns: indexmap::IndexMap<String, Vec<Value>> = indexmap::IndexMap::new();
    for item in items {
        let Value::Map(map) = item else {
            return Err(Refusal::invalid_input(format!(
                "Ensure that the input is a valid JSON-formatted string.\nError: an instance is of type '{}' and \
                 the first one has keys",
                class_of(&item)
            )));
        };
        for (name, value) in map {
            columns.entry(name).or_default().push(value);
        }
    }
    let required: Vec<&str> = match schema {
        Some(Schema::Columns(specs)) => {
            specs.iter().filter(|spec| spec.required).filter_map(|spec| spec.name.as_deref()).collect()
        }
        other => input_names(other),
    };
    let mut length = None;
    for (name, values) in &columns {
        let counts = required.is_empty() || required.contains(&name.as_str());
        if counts && *length.get_or_insert(values.len()) != values.len() {
            return Err(Refusal::invalid_input(
                "The length of values for each input/column name are not the same",
            ));
        }
    }
    named_arrays(columns.into_iter().map(|(name, values)| (name, Value::List(values))).collect(), schema)
}
