//! Writing an answer as MLflow's server does: records for a table, lists by output name otherwise.

use super::json::{write_float, write_text};
use crate::onnx::{Data, Labels, Tensor, Value};

/// The answer's text. `rows` is the number of rows when the request was a table.
pub(super) fn write(
    outputs: &[(String, Value)],
    rows: Option<usize>,
    wrapped: bool,
) -> Result<String, String> {
    let mut out = String::with_capacity(outputs.iter().map(|(_, value)| len(value)).sum::<usize>() * 24 + 64);
    if wrapped {
        out.push_str("{\"predictions\": ");
    }
    match rows {
        None => by_name(&mut out, outputs),
        Some(rows) => as_records(&mut out, outputs, rows)?,
    }
    if wrapped {
        out.push('}');
    }
    Ok(out)
}

/// The answer's text for predictions without a name: nested lists.
pub(super) fn write_list(predictions: &Tensor, wrapped: bool) -> String {
    let mut out = String::with_capacity(predictions.len() * 24 + 64);
    if wrapped {
        out.push_str("{\"predictions\": ");
    }
    nested(&mut out, predictions.shape(), predictions, 0);
    if wrapped {
        out.push('}');
    }
    out
}

/// How many items an output has when it is laid out flat.
fn len(value: &Value) -> usize {
    match value {
        Value::Tensor(tensor) => tensor.len(),
        Value::Maps { keys, values } => values.len() / keys.len().max(1),
    }
}

fn by_name(out: &mut String, outputs: &[(String, Value)]) {
    out.push('{');
    for (number, (name, value)) in outputs.iter().enumerate() {
        if number > 0 {
            out.push_str(", ");
        }
        write_text(out, name);
        out.push_str(": ");
        match value {
            Value::Tensor(tensor) => nested(out, tensor.shape(), tensor, 0),
            Value::Maps { keys, values } => {
                out.push('[');
                for (row, values) in values.chunks_exact(keys.len().max(1)).enumerate() {
                    if row > 0 {
                        out.push_str(", ");
                    }
                    map(out, keys, values);
                }
                out.push(']');
            }
        }
    }
    out.push('}');
}

/// One record for each row. Outputs of one value for each row are that value; if some have more, these are lists.
fn as_records(out: &mut String, outputs: &[(String, Value)], rows: usize) -> Result<(), String> {
    let flat = outputs.windows(2).all(|pair| len(&pair[0].1) == len(&pair[1].1));
    let count = if flat { outputs.first().map_or(0, |(_, value)| len(value)) } else { rows };
    if !flat {
        for (name, value) in outputs {
            let leading = match value {
                Value::Tensor(tensor) => tensor.shape().first().copied(),
                maps => Some(len(maps)),
            };
            if leading != Some(rows) {
                return Err(format!("the output '{name}' has not one entry for each of the {rows} rows"));
            }
        }
    }
    out.push('[');
    for row in 0..count {
        out.push_str(if row == 0 { "{" } else { ", {" });
        for (number, (name, value)) in outputs.iter().enumerate() {
            if number > 0 {
                out.push_str(", ");
            }
            write_text(out, name);
            out.push_str(": ");
            match value {
                Value::Tensor(tensor) if flat => item(out, tensor.data(), row),
                Value::Tensor(tensor) => {
                    let inner = tensor.shape().get(1..).unwrap_or_default();
                    let size: usize = inner.iter().product();
                    nested(out, inner, tensor, row * size);
                }
                Value::Maps { keys, values } => {
                    map(out, keys, &values[row * keys.len()..(row + 1) * keys.len()]);
                }
            }
        }
        out.push('}');
    }
    out.push(']');
    Ok(())
}

/// The elements of `tensor` from `start` on as nested lists of the given shape.
fn nested(out: &mut String, shape: &[usize], tensor: &Tensor, start: usize) {
    let Some((length, inner)) = shape.split_first() else {
        item(out, tensor.data(), start);
        return;
    };
    let size: usize = inner.iter().product();
    out.push('[');
    for position in 0..*length {
        if position > 0 {
            out.push_str(", ");
        }
        nested(out, inner, tensor, start + position * size);
    }
    out.push(']');
}

fn item(out: &mut String, data: &Data, position: usize) {
    match data {
        Data::F32(items) => write_float(out, f64::from(items[position])),
        Data::F64(items) => write_float(out, items[position]),
        Data::I64(items) => out.push_str(&items[position].to_string()),
        Data::I32(items) => out.push_str(&items[position].to_string()),
        Data::Bool(items) => out.push_str(if items[position] { "true" } else { "false" }),
        Data::Text(items) => write_text(out, &items[position]),
    }
}

fn map(out: &mut String, keys: &Labels, values: &[f32]) {
    out.push('{');
    for (number, value) in values.iter().enumerate() {
        if number > 0 {
            out.push_str(", ");
        }
        match keys {
            Labels::Integers(keys) => write_text(out, &keys[number].to_string()),
            Labels::Texts(keys) => write_text(out, &keys[number]),
        }
        out.push_str(": ");
        write_float(out, f64::from(*value));
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], data: Data) -> Value {
        Tensor::new(shape.to_vec(), data).unwrap().into()
    }

    #[test]
    fn lists_go_by_name() {
        let outputs = [
            ("label".to_owned(), tensor(&[2], Data::Text(vec!["a".into(), "é".into()]))),
            ("p".to_owned(), tensor(&[2, 2], Data::F32(vec![0.1, f32::NAN, 1.0, -2.5]))),
            ("none".to_owned(), tensor(&[2, 0], Data::I64(vec![]))),
        ];
        assert_eq!(
            write(&outputs, None, true).unwrap(),
            "{\"predictions\": {\"label\": [\"a\", \"\\u00e9\"], \"p\": [[0.10000000149011612, NaN], [1.0, -2.5]], \
             \"none\": [[], []]}}"
        );
    }

    #[test]
    fn records_hold_one_value_or_lists() {
        let column = ("y".to_owned(), tensor(&[2, 1], Data::I64(vec![1, 2])));
        assert_eq!(
            write(std::slice::from_ref(&column), Some(2), true).unwrap(),
            "{\"predictions\": [{\"y\": 1}, {\"y\": 2}]}"
        );
        let wide = ("p".to_owned(), tensor(&[2, 2], Data::Bool(vec![true, false, false, true])));
        assert_eq!(
            write(&[column.clone(), wide], Some(2), false).unwrap(),
            "[{\"y\": [1], \"p\": [true, false]}, {\"y\": [2], \"p\": [false, true]}]"
        );
        let odd = ("q".to_owned(), tensor(&[3], Data::I64(vec![1, 2, 3])));
        assert!(write(&[column, odd], Some(2), true).is_err());
    }
}
