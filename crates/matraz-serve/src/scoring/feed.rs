//! From the data of a request to the inputs of a graph.

use matraz_base::Value;

use super::python::{convert, repr_list};
use super::table::{Array, Cells, Frame, Names, Payload};
use crate::onnx::{Data, Element, Model, Port, PortKind, Tensor};

/// What a graph is run on.
pub(super) struct Feed {
    /// Its inputs by name.
    pub inputs: Vec<(String, Tensor)>,
    /// The number of rows when the request was a table: then the answer is one too.
    pub rows: Option<usize>,
}

/// The inputs of the graph from the data of a request.
pub(super) fn feed(payload: Payload, graph: &Model) -> Result<Feed, String> {
    let ports = graph.inputs();
    match payload {
        Payload::Frame(frame) => {
            let rows = frame.rows;
            let inputs = match ports {
                [only] => vec![(only.name.clone(), whole_frame(&frame, only)?)],
                many => many
                    .iter()
                    .map(|port| {
                        let position = frame
                            .names
                            .position(&port.name)
                            .ok_or_else(|| format!("there is no column '{}'", port.name))?;
                        let data = fit(&frame.columns[position], element(port)?)?;
                        Ok((port.name.clone(), shaped(vec![rows], data, port)?))
                    })
                    .collect::<Result<Vec<_>, String>>()?,
            };
            Ok(Feed { inputs, rows: Some(rows) })
        }
        Payload::Array(array) => match ports {
            [only] => Ok(Feed { inputs: vec![(only.name.clone(), tensor(&array, only)?)], rows: None }),
            many => Err(format!(
                "Unable to map numpy array input to the expected model input. This model requires {} inputs: {}",
                many.len(),
                repr_list(many.iter().map(|port| port.name.as_str()))
            )),
        },
        Payload::Arrays(arrays) => {
            let inputs = arrays
                .iter()
                .map(|(name, array)| match ports.iter().find(|port| port.name == *name) {
                    Some(port) => Ok((name.clone(), tensor(array, port)?)),
                    None => Err(format!("Invalid input name: {name}")),
                })
                .collect::<Result<Vec<_>, String>>();
            let absent: Vec<&str> = ports
                .iter()
                .map(|port| port.name.as_str())
                .filter(|name| !arrays.iter().any(|(given, _)| given == name))
                .collect();
            if !absent.is_empty() {
                return Err(format!(
                    "Required inputs ({}) are missing from input feed ({}).",
                    repr_list(absent.into_iter()),
                    repr_list(arrays.iter().map(|(name, _)| name.as_str()))
                ));
            }
            Ok(Feed { inputs: inputs?, rows: None })
        }
        Payload::Records(_) => {
            Err("Input should be a dictionary or a numpy array or a pandas.DataFrame, got \
                                    '<class 'list'>'"
                .into())
        }
    }
}

fn element(port: &Port) -> Result<Element, String> {
    match &port.kind {
        PortKind::Tensor { element, .. } => Ok(*element),
        PortKind::Maps => Err(format!("the input '{}' is no tensor", port.name)),
    }
}

fn rank(port: &Port) -> Option<usize> {
    match &port.kind {
        PortKind::Tensor { shape, .. } => shape.as_ref().map(Vec::len),
        PortKind::Maps => None,
    }
}

fn tensor(array: &Array, port: &Port) -> Result<Tensor, String> {
    shaped(array.shape.clone(), fit(&array.cells, element(port)?)?, port)
}

/// A plain list serves an input of one column as well.
fn shaped(mut shape: Vec<usize>, data: Data, port: &Port) -> Result<Tensor, String> {
    if let PortKind::Tensor { shape: Some(wanted), .. } = &port.kind
        && let ([_], [_, Some(1)]) = (shape.as_slice(), wanted.as_slice())
    {
        shape.push(1);
    }
    Tensor::new(shape, data)
}

fn whole_frame(frame: &Frame, port: &Port) -> Result<Tensor, String> {
    let (shape, data) = matrix(frame, element(port)?)?;
    match (shape.as_slice(), rank(port)) {
        ([rows, 1], Some(1)) => Tensor::new(vec![*rows], data),
        _ => Tensor::new(shape, data),
    }
}

/// All columns of a table as one matrix.
pub(super) fn matrix(frame: &Frame, element: Element) -> Result<(Vec<usize>, Data), String> {
    let width = frame.columns.len();
    let columns = frame
        .columns
        .iter()
        .enumerate()
        .map(|(position, cells)| {
            fit(cells, element).map_err(|reason| match &frame.names {
                Names::Given(names) => format!("column '{}': {reason}", names[position]),
                Names::Numbered(_) => format!("column {position}: {reason}"),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    macro_rules! rows {
        ($variant:ident) => {{
            let mut out = Vec::with_capacity(frame.rows * width);
            for row in 0..frame.rows {
                for column in &columns {
                    if let Data::$variant(items) = column {
                        out.push(items[row].clone());
                    }
                }
            }
            Data::$variant(out)
        }};
    }
    let data = match element {
        Element::F32 => rows!(F32),
        Element::F64 => rows!(F64),
        Element::I64 => rows!(I64),
        Element::I32 => rows!(I32),
        Element::Bool => rows!(Bool),
        Element::Text => rows!(Text),
    };
    Ok((vec![frame.rows, width], data))
}

/// Cells as the element type of an input. Numbers are converted where nothing but precision is lost; texts and
/// numbers are never mixed up.
fn fit(cells: &Cells, to: Element) -> Result<Data, String> {
    let refuse =
        |found: &str| Err(format!("Unexpected input data type. Actual: ({found}), expected: ({to})"));
    match cells {
        Cells::Raw(values) => {
            for value in values {
                let fits = match (value, to) {
                    (Value::Str(_) | Value::Null, Element::Text) => true,
                    (Value::Bool(_), Element::Bool) => true,
                    (Value::Int(_), Element::I64 | Element::F32 | Element::F64) => true,
                    (Value::Int(n), Element::I32) => i32::try_from(*n).is_ok(),
                    (Value::Float(_) | Value::BigInt(_) | Value::Null, Element::F32 | Element::F64) => true,
                    _ => false,
                };
                if !fits {
                    return refuse(super::python::class_of(value));
                }
            }
            convert(values.iter(), to).map_err(|fault| fault.to_string())
        }
        Cells::Typed(data) if data.element() == to => Ok(data.clone()),
        Cells::Typed(data) => match (data, to) {
            (Data::F64(_) | Data::F32(_) | Data::I64(_) | Data::I32(_), Element::F32 | Element::F64)
            | (Data::I32(_), Element::I64) => data.cast(to),
            (Data::I64(items), Element::I32) if items.iter().all(|n| i32::try_from(*n).is_ok()) => {
                data.cast(to)
            }
            (Data::F64(items), Element::I64 | Element::I32)
                if items.iter().all(|x| x.fract() == 0.0 && x.abs() <= f64::from(i32::MAX)) =>
            {
                data.cast(to)
            }
            _ => refuse(&data.element().to_string()),
        },
    }
}
