//! Operators that move elements without computing: shapes, slices, joins.

use super::super::attributes::Attributes;
use super::super::tensor::{Data, Tensor, Value, count, show_shape};
use super::broadcast::{Mapping, broadcast_shape};
use super::{Inputs, axis_of};

/// Steps of the axes of a row-major tensor.
fn steps(shape: &[usize]) -> Vec<usize> {
    let mut steps = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        steps[axis - 1] = steps[axis] * shape[axis];
    }
    steps
}

/// A tensor of shape `shape`, each element taken from the source at the sum of `offset` and, for each axis, the
/// index times the axis' step.
fn strided(x: &Tensor, shape: Vec<usize>, offset: i64, axes: &[i64]) -> Result<Tensor, String> {
    let total = count(&shape)?;
    let lengths = shape.clone();
    let positions = (0..total).map(|position| {
        let mut rest = position;
        let mut place = offset;
        for (length, step) in lengths.iter().zip(axes).rev() {
            place += (rest % length) as i64 * step;
            rest /= length;
        }
        place as usize
    });
    Tensor::new(shape, x.data().pick(positions))
}

#[derive(Debug)]
pub(crate) struct Reshape {
    zero_is_zero: bool,
    /// Before operator set 5 the shape is an attribute.
    shape: Option<Vec<i64>>,
}

impl Reshape {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        let shape = if attributes.has("shape") { Some(attributes.ints("shape")?.to_vec()) } else { None };
        Ok(Self { zero_is_zero: attributes.flag("allowzero", false)?, shape })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let wanted = match &self.shape {
            Some(shape) => shape.clone(),
            None => inputs.tensor(1)?.integers()?,
        };
        let mut shape = Vec::with_capacity(wanted.len());
        let mut open = None;
        for (axis, length) in wanted.iter().enumerate() {
            shape.push(match *length {
                -1 if open.is_none() => {
                    open = Some(axis);
                    1
                }
                0 if !self.zero_is_zero => {
                    *x.shape().get(axis).ok_or("a 0 stands for an axis that is not there")?
                }
                n => usize::try_from(n).map_err(|_| format!("{n} is no length"))?,
            });
        }
        if let Some(axis) = open {
            let known = count(&shape)?;
            if known == 0 || x.len() % known != 0 {
                return Err(format!("shape {} cannot become {wanted:?}", show_shape(x.shape())));
            }
            shape[axis] = x.len() / known;
        }
        Ok(vec![x.clone().reshaped(shape)?.into()])
    }
}

pub(super) fn flatten(axis: i64, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let x = inputs.tensor(0)?;
    let rank = x.shape().len();
    let axis = if axis == rank as i64 { rank } else { axis_of(axis, rank.max(1))? };
    let (before, after) = x.shape().split_at(axis.min(rank));
    let shape = vec![before.iter().product(), after.iter().product()];
    Ok(vec![x.clone().reshaped(shape)?.into()])
}

/// Axes that are an attribute before operator set 13 and an input from there on.
fn axes(attribute: &Option<Vec<i64>>, inputs: &Inputs<'_>) -> Result<Option<Vec<i64>>, String> {
    match inputs.optional(1)? {
        Some(axes) => Ok(Some(axes.integers()?)),
        None => Ok(attribute.clone()),
    }
}

pub(super) fn axes_attribute(attributes: &Attributes<'_>) -> Result<Option<Vec<i64>>, String> {
    if attributes.has("axes") { Ok(Some(attributes.ints("axes")?.to_vec())) } else { Ok(None) }
}

pub(super) fn squeeze(attribute: &Option<Vec<i64>>, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let x = inputs.tensor(0)?;
    let rank = x.shape().len();
    let mut gone = vec![false; rank];
    match axes(attribute, inputs)? {
        None => gone.iter_mut().zip(x.shape()).for_each(|(gone, n)| *gone = *n == 1),
        Some(axes) => {
            for axis in axes {
                let axis = axis_of(axis, rank)?;
                if x.shape()[axis] != 1 {
                    return Err(format!("axis {axis} of shape {} is not 1", show_shape(x.shape())));
                }
                gone[axis] = true;
            }
        }
    }
    let shape = x.shape().iter().zip(gone).filter(|(_, gone)| !gone).map(|(n, _)| *n).collect();
    Ok(vec![x.clone().reshaped(shape)?.into()])
}

