//! Signature enforcement: the data of a request against what the model says it takes.

use matraz_base::Value;

use super::python::{class_of, repr_list, repr_text, to_text};
use super::request::{element_of_column, element_of_dtype};
use super::table::{Array, Cells, Frame, Names, Payload};
use crate::mlmodel::{ColumnSpec, ColumnType, ParamSpec, Schema, TensorSpec, show_shape};
use crate::onnx::{Data, Element};

/// Brings the data into the form of the signature: columns in its order and types, or its tensors. The error
/// says what does not fit.
pub(super) fn enforce(payload: Payload, schema: &Schema) -> Result<Payload, String> {
    match schema {
        Schema::Columns(columns) => enforce_columns(into_frame(payload)?, columns).map(Payload::Frame),
        Schema::Tensors(tensors) => match tensors.as_slice() {
            [only] if only.name.is_none() => enforce_unnamed(payload, only).map(Payload::Array),
            _ => enforce_named(payload, tensors).map(Payload::Arrays),
        },
    }
}

fn into_frame(payload: Payload) -> Result<Frame, String> {
    match payload {
        Payload::Frame(frame) => Ok(frame),
        Payload::Records(records) => Ok(Frame::from_records(records)),
        Payload::Array(Array { shape, cells }) => {
            let (rows, width) = match shape.as_slice() {
                [] => (1, 1),
                [rows] => (*rows, 1),
                [rows, width] => (*rows, *width),
                other => {
                    return Err(format!("Must pass 2-d input. shape={}", crate::onnx::show_shape(other)));
                }
            };
            // An empty list has no columns.
            let width = if shape == [0] { 0 } else { width };
            let columns = (0..width)
                .map(|column| {
                    let positions = (0..rows).map(|row| row * width + column);
                    match &cells {
                        Cells::Raw(values) => Cells::Raw(positions.map(|i| values[i].clone()).collect()),
                        Cells::Typed(data) => Cells::Typed(data.pick(positions)),
                    }
                })
                .collect();
            Ok(Frame { names: Names::Numbered(width), columns, rows })
        }
        Payload::Arrays(arrays) => {
            let failed = |reason: &str| {
                format!(
                    "This model contains a column-based signature, which suggests a DataFrame input. There was an \
                     error casting the input data to a DataFrame: {reason}"
                )
            };
            let mut rows = None;
            for (_, array) in &arrays {
                match array.shape.as_slice() {
                    [] => {}
                    [length] if *rows.get_or_insert(*length) == *length => {}
                    [_] => return Err(failed("All arrays must be of the same length")),
                    [length, ..] => {
                        rows.get_or_insert(*length);
                    }
                }
            }
            // A single value serves every row.
            let rows = rows.unwrap_or(1);
            let (names, columns) = arrays
                .into_iter()
                .map(|(name, array)| {
                    let cells = match array.cells {
                        cells if array.shape.len() == 1 => cells,
                        // No column can be made of it; what the signature says of the column decides.
                        _ if array.shape.len() > 1 => Cells::Raw(vec![Value::List(Vec::new()); rows]),
                        Cells::Raw(values) => Cells::Raw(vec![values[0].clone(); rows]),
                        Cells::Typed(data) => Cells::Typed(data.pick(std::iter::repeat_n(0, rows))),
                    };
                    (name, cells)
                })
                .unzip();
            Ok(Frame { names: Names::Given(names), columns, rows })
        }
    }
}

fn missing(required: &[&str], known: &[&str], given: &Names) -> Result<(), String> {
    let absent: Vec<&str> = required.iter().copied().filter(|name| given.position(name).is_none()).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let mut message = format!("Model is missing inputs {}.", repr_list(absent.into_iter()));
    let is_extra = |position: usize| !known.contains(&given.at(position).as_str());
    let extra = match given {
        Names::Given(_) => given.show(is_extra),
        Names::Numbered(_) => given.show(|_| true),
    };
    if let Some(extra) = extra {
        message.push_str(&format!(" Note that there were extra inputs: {extra}."));
    }
    Err(message)
}

