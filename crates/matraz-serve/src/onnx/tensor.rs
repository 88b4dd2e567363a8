//! Values that flow through a graph: dense tensors, and the sequence of maps that ZipMap makes.

use std::fmt;
use std::sync::Arc;

use super::proto::{TensorProto, element};

/// The most elements that one tensor may have. A model cannot make the process allocate beyond it.
pub const MAX_ELEMENTS: usize = 1 << 26;

/// The most axes that a tensor may have.
const MAX_RANK: usize = 32;

/// Element types that the interpreter computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 64-bit signed integer.
    I64,
    /// 32-bit signed integer.
    I32,
    /// Truth value.
    Bool,
    /// Text.
    Text,
}

impl Element {
    /// The type behind a number of [`element`], when it is one that the interpreter knows.
    pub fn from_onnx(number: i32) -> Option<Self> {
        Some(match number {
            element::FLOAT => Self::F32,
            element::DOUBLE => Self::F64,
            element::INT64 => Self::I64,
            element::INT32 => Self::I32,
            element::BOOL => Self::Bool,
            element::STRING => Self::Text,
            _ => return None,
        })
    }
}

/// The name that NumPy gives to the type.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::I64 => "int64",
            Self::I32 => "int32",
            Self::Bool => "bool",
            Self::Text => "str",
        })
    }
}

/// The elements of a tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// 64-bit signed integers.
    I64(Vec<i64>),
    /// 32-bit signed integers.
    I32(Vec<i32>),
    /// Truth values.
    Bool(Vec<bool>),
    /// Texts.
    Text(Vec<String>),
}

impl Data {
    /// How many elements.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(items) => items.len(),
            Self::F64(items) => items.len(),
            Self::I64(items) => items.len(),
            Self::I32(items) => items.len(),
            Self::Bool(items) => items.len(),
            Self::Text(items) => items.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their type.
    pub fn element(&self) -> Element {
        match self {
            Self::F32(_) => Element::F32,
            Self::F64(_) => Element::F64,
            Self::I64(_) => Element::I64,
            Self::I32(_) => Element::I32,
            Self::Bool(_) => Element::Bool,
            Self::Text(_) => Element::Text,
        }
    }

    /// The elements in another type, as the operator Cast converts them.
    pub(crate) fn cast(&self, to: Element) -> Result<Self, String> {
        super::operators::cast::convert(self, to)
    }

    /// The elements at the given positions, in that order. Positions must be below [`len`](Self::len).
    pub(crate) fn pick(&self, positions: impl Iterator<Item = usize>) -> Self {
        fn copy<T: Clone>(items: &[T], positions: impl Iterator<Item = usize>) -> Vec<T> {
            positions.map(|position| items[position].clone()).collect()
        }
        match self {
            Self::F32(items) => Self::F32(copy(items, positions)),
            Self::F64(items) => Self::F64(copy(items, positions)),
            Self::I64(items) => Self::I64(copy(items, positions)),
            Self::I32(items) => Self::I32(copy(items, positions)),
            Self::Bool(items) => Self::Bool(copy(items, positions)),
            Self::Text(items) => Self::Text(copy(items, positions)),
        }
    }
}

/// A dense tensor. Its number of elements always equals the product of its shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Data,
}

impl Tensor {
    /// A tensor, if `data` has as many elements as `shape` says.
    pub fn new(shape: Vec<usize>, data: Data) -> Result<Self, String> {
        let expected = count(&shape)?;
        if expected != data.len() {
            return Err(format!("{} elements do not fill the shape {}", data.len(), show_shape(&shape)));
        }
        Ok(Self { shape, data })
    }

    /// A one-dimensional tensor.
    pub fn vector(data: Data) -> Self {
        Self { shape: vec![data.len()], data }
    }

    /// The lengths of its axes; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The type of its elements.
    pub fn element(&self) -> Element {
        self.data.element()
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The shape and the elements.
    pub fn into_parts(self) -> (Vec<usize>, Data) {
        (self.shape, self.data)
    }

    /// The same elements in another shape.
    pub fn reshaped(self, shape: Vec<usize>) -> Result<Self, String> {
        Self::new(shape, self.data)
    }

    /// As rows and columns: a vector is one row, a matrix is itself.
    pub(super) fn rows_and_columns(&self) -> Result<(usize, usize), String> {
        match self.shape.as_slice() {
            [columns] => Ok((1, *columns)),
            [rows, columns] => Ok((*rows, *columns)),
            other => {
                Err(format!("a table of rows and columns is needed, not the shape {}", show_shape(other)))
            }
        }
    }

    /// Integers, for inputs that hold axes, shapes, indices.
    pub(super) fn integers(&self) -> Result<Vec<i64>, String> {
        match &self.data {
            Data::I64(items) => Ok(items.clone()),
            Data::I32(items) => Ok(items.iter().map(|n| i64::from(*n)).collect()),
            other => Err(format!("integers are needed, not {}", other.element())),
        }
    }

    /// All elements as 32-bit floats; numbers only.
    pub(super) fn to_f32(&self) -> Result<std::borrow::Cow<'_, [f32]>, String> {
        use std::borrow::Cow;
        Ok(match &self.data {
            Data::F32(items) => Cow::Borrowed(items),
            Data::F64(items) => Cow::Owned(items.iter().map(|x| *x as f32).collect()),
            Data::I64(items) => Cow::Owned(items.iter().map(|n| *n as f32).collect()),
            Data::I32(items) => Cow::Owned(items.iter().map(|n| *n as f32).collect()),
            other => return Err(format!("numbers are needed, not {}", other.element())),
        })
    }

