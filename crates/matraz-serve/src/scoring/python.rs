//! Conversions of single values as Python, NumPy and pandas do them, with their words when they fail.

use std::fmt;

use matraz_base::Value;
use matraz_base::value::python_float;

use crate::onnx::{Data, Element};

/// A conversion that Python would refuse: the class of its error and the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    class: &'static str,
    message: String,
}

impl Fault {
    pub(super) fn value(message: impl Into<String>) -> Self {
        Self { class: "ValueError", message: message.into() }
    }

    fn kind(message: impl Into<String>) -> Self {
        Self { class: "TypeError", message: message.into() }
    }

    /// As `repr` shows it: `ValueError("could not convert string to float: 'x'")`.
    pub(super) fn repr(&self) -> String {
        format!("{}({})", self.class, repr_text(&self.message))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// `repr` of a text: in single quotes unless it has some and no double ones.
pub(super) fn repr_text(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// `repr` of a list of texts.
pub(super) fn repr_list<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    format!("[{}]", texts.map(repr_text).collect::<Vec<_>>().join(", "))
}

/// The name of a value's class.
pub(super) fn class_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::BigInt(_) => "int",
        Value::Float(_) => "float",
        Value::Str(_) | Value::Date(_) => "str",
        Value::List(_) => "list",
        Value::Map(_) => "dict",
    }
}

/// The underscores that Python allows between digits.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let fine = bytes.iter().enumerate().all(|(i, byte)| {
        *byte != b'_'
            || (i > 0
                && bytes[i - 1].is_ascii_digit()
                && bytes.get(i + 1).is_some_and(|next| next.is_ascii_digit()))
    });
    fine.then(|| text.replace('_', ""))
}

fn to_float(value: &Value) -> Result<f64, Fault> {
    match value {
        Value::Null => Ok(f64::NAN),
        Value::Bool(b) => Ok(f64::from(u8::from(*b))),
        Value::Int(n) => Ok(*n as f64),
        Value::BigInt(digits) => Ok(digits.parse().unwrap_or(f64::NAN)),
        Value::Float(x) => Ok(*x),
        Value::Str(text) | Value::Date(text) => without_underscores(text.trim())
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Fault::value(format!("could not convert string to float: {}", repr_text(text)))),
        Value::List(_) => Err(Fault::value("setting an array element with a sequence.")),
        Value::Map(_) => Err(Fault::kind("float() argument must be a string or a real number, not 'dict'")),
    }
}

fn to_integer(value: &Value) -> Result<i64, Fault> {
    match value {
        Value::Bool(b) => Ok(i64::from(*b)),
        Value::Int(n) => Ok(*n),
        Value::BigInt(_) => {
            Err(Fault { class: "OverflowError", message: "Python int too large to convert to C long".into() })
        }
        Value::Float(x) if x.is_nan() => Err(Fault::value("cannot convert float NaN to integer")),
        Value::Float(x) if x.is_infinite() => {
            Err(Fault { class: "OverflowError", message: "cannot convert float infinity to integer".into() })
        }
        Value::Float(x) => Ok(*x as i64),
        Value::Str(text) | Value::Date(text) => {
            without_underscores(text.trim()).and_then(|text| text.parse().ok()).ok_or_else(|| {
                Fault::value(format!("invalid literal for int() with base 10: {}", repr_text(text)))
            })
        }
        Value::List(_) => Err(Fault::value("setting an array element with a sequence.")),
        Value::Null | Value::Map(_) => Err(Fault::kind(format!(
            "int() argument must be a string, a bytes-like object or a real number, not '{}'",
            class_of(value)
        ))),
    }
}

fn to_small_integer(value: &Value) -> Result<i32, Fault> {
    let wide = to_integer(value)?;
    i32::try_from(wide).map_err(|_| Fault {
        class: "OverflowError",
        message: format!("Python integer {wide} out of bounds for int32"),
    })
}

fn to_truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Int(n) => *n != 0,
        Value::BigInt(_) => true,
        Value::Float(x) => *x != 0.0,
        Value::Str(text) | Value::Date(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(map) => !map.is_empty(),
    }
}

/// `str` of a value.
pub(super) fn to_text(value: &Value) -> String {
    match value {
        Value::Float(x) => python_float(*x),
        other => other.to_string(),
    }
}

/// Values as elements of one type: `numpy.array(values, dtype)`.
pub(super) fn convert<'v>(
    values: impl ExactSizeIterator<Item = &'v Value>,
    to: Element,
) -> Result<Data, Fault> {
    Ok(match to {
        Element::F32 => Data::F32(values.map(|v| to_float(v).map(|x| x as f32)).collect::<Result<_, _>>()?),
        Element::F64 => Data::F64(values.map(to_float).collect::<Result<_, _>>()?),
        Element::I64 => Data::I64(values.map(to_integer).collect::<Result<_, _>>()?),
        Element::I32 => Data::I32(values.map(to_small_integer).collect::<Result<_, _>>()?),
        Element::Bool => Data::Bool(values.map(to_truth).collect()),
        Element::Text => Data::Text(values.map(to_text).collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_fail_in_the_words_of_python() {
        let table = [
            (Value::Str("x".into()), Element::F64, "ValueError(\"could not convert string to float: 'x'\")"),
            (
                Value::Str("3.5".into()),
                Element::I64,
                "ValueError(\"invalid literal for int() with base 10: '3.5'\")",
            ),
            (
                Value::Null,
                Element::I64,
                "TypeError(\"int() argument must be a string, a bytes-like object or a real number, not 'NoneType'\")",
            ),
            (Value::List(vec![]), Element::F32, "ValueError('setting an array element with a sequence.')"),
        ];
        for (value, to, repr) in table {
            assert_eq!(convert([value].iter(), to).unwrap_err().repr(), repr);
        }
    }

    #[test]
    fn conversions_go_as_far_as_in_python() {
        let value = |text: &str| Value::Str(text.into());
        assert_eq!(convert([value(" 1_000.5 ")].iter(), Element::F64), Ok(Data::F64(vec![1000.5])));
        assert_eq!(convert([Value::Float(-3.7)].iter(), Element::I64), Ok(Data::I64(vec![-3])));
        assert!(convert([Value::Int(1 << 40)].iter(), Element::I32).is_err());
        assert_eq!(convert([value("false")].iter(), Element::Bool), Ok(Data::Bool(vec![true])));
        assert_eq!(convert([Value::Float(2.0)].iter(), Element::Text), Ok(Data::Text(vec!["2.0".into()])));
    }
}
