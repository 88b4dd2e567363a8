//! The data of a request: a table, one array, or named arrays.

use matraz_base::{Map, Value};

use super::python::{Fault, convert, repr_list};
use crate::onnx::{Data, Element};

/// Values of one type, or as they came.
#[derive(Clone, Debug)]
pub(super) enum Cells {
    Raw(Vec<Value>),
    Typed(Data),
}

impl Cells {
    /// Converts raw values; typed ones stay.
    pub(super) fn typed(self, to: Element) -> Result<Self, Fault> {
        match self {
            Self::Raw(values) => convert(values.iter(), to).map(Self::Typed),
            typed @ Self::Typed(_) => Ok(typed),
        }
    }
}

/// An array with its shape. There are as many cells as the shape says.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub shape: Vec<usize>,
    pub cells: Cells,
}

impl Array {
    /// Nested lists of equal lengths become an array; any other value one without axes.
    pub(super) fn from_json(value: Value) -> Result<Self, Fault> {
        let Value::List(items) = value else {
            return Ok(Self { shape: Vec::new(), cells: Cells::Raw(vec![value]) });
        };
        let (shape, even) = shape_of(&items);
        if !even {
            let dimensions: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
            return Err(Fault::value(format!(
                "setting an array element with a sequence. The requested array has an inhomogeneous shape after \
                 {} dimensions. The detected shape was {} + inhomogeneous part.",
                shape.len(),
                crate::mlmodel::show_shape(&dimensions)
            )));
        }
        let mut values = Vec::with_capacity(shape.iter().product());
        flatten(items, &mut values);
        Ok(Self { shape, cells: Cells::Raw(values) })
    }

    pub(super) fn typed(self, to: Element) -> Result<Self, Fault> {
        Ok(Self { shape: self.shape, cells: self.cells.typed(to)? })
    }
}

/// The shape of nested lists as far as they agree, and whether they agree throughout.
fn shape_of(items: &[Value]) -> (Vec<usize>, bool) {
    let mut lists = items.iter().filter_map(Value::as_list);
    let Some(first) = lists.next() else { return (vec![items.len()], true) };
    let (mut common, mut even) = shape_of(first);
    let mut count = 1;
    for list in lists {
        count += 1;
        let (shape, inner_even) = shape_of(list);
        even &= inner_even && shape == common;
        let agreeing = common.iter().zip(&shape).take_while(|(a, b)| a == b).count();
        common.truncate(agreeing);
    }
    if count < items.len() {
        return (vec![items.len()], false);
    }
    common.insert(0, items.len());
    (common, even)
}

fn flatten(items: Vec<Value>, out: &mut Vec<Value>) {
    for item in items {
        match item {
            Value::List(inner) => flatten(inner, out),
            other => out.push(other),
        }
    }
}

/// Names of columns; a table without names has numbers.
#[derive(Clone, Debug)]
pub(super) enum Names {
    Given(Vec<String>),
    Numbered(usize),
}

impl Names {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Given(names) => names.len(),
            Self::Numbered(count) => *count,
        }
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        match self {
            Self::Given(names) => names.iter().position(|known| known == name),
            Self::Numbered(_) => None,
        }
    }

    pub(super) fn at(&self, position: usize) -> String {
        match self {
            Self::Given(names) => names[position].clone(),
            Self::Numbered(_) => position.to_string(),
        }
    }

    /// As Python shows the list of those names that `keep` picks by position; `None` when it picks none.
    pub(super) fn show(&self, keep: impl Fn(usize) -> bool) -> Option<String> {
        let kept: Vec<usize> = (0..self.len()).filter(|position| keep(*position)).collect();
        if kept.is_empty() {
            return None;
        }
        Some(match self {
            Self::Given(names) => repr_list(kept.iter().map(|position| names[*position].as_str())),
            Self::Numbered(_) => {
                format!("[{}]", kept.iter().map(usize::to_string).collect::<Vec<_>>().join(", "))
            }
        })
    }
}

/// A table. All columns have as many cells as there are rows.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub names: Names,
    pub columns: Vec<Cells>,
    pub rows: usize,
}

impl Frame {
    /// One row for each record; a key that a record lacks is null there.
    pub(super) fn from_records(records: Vec<Map>) -> Self {
        let rows = records.len();
        let mut columns: indexmap::IndexMap<String, Vec<Value>> = indexmap::IndexMap::new();
        for (row, record) in records.into_iter().enumerate() {
            for (name, value) in record {
                let column = columns.entry(name).or_insert_with(|| Vec::with_capacity(rows));
                column.resize(row, Value::Null);
                column.push(value);
            }
        }
        let (names, columns) = columns
            .into_iter()
            .map(|(name, mut column)| {
                column.resize(rows, Value::Null);
                (name, Cells::Raw(column))
            })
            .unzip();
        Self { names: Names::Given(names), columns, rows }
    }

    /// Rows of values; short rows are filled with null. A row that is no list is a row of one value.
    pub(super) fn from_rows(rows: Vec<Value>) -> Self {
        let width = rows.iter().map(|row| row.as_list().map_or(1, <[Value]>::len)).max().unwrap_or(0);
        let count = rows.len();
        let mut columns: Vec<Vec<Value>> = vec![Vec::with_capacity(count); width];
        for row in rows {
            let mut cells = match row {
                Value::List(cells) => cells.into_iter(),
                other => vec![other].into_iter(),
            };
            for column in &mut columns {
                column.push(cells.next().unwrap_or(Value::Null));
            }
        }
        Self {
            names: Names::Numbered(width),
            columns: columns.into_iter().map(Cells::Raw).collect(),
            rows: count,
        }
    }

    /// Converts the column at `position` as pandas' `astype` does.
    pub(super) fn cast(&mut self, position: usize, to: Element) -> Result<(), Fault> {
        let Cells::Raw(values) = &mut self.columns[position] else { return Ok(()) };
        if to == Element::Text && values.iter().any(|value| matches!(value, Value::Str(_))) {
            // In a column of texts a missing one is NaN.
            for value in values.iter_mut().filter(|value| matches!(value, Value::Null)) {
                *value = Value::Float(f64::NAN);
            }
        }
        if to == Element::I32 {
            // pandas lets 64 bits wrap around.
            for value in values.iter_mut() {
                match value {
                    Value::Int(n) => *value = Value::Int(i64::from(*n as i32)),
                    Value::Float(x) if x.is_finite() => *value = Value::Int(i64::from(*x as i64 as i32)),
                    _ => {}
                }
            }
        }
        self.columns[position] = Cells::Typed(convert(values.iter(), to)?);
        Ok(())
    }
}

/// What a request carries.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    Frame(Frame),
    Array(Array),
    Arrays(Vec<(String, Array)>),
    Records(Vec<Map>),
}

impl Payload {
    /// A short description for messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Frame(frame) => format!(
                "table of {} rows with the columns {}",
                frame.rows,
                frame.names.show(|_| true).unwrap_or_else(|| "[]".into())
            ),
            Self::Array(array) => {
                format!("array of shape {}", crate::onnx::show_shape(&array.shape))
            }
            Self::Arrays(arrays) => {
                format!("arrays {}", repr_list(arrays.iter().map(|(name, _)| name.as_str())))
            }
            Self::Records(records) => format!("list of {} records", records.len()),
        }
    }
}