pub(super) fn unsqueeze(attribute: &Option<Vec<i64>>, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let x = inputs.tensor(0)?;
    let axes = axes(attribute, inputs)?.ok_or("the axes are missing")?;
    let rank = x.shape().len() + axes.len();
    let mut added = vec![false; rank];
    for axis in axes {
        if std::mem::replace(&mut added[axis_of(axis, rank)?], true) {
            return Err(format!("axis {axis} is given twice"));
        }
    }
    let mut old = x.shape().iter();
    let shape =
        added.into_iter().map(|added| if added { 1 } else { old.next().copied().unwrap_or(1) }).collect();
    Ok(vec![x.clone().reshaped(shape)?.into()])
}

pub(super) fn transpose(order: &[i64], inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let x = inputs.tensor(0)?;
    let rank = x.shape().len();
    let order = if order.is_empty() {
        (0..rank).rev().collect::<Vec<_>>()
    } else {
        order.iter().map(|axis| axis_of(*axis, rank)).collect::<Result<Vec<_>, _>>()?
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted != (0..rank).collect::<Vec<_>>() {
        return Err(format!("{order:?} is no order of {rank} axes"));
    }
    let steps = steps(x.shape());
    let shape = order.iter().map(|axis| x.shape()[*axis]).collect();
    let axes: Vec<i64> = order.iter().map(|axis| steps[*axis] as i64).collect();
    Ok(vec![strided(x, shape, 0, &axes)?.into()])
}

/// Starts, ends, axes and steps; before operator set 10 they are attributes.
#[derive(Debug)]
pub(crate) struct Slice {
    given: Option<Bounds>,
}

/// What to take of which axes.
#[derive(Clone, Debug)]
struct Bounds {
    starts: Vec<i64>,
    ends: Vec<i64>,
    axes: Option<Vec<i64>>,
    strides: Option<Vec<i64>>,
}

impl Slice {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        let given = if attributes.has("starts") {
            Some(Bounds {
                starts: attributes.ints("starts")?.to_vec(),
                ends: attributes.ints("ends")?.to_vec(),
                axes: axes_attribute(attributes)?,
                strides: None,
            })
        } else {
            None
        };
        Ok(Self { given })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let rank = x.shape().len();
        let Bounds { starts, ends, axes, strides } = match &self.given {
            Some(bounds) => bounds.clone(),
            None => {
                let list = |n| inputs.optional(n)?.map(Tensor::integers).transpose();
                Bounds {
                    starts: inputs.tensor(1)?.integers()?,
                    ends: inputs.tensor(2)?.integers()?,
                    axes: list(3)?,
                    strides: list(4)?,
                }
            }
        };
        let n = starts.len();
        let axes = axes.unwrap_or_else(|| (0..n as i64).collect());
        let strides = strides.unwrap_or_else(|| vec![1; n]);
        if ends.len() != n || axes.len() != n || strides.len() != n {
            return Err("starts, ends, axes and steps differ in length".into());
        }
        let mut shape = x.shape().to_vec();
        let mut offset = 0i64;
        let mut steps: Vec<i64> = steps(x.shape()).into_iter().map(|step| step as i64).collect();
        let mut seen = vec![false; rank];
        for i in 0..n {
            let axis = axis_of(axes[i], rank)?;
            if std::mem::replace(&mut seen[axis], true) {
                return Err(format!("axis {axis} is given twice"));
            }
            let length = x.shape()[axis] as i64;
            let stride = strides[i];
            if stride == 0 {
                return Err("a step of 0 leads nowhere".into());
            }
            let from_end = |n: i64| if n < 0 { n.saturating_add(length) } else { n };
            let (low, high) = if stride > 0 { (0, length) } else { (-1, length - 1) };
            let start = from_end(starts[i]).clamp(low.max(0), high.max(0));
            let end = from_end(ends[i]).clamp(low, high);
            let distance = if stride > 0 { end - start } else { start - end };
            let taken =
                if distance <= 0 || length == 0 { 0 } else { (distance - 1) / stride.saturating_abs() + 1 };
            shape[axis] = taken as usize;
            if taken > 0 {
                offset += start * steps[axis];
            }
            if taken > 1 {
                steps[axis] *= stride;
            }
        }
        Ok(vec![strided(x, shape, offset, &steps)?.into()])
    }
}