fn enforce_columns(mut frame: Frame, columns: &[ColumnSpec]) -> Result<Frame, String> {
    let known: Vec<&str> = columns.iter().filter_map(|column| column.name.as_deref()).collect();
    let positions: Vec<usize> = if known.is_empty() {
        if frame.names.len() < columns.len() {
            return Err(format!(
                "Model inference is missing inputs. The model signature declares {} inputs  but the provided value \
                 only has {} inputs. Note: the inputs were not named in the signature so we can only verify their \
                 count.",
                columns.len(),
                frame.names.len()
            ));
        }
        (0..columns.len()).collect()
    } else {
        let required: Vec<&str> = columns
            .iter()
            .filter(|column| column.required)
            .filter_map(|column| column.name.as_deref())
            .collect();
        missing(&required, &known, &frame.names)?;
        known.iter().filter_map(|name| frame.names.position(name)).collect()
    };
    let mut names = Vec::with_capacity(positions.len());
    let mut kept = Vec::with_capacity(positions.len());
    for (order, position) in positions.into_iter().enumerate() {
        let name = frame.names.at(position);
        let spec = columns.iter().find(|column| column.name.as_deref() == Some(&name)).or(columns.get(order));
        if let Some(element) = spec.and_then(|spec| element_of_column(&spec.column_type)) {
            if let Cells::Typed(data) = &frame.columns[position]
                && data.element() != element
            {
                frame.columns[position] = Cells::Typed(widened(data, &name, element)?);
            }
            frame.cast(position, element).map_err(|fault| {
                format!(
                    "Incompatible input types for column {name}. Can not safely convert to {element}: {fault}"
                )
            })?;
        }
        kept.push(frame.columns[position].clone());
        names.push(name);
    }
    Ok(Frame { names: Names::Given(names), columns: kept, rows: frame.rows })
}

/// A column of another type, where every value of that type is one of the wanted type too.
fn widened(data: &Data, name: &str, to: Element) -> Result<Data, String> {
    let is_flag = |n: &i64| matches!(n, 0 | 1);
    let fits = match (data, to) {
        (Data::I32(_), Element::I64 | Element::F64) | (Data::F32(_), Element::F64) => true,
        (Data::I64(items), Element::F32 | Element::F64) => items.iter().all(is_flag),
        _ => false,
    };
    if !fits {
        let from = data.element();
        return Err(format!(
            "Incompatible input types for column {name}. Can not safely convert {from} to {to}."
        ));
    }
    data.cast(to)
}

fn enforce_named(payload: Payload, tensors: &[TensorSpec]) -> Result<Vec<(String, Array)>, String> {
    let names: Vec<&str> = tensors.iter().filter_map(|tensor| tensor.name.as_deref()).collect();
    let mut found: Vec<(String, Array)> = Vec::with_capacity(tensors.len());
    match payload {
        Payload::Array(array) if names.len() == 1 => {
            found.push((names[0].to_owned(), check_shape(array, &tensors[0])?));
        }
        Payload::Array(_) | Payload::Records(_) => missing(&names, &names, &Names::Given(Vec::new()))?,
        Payload::Frame(mut frame) => {
            missing(&names, &names, &frame.names)?;
            for (name, tensor) in names.iter().zip(tensors) {
                let Some(position) = frame.names.position(name) else { continue };
                let cells = std::mem::replace(&mut frame.columns[position], Cells::Raw(Vec::new()));
                found.push(((*name).to_owned(), column_as_tensor(cells, frame.rows, tensor)?));
            }
        }
        Payload::Arrays(mut arrays) => {
            let given = Names::Given(arrays.iter().map(|(name, _)| name.clone()).collect());
            missing(&names, &names, &given)?;
            for (name, tensor) in names.iter().zip(tensors) {
                let Some(position) = arrays.iter().position(|(given, _)| given == name) else { continue };
                let (name, array) = arrays.swap_remove(position);
                found.push((name, check_shape(array, tensor)?));
            }
        }
    }
    Ok(found)
}