    /// Reads the tensor of a model file.
    pub(super) fn from_proto(proto: &TensorProto) -> Result<Self, String> {
        if proto.data_location != 0 || !proto.external_data.is_empty() {
            return Err("its elements are in another file, which is not supported".into());
        }
        let shape = proto
            .dims
            .iter()
            .map(|dim| usize::try_from(*dim).map_err(|_| format!("the length {dim} of an axis is negative")))
            .collect::<Result<Vec<_>, _>>()?;
        let expected = count(&shape)?;
        let raw = proto.raw_data.as_slice();
        let data = match proto.data_type {
            element::FLOAT if raw.is_empty() => Data::F32(proto.float_data.clone()),
            element::FLOAT => Data::F32(from_raw(raw, f32::from_le_bytes)?),
            element::DOUBLE if raw.is_empty() => Data::F64(proto.double_data.clone()),
            element::DOUBLE => Data::F64(from_raw(raw, f64::from_le_bytes)?),
            element::INT64 if raw.is_empty() => Data::I64(proto.int64_data.clone()),
            element::INT64 => Data::I64(from_raw(raw, i64::from_le_bytes)?),
            element::INT32 if raw.is_empty() => Data::I32(proto.int32_data.clone()),
            element::INT32 => Data::I32(from_raw(raw, i32::from_le_bytes)?),
            element::BOOL if raw.is_empty() => Data::Bool(proto.int32_data.iter().map(|n| *n != 0).collect()),
            element::BOOL => Data::Bool(raw.iter().map(|byte| *byte != 0).collect()),
            element::STRING => Data::Text(texts(&proto.string_data)?),
            other => return Err(format!("element type {other} is not supported")),
        };
        if data.len() != expected {
            return Err(format!("{} elements do not fill the shape {}", data.len(), show_shape(&shape)));
        }
        Ok(Self { shape, data })
    }
}

/// Reads UTF-8 texts of a model file.
pub(super) fn texts(bytes: &[Vec<u8>]) -> Result<Vec<String>, String> {
    bytes
        .iter()
        .map(|text| String::from_utf8(text.clone()).map_err(|_| "a text is not valid UTF-8".to_owned()))
        .collect()
}

fn from_raw<const N: usize, T>(raw: &[u8], convert: fn([u8; N]) -> T) -> Result<Vec<T>, String> {
    let (items, rest) = raw.as_chunks::<N>();
    if !rest.is_empty() {
        return Err(format!("{} bytes are no whole number of {N}-byte elements", raw.len()));
    }
    Ok(items.iter().map(|bytes| convert(*bytes)).collect())
}

/// The number of elements of a shape, if it is within [`MAX_ELEMENTS`].
pub(super) fn count(shape: &[usize]) -> Result<usize, String> {
    if shape.len() > MAX_RANK {
        return Err(format!("a tensor of {} axes is not supported", shape.len()));
    }
    shape
        .iter()
        // An axis of length 0 does not excuse the lengths of the others: parts of the shape are multiplied too.
        .try_fold(1usize, |product, length| product.checked_mul((*length).max(1)))
        .filter(|product| *product <= MAX_ELEMENTS)
        .map(|product| if shape.contains(&0) { 0 } else { product })
        .ok_or_else(|| format!("a tensor of shape {} is too large", show_shape(shape)))
}

/// A shape as NumPy shows it, `(2, 3)`.
pub(crate) fn show_shape(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        many => format!("({})", many.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Class labels of a classifier.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// Numbers.
    Integers(Vec<i64>),
    /// Texts.
    Texts(Vec<String>),
}

impl Labels {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Integers(labels) => labels.len(),
            Self::Texts(labels) => labels.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels at `positions` as a vector. Positions must be below [`len`](Self::len).
    pub(crate) fn pick(&self, positions: &[usize]) -> Tensor {
        Tensor::vector(match self {
            Self::Integers(labels) => Data::I64(positions.iter().map(|i| labels[*i]).collect()),
            Self::Texts(labels) => Data::Text(positions.iter().map(|i| labels[*i].clone()).collect()),
        })
    }
}

/// A value of a graph.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A dense tensor.
    Tensor(Tensor),
    /// A sequence of maps, one for each row, all with the same keys: what ZipMap makes.
    Maps {
        /// The keys of every map, in order.
        keys: Arc<Labels>,
        /// The values, row-major: as many for each row as there are keys.
        values: Vec<f32>,
    },
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(tensor)
    }
}