pub(super) fn gather(axis: i64, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let (x, indices) = (inputs.tensor(0)?, inputs.tensor(1)?);
    let axis = axis_of(axis, x.shape().len())?;
    let length = x.shape()[axis];
    let wanted = wanted(&indices.integers()?, length)?;
    let (before, after) = (&x.shape()[..axis], &x.shape()[axis + 1..]);
    let shape: Vec<usize> = before.iter().chain(indices.shape()).chain(after).copied().collect();
    count(&shape)?;
    let run: usize = after.iter().product();
    let outer: usize = before.iter().product();
    let wanted = &wanted;
    let positions = (0..outer).flat_map(|i| {
        wanted.iter().flat_map(move |index| {
            let start = (i * length + index) * run;
            start..start + run
        })
    });
    Ok(vec![Tensor::new(shape, x.data().pick(positions))?.into()])
}

/// Indices from the start, of which negative ones count from the end.
fn wanted(indices: &[i64], length: usize) -> Result<Vec<usize>, String> {
    indices
        .iter()
        .map(|index| {
            let place = if *index < 0 { index.saturating_add(length as i64) } else { *index };
            usize::try_from(place)
                .ok()
                .filter(|place| *place < length)
                .ok_or_else(|| format!("index {index} is outside of an axis of length {length}"))
        })
        .collect()
}

pub(super) fn gather_elements(axis: i64, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let (x, indices) = (inputs.tensor(0)?, inputs.tensor(1)?);
    let rank = x.shape().len();
    let axis = axis_of(axis, rank)?;
    let fits = indices.shape().len() == rank
        && (0..rank).all(|other| other == axis || indices.shape()[other] <= x.shape()[other]);
    if !fits {
        return Err(format!(
            "indices of shape {} do not fit {}",
            show_shape(indices.shape()),
            show_shape(x.shape())
        ));
    }
    let wanted = wanted(&indices.integers()?, x.shape()[axis])?;
    let steps = steps(x.shape());
    let shape = indices.shape();
    let positions = wanted.iter().enumerate().map(|(position, index)| {
        let mut rest = position;
        let mut place = 0;
        for other in (0..rank).rev() {
            let i = rest % shape[other];
            rest /= shape[other];
            place += steps[other] * if other == axis { *index } else { i };
        }
        place
    });
    Ok(vec![Tensor::new(shape.to_vec(), x.data().pick(positions))?.into()])
}

pub(super) fn concat(axis: i64, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let first = inputs.tensor(0)?;
    let axis = axis_of(axis, first.shape().len())?;
    let mut shape = first.shape().to_vec();
    let mut parts = vec![first];
    for number in 1..inputs.len() {
        let part = inputs.tensor(number)?;
        let fits = part.shape().len() == shape.len()
            && (0..shape.len()).all(|other| other == axis || part.shape()[other] == shape[other]);
        if !fits {
            return Err(format!(
                "shapes {} and {} cannot be joined",
                show_shape(first.shape()),
                show_shape(part.shape())
            ));
        }
        shape[axis] = shape[axis].saturating_add(part.shape()[axis]);
        parts.push(part);
    }
    let total = count(&shape)?;
    let rows: usize = shape[..axis].iter().product();
    macro_rules! join {
        ($variant:ident) => {{
            let mut out = Vec::with_capacity(total);
            for row in 0..rows {
                for part in &parts {
                    let Data::$variant(items) = part.data() else {
                        return Err(format!("{} and {} cannot be joined", first.element(), part.element()));
                    };
                    let run = items.len() / rows;
                    out.extend_from_slice(&items[row * run..(row + 1) * run]);
                }
            }
            Data::$variant(out)
        }};
    }
    let data = match first.data() {
        Data::F32(_) => join!(F32),
        Data::F64(_) => join!(F64),
        Data::I64(_) => join!(I64),
        Data::I32(_) => join!(I32),
        Data::Bool(_) => join!(Bool),
        Data::Text(_) => join!(Text),
    };
    Ok(vec![Tensor::new(shape, data)?.into()])
}