fn enforce_unnamed(payload: Payload, tensor: &TensorSpec) -> Result<Array, String> {
    match payload {
        Payload::Array(array) => check_shape(array, tensor),
        Payload::Frame(frame) => match frame.columns.len() {
            0 => Err("Input DataFrame is empty.".into()),
            1 => {
                let rows = frame.rows;
                frame
                    .columns
                    .into_iter()
                    .next()
                    .ok_or_else(|| "Input DataFrame is empty.".to_owned())
                    .and_then(|cells| column_as_tensor(cells, rows, tensor))
            }
            width => {
                if tensor.shape != [-1, width as i64] {
                    return Err(format!(
                        "This model contains a model signature with an unnamed input. Since the input data is a \
                         pandas DataFrame containing multiple columns, the input shape must be of the structure \
                         (-1, number_of_dataframe_columns). Instead, the input DataFrame passed had {width} columns \
                         and an input shape of {} with all values within the DataFrame of scalar type. Please \
                         adjust the passed in DataFrame to match the expected structure",
                        show_shape(&tensor.shape)
                    ));
                }
                let element = element_of_dtype(&tensor.dtype).ok_or("its type is not supported")?;
                super::feed::matrix(&frame, element)
                    .map(|(shape, data)| Array { shape, cells: Cells::Typed(data) })
            }
        },
        Payload::Arrays(_) | Payload::Records(_) => {
            let kind = if matches!(payload, Payload::Arrays(_)) { "dict" } else { "list" };
            Err(format!(
                "This model contains a tensor-based model signature with no input names, which suggests a numpy \
                 array input or a pandas dataframe input with proper column values, but an input of type <class \
                 '{kind}'> was found."
            ))
        }
    }
}

fn check_shape(array: Array, tensor: &TensorSpec) -> Result<Array, String> {
    let fits = array.shape.len() == tensor.shape.len()
        && array
            .shape
            .iter()
            .zip(&tensor.shape)
            .all(|(found, wanted)| *wanted == -1 || *found as i64 == *wanted);
    if !fits {
        return Err(format!(
            "Shape of input {} does not match expected shape {}.",
            crate::onnx::show_shape(&array.shape),
            show_shape(&tensor.shape)
        ));
    }
    typed(array, tensor)
}

fn typed(array: Array, tensor: &TensorSpec) -> Result<Array, String> {
    let element = element_of_dtype(&tensor.dtype).ok_or("its type is not supported")?;
    if let Cells::Typed(data) = &array.cells
        && data.element() != element
    {
        return Ok(Array { cells: Cells::Typed(data.cast(element)?), shape: array.shape });
    }
    array
        .typed(element)
        .map_err(|fault| format!("dtype of input does not match expected dtype {}: {fault}", tensor.dtype))
}