fn lengths(tensor: &Tensor) -> Result<Vec<usize>, String> {
    tensor.integers()?.iter().map(|n| usize::try_from(*n).map_err(|_| format!("{n} is no length"))).collect()
}

pub(super) fn expand(inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let x = inputs.tensor(0)?;
    let shape = broadcast_shape(x.shape(), &lengths(inputs.tensor(1)?)?)?;
    let mapping = Mapping::new(x.shape(), &shape);
    let total = count(&shape)?;
    Ok(vec![Tensor::new(shape, x.data().pick((0..total).map(|i| mapping.at(i))))?.into()])
}

pub(super) fn tile(inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let x = inputs.tensor(0)?;
    let repeats = lengths(inputs.tensor(1)?)?;
    if repeats.len() != x.shape().len() {
        return Err(format!("{} repeats for {} axes", repeats.len(), x.shape().len()));
    }
    let shape = x
        .shape()
        .iter()
        .zip(&repeats)
        .map(|(n, times)| n.checked_mul(*times).ok_or("the result is too large"))
        .collect::<Result<Vec<_>, _>>()?;
    let total = count(&shape)?;
    let steps = steps(x.shape());
    let positions = (0..total).map(|position| {
        let mut rest = position;
        let mut place = 0;
        for axis in (0..shape.len()).rev() {
            place += rest % shape[axis] % x.shape()[axis] * steps[axis];
            rest /= shape[axis];
        }
        place
    });
    let data = x.data().pick(positions);
    Ok(vec![Tensor::new(shape, data)?.into()])
}

/// The shape as a tensor, or the part of it between two axes.
#[derive(Debug)]
pub(crate) struct Shape {
    start: i64,
    end: Option<i64>,
}

impl Shape {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        Ok(Self { start: attributes.int_or("start", 0)?, end: attributes.int("end")? })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let shape = inputs.tensor(0)?.shape();
        let rank = shape.len() as i64;
        let place = |n: i64| (if n < 0 { n.saturating_add(rank) } else { n }).clamp(0, rank) as usize;
        let (start, end) = (place(self.start), place(self.end.unwrap_or(rank)));
        let part = shape.get(start..end.max(start)).unwrap_or_default();
        Ok(vec![Tensor::vector(Data::I64(part.iter().map(|n| *n as i64).collect())).into()])
    }
}

/// A tensor full of one value.
#[derive(Debug)]
pub(crate) struct ConstantOfShape {
    value: Data,
}

impl ConstantOfShape {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        let value = match attributes.tensor("value")? {
            None => Data::F32(vec![0.0]),
            Some(tensor) if tensor.len() == 1 => tensor.into_parts().1,
            Some(_) => return Err("`value` must hold one element".into()),
        };
        Ok(Self { value })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let shape = lengths(inputs.tensor(0)?)?;
        let total = count(&shape)?;
        Ok(vec![Tensor::new(shape, self.value.pick(std::iter::repeat_n(0, total)))?.into()])
    }
}

/// The value of a Constant node.
pub(super) fn constant(attributes: &Attributes<'_>) -> Result<Tensor, String> {
    let mut found = Vec::new();
    if let Some(tensor) = attributes.tensor("value")? {
        found.push(tensor);
    }
    if let Some(x) = attributes.float("value_float")? {
        found.push(Tensor::new(Vec::new(), Data::F32(vec![x]))?);
    }
    if let Some(n) = attributes.int("value_int")? {
        found.push(Tensor::new(Vec::new(), Data::I64(vec![n]))?);
    }
    if let Some(text) = attributes.string("value_string")? {
        found.push(Tensor::new(Vec::new(), Data::Text(vec![text]))?);
    }
    if attributes.has("value_floats") {
        found.push(Tensor::vector(Data::F32(attributes.floats("value_floats")?.to_vec())));
    }
    if attributes.has("value_ints") {
        found.push(Tensor::vector(Data::I64(attributes.ints("value_ints")?.to_vec())));
    }
    if attributes.has("value_strings") {
        found.push(Tensor::vector(Data::Text(attributes.strings("value_strings")?)));
    }
    match (found.pop(), found.is_empty()) {
        (Some(tensor), true) => Ok(tensor),
        _ => Err("exactly one value must be given".into()),
    }
}