/// A column of a table as a tensor: plain values, or a list of values in each row.
fn column_as_tensor(cells: Cells, rows: usize, tensor: &TensorSpec) -> Result<Array, String> {
    let shown = show_shape(&tensor.shape);
    let label = tensor.name.as_deref().unwrap_or("");
    let fixed: Option<Vec<usize>> = match tensor.shape.split_first() {
        Some((-1, rest)) => rest.iter().map(|n| usize::try_from(*n).ok()).collect(),
        _ => None,
    };
    let Some(fixed) = fixed else {
        return Err(format!(
            "For pandas dataframe input, the first dimension of shape must be a variable dimension and other \
             dimensions must be fixed, but in model signature the shape of {} is {shown}.",
            if label.is_empty() { "the unnamed input".into() } else { format!("input {label}") }
        ));
    };
    let mut shape = vec![rows];
    shape.extend(&fixed);
    let per_row = fixed.iter().try_fold(1usize, |product, n| product.checked_mul(*n));
    let per_row = per_row.ok_or("the shape is too large")?;
    let holds_lists = match &cells {
        Cells::Raw(values) => matches!(values.first(), Some(Value::List(_))),
        Cells::Typed(_) => false,
    };
    if !holds_lists {
        if !fixed.is_empty() && fixed != [1] && rows > 0 {
            return Err(format!(
                "The input pandas dataframe column '{label}' contains scalar values, which requires the shape to be \
                 (-1,) or (-1, 1), but got tensor spec shape of {shown}."
            ));
        }
        return typed(Array { shape, cells }, tensor);
    }
    let uneven = || {
        format!(
            "The value in the Input DataFrame column '{label}' could not be converted to the expected shape of: \
             '{shown}'. Ensure that each of the input list elements are of uniform length and that the data can be \
             coerced to the tensor type '{}'",
            tensor.dtype
        )
    };
    let Cells::Raw(values) = cells else { return Err(uneven()) };
    let mut flat = Vec::with_capacity(rows.saturating_mul(per_row).min(1 << 24));
    for value in values {
        let row = Array::from_json(value).map_err(|_| uneven())?;
        let Cells::Raw(cells) = row.cells else { return Err(uneven()) };
        if cells.len() != per_row {
            return Err(uneven());
        }
        flat.extend(cells);
    }
    typed(Array { shape, cells: Cells::Raw(flat) }, tensor).map_err(|_| uneven())
}

/// Checks the parameters of a request. A graph does not use them, but what MLflow refuses is refused.
pub(super) fn check_params(given: &Value, specs: &[ParamSpec]) -> Result<(), String> {
    let given = match given {
        Value::Null => return Ok(()),
        _ if specs.is_empty() => return Ok(()),
        Value::Map(map) => map,
        other => return Err(format!("Parameters must be a dictionary. Got type '{}'.", class_of(other))),
    };
    let mut faults = Vec::new();
    for spec in specs {
        let Some(value) = given.get(&spec.name) else { continue };
        if let Err(reason) = check_param(value, spec) {
            faults.push(format!("({}, {})", repr_text(&spec.name), repr_text(&reason)));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(format!("Invalid parameters found: {{{}}}", faults.join(", ")))
}

fn check_param(value: &Value, spec: &ParamSpec) -> Result<(), String> {
    let shown = format!(
        "{}: {} (default: {}){}",
        repr_text(&spec.name),
        spec.param_type,
        to_text(&spec.default),
        if spec.is_list { " (shape: (-1,))" } else { "" }
    );
    let failed = |reason: String| format!("Failed to validate type and shape for {shown}, error: {reason}");
    if !spec.is_list {
        return check_scalar(value, &spec.param_type).map_err(failed);
    }
    match value {
        Value::Null => Ok(()),
        Value::List(items) => {
            items.iter().try_for_each(|item| check_scalar(item, &spec.param_type)).map_err(failed)
        }
        other => Err(format!(
            "Value must be a 1D array with shape (-1,) for param {shown}, received {} with ndim 0",
            class_of(other)
        )),
    }
}

fn check_scalar(value: &Value, kind: &ColumnType) -> Result<(), String> {
    let fits = match (value, kind) {
        (Value::Null, _) => true,
        (Value::List(_) | Value::Map(_), _) => {
            return Err(format!(
                "Value must be a scalar for type `DataType.{kind}`, got `{}`",
                to_text(value)
            ));
        }
        (Value::Bool(_), ColumnType::Boolean) => true,
        (Value::Int(n), ColumnType::Integer) => i32::try_from(*n).is_ok(),
        (Value::Int(_), ColumnType::Long | ColumnType::Float | ColumnType::Double) => true,
        (Value::Float(_), ColumnType::Float | ColumnType::Double) => true,
        (Value::Str(_), ColumnType::String | ColumnType::Datetime) => true,
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(format!(
        "Can not safely convert `<class '{}'>` to `DataType.{kind}` for value `{}`",
        class_of(value),
        to_text(value)
    ))
}
