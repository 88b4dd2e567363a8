//! Operators along axes: Reduce…, ArgMax, ArgMin, TopK, CumSum, Softmax.

use super::super::attributes::Attributes;
use super::super::tensor::{Data, Tensor, Value, count};
use super::{Inputs, axis_of};

/// What a Reduce… operator makes of the elements that fall together.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reduction {
    L1,
    L2,
    LogSum,
    LogSumExp,
    Max,
    Mean,
    Min,
    Prod,
    Sum,
    SumSquare,
}

#[derive(Debug)]
pub(crate) struct Reduce {
    reduction: Reduction,
    axes: Option<Vec<i64>>,
    keep: bool,
    nothing_without_axes: bool,
}

/// Splits positions of a tensor into groups that fall together when `axes` are reduced.
struct Groups {
    /// Shape of the result with the reduced axes at length 1.
    kept_shape: Vec<usize>,
    /// Lengths and steps of the axes that stay.
    outer: Vec<(usize, usize)>,
    /// Offsets of the members of a group.
    members: Vec<usize>,
}

impl Groups {
    fn of(shape: &[usize], reduced: &[bool]) -> Self {
        let mut steps = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            steps[axis - 1] = steps[axis] * shape[axis];
        }
        let mut outer = Vec::new();
        let mut members = vec![0];
        for axis in 0..shape.len() {
            if reduced[axis] {
                let step = steps[axis];
                members =
                    members.iter().flat_map(|base| (0..shape[axis]).map(move |i| base + i * step)).collect();
            } else {
                outer.push((shape[axis], steps[axis]));
            }
        }
        let kept_shape = shape.iter().zip(reduced).map(|(n, gone)| if *gone { 1 } else { *n }).collect();
        Self { kept_shape, outer, members }
    }

    fn len(&self) -> usize {
        self.outer.iter().map(|(length, _)| length).product()
    }

    /// The offset at which the members of group `number` count.
    fn base(&self, number: usize) -> usize {
        let mut rest = number;
        let mut base = 0;
        for (length, step) in self.outer.iter().rev() {
            base += rest % length * step;
            rest /= length;
        }
        base
    }

    fn shape(&self, reduced: &[bool], keep: bool) -> Vec<usize> {
        if keep {
            return self.kept_shape.clone();
        }
        self.kept_shape.iter().zip(reduced).filter(|(_, gone)| !**gone).map(|(n, _)| *n).collect()
    }
}

impl Reduce {
    pub(super) fn of(reduction: Reduction, attributes: &Attributes<'_>) -> Result<Self, String> {
        Ok(Self {
            reduction,
            axes: if attributes.has("axes") { Some(attributes.ints("axes")?.to_vec()) } else { None },
            keep: attributes.flag("keepdims", true)?,
            nothing_without_axes: attributes.flag("noop_with_empty_axes", false)?,
        })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let axes = match inputs.optional(1)? {
            Some(axes) => axes.integers()?,
            None => self.axes.clone().unwrap_or_default(),
        };
        if axes.is_empty() && self.nothing_without_axes {
            return Ok(vec![x.clone().into()]);
        }
        let rank = x.shape().len();
        let mut reduced = vec![axes.is_empty(); rank];
        for axis in axes {
            reduced[axis_of(axis, rank)?] = true;
        }
        let groups = Groups::of(x.shape(), &reduced);
        let data = match x.data() {
            Data::F32(items) => Data::F32(self.floats(&groups, |i| f64::from(items[i]), |x| x as f32)),
            Data::F64(items) => Data::F64(self.floats(&groups, |i| items[i], |x| x)),
            Data::I64(items) => Data::I64(self.integers(&groups, |i| items[i])?),
            Data::I32(items) => Data::I32(
                self.integers(&groups, |i| i64::from(items[i]))?.into_iter().map(|n| n as i32).collect(),
            ),
            other => return Err(format!("it does not work on {}", other.element())),
        };
        Ok(vec![Tensor::new(groups.shape(&reduced, self.keep), data)?.into()])
    }

    fn floats<R>(&self, groups: &Groups, item: impl Fn(usize) -> f64, narrow: impl Fn(f64) -> R) -> Vec<R> {
        (0..groups.len())
            .map(|number| {
                let base = groups.base(number);
                let members = || groups.members.iter().map(|offset| item(base + offset));
                let nan_or = |best: f64, x: f64, better: bool| if x.is_nan() || better { x } else { best };
                narrow(match self.reduction {
                    Reduction::Sum => members().sum(),
                    Reduction::Mean => members().sum::<f64>() / groups.members.len() as f64,
                    Reduction::SumSquare => members().map(|x| x * x).sum(),
                    Reduction::L1 => members().map(f64::abs).sum(),
                    Reduction::L2 => members().map(|x| x * x).sum::<f64>().sqrt(),
                    Reduction::LogSum => members().sum::<f64>().ln(),
                    Reduction::LogSumExp => {
                        let highest = members().fold(f64::NEG_INFINITY, f64::max);
                        if highest.is_finite() {
                            members().map(|x| (x - highest).exp()).sum::<f64>().ln() + highest
                        } else {
                            members().map(f64::exp).sum::<f64>().ln()
                        }
                    }
                    Reduction::Prod => members().product(),
                    Reduction::Max => members().fold(f64::NEG_INFINITY, |best, x| {
                        if best.is_nan() { best } else { nan_or(best, x, x > best) }
                    }),
                    Reduction::Min => members().fold(f64::INFINITY, |best, x| {
                        if best.is_nan() { best } else { nan_or(best, x, x < best) }
                    }),
                })
            })
            .collect()
    }

    fn integers(&self, groups: &Groups, item: impl Fn(usize) -> i64) -> Result<Vec<i64>, String> {
        (0..groups.len())
            .map(|number| {
                let base = groups.base(number);
                let members = || groups.members.iter().map(|offset| item(base + offset));
                Ok(match self.reduction {
                    Reduction::Sum => members().fold(0, i64::wrapping_add),
                    Reduction::Prod => members().fold(1, i64::wrapping_mul),
                    Reduction::SumSquare => {
                        members().fold(0, |sum: i64, n| sum.wrapping_add(n.wrapping_mul(n)))
                    }
                    Reduction::Max => members().max().ok_or("there is nothing to reduce")?,
                    Reduction::Min => members().min().ok_or("there is nothing to reduce")?,
                    Reduction::L1 => members().fold(0, |sum: i64, n| sum.wrapping_add(n.wrapping_abs())),
                    Reduction::Mean => {
                        let n = i64::try_from(groups.members.len()).unwrap_or(i64::MAX);
                        let sum = members().fold(0, i64::wrapping_add);
                        sum.checked_div(n).ok_or("there is nothing to reduce")?
                    }
                    Reduction::L2 | Reduction::LogSum | Reduction::LogSumExp => {
                        return Err("it does not work on integers".to_owned());
                    }
                })
            })
            .collect()
    }
}

/// Runs of elements along one axis: how many runs before and after it, and its length.
fn along(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    let before = shape[..axis].iter().product();
    let after = shape[axis + 1..].iter().product();
    (before, shape[axis], after)
}

/// Order of two elements in which NaN comes after all numbers.
fn order<T: PartialOrd>(x: &T, y: &T) -> std::cmp::Ordering {
    x.partial_cmp(y).unwrap_or_else(|| x.partial_cmp(x).is_none().cmp(&y.partial_cmp(y).is_none()))
}

#[derive(Debug)]
pub(crate) struct ArgExtreme {
    greatest: bool,
    axis: i64,
    keep: bool,
    last: bool,
}

impl ArgExtreme {
    pub(super) fn of(greatest: bool, attributes: &Attributes<'_>) -> Result<Self, String> {
        Ok(Self {
            greatest,
            axis: attributes.int_or("axis", 0)?,
            keep: attributes.flag("keepdims", true)?,
            last: attributes.flag("select_last_index", false)?,
        })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let axis = axis_of(self.axis, x.shape().len())?;
        let (before, length, after) = along(x.shape(), axis);
        if length == 0 {
            return Err("there is nothing to choose from".into());
        }
        let positions = match x.data() {
            Data::F32(items) => self.positions(items, before, length, after),
            Data::F64(items) => self.positions(items, before, length, after),
            Data::I64(items) => self.positions(items, before, length, after),
            Data::I32(items) => self.positions(items, before, length, after),
            other => return Err(format!("it does not work on {}", other.element())),
        };
        let mut shape = x.shape().to_vec();
        if self.keep {
            shape[axis] = 1;
        } else {
            shape.remove(axis);
        }
        Ok(vec![Tensor::new(shape, Data::I64(positions))?.into()])
    }

    fn positions<T: PartialOrd>(&self, items: &[T], before: usize, length: usize, after: usize) -> Vec<i64> {
        let mut out = Vec::with_capacity(before * after);
        for i in 0..before {
            for j in 0..after {
                let item = |k: usize| &items[(i * length + k) * after + j];
                let mut best = 0;
                for k in 1..length {
                    let better = if self.greatest { item(k) > item(best) } else { item(k) < item(best) };
                    if better || (self.last && item(k) == item(best)) {
                        best = k;
                    }
                }
                out.push(best as i64);
            }
        }
        out
    }
}

#[derive(Debug)]
pub(crate) struct TopK {
    axis: i64,
    largest: bool,
    /// Before operator set 10 the number wanted is an attribute.
    wanted: Option<i64>,
}

impl TopK {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        // The result is sorted in any case.
        attributes.ignore(&["sorted"]);
        Ok(Self {
            axis: attributes.int_or("axis", -1)?,
            largest: attributes.flag("largest", true)?,
            wanted: attributes.int("k")?,
        })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let wanted = match (inputs.optional(1)?, self.wanted) {
            (Some(k), _) => *k.integers()?.first().ok_or("k is empty")?,
            (None, Some(k)) => k,
            (None, None) => return Err("k is missing".into()),
        };
        let axis = axis_of(self.axis, x.shape().len())?;
        let (before, length, after) = along(x.shape(), axis);
        let k = usize::try_from(wanted)
            .ok()
            .filter(|k| *k <= length)
            .ok_or_else(|| format!("{wanted} of {length} are wanted"))?;
        let mut shape = x.shape().to_vec();
        shape[axis] = k;
        let total = count(&shape)?;
        let mut positions = vec![0usize; total];
        let mut indices = vec![0i64; total];
        let mut line: Vec<usize> = Vec::with_capacity(length);
        for i in 0..before {
            for j in 0..after {
                let place = |n: usize| (i * length + n) * after + j;
                line.clear();
                line.extend(0..length);
                macro_rules! sort {
                    ($items:expr) => {
                        line.sort_by(|a, b| {
                            let order = order(&$items[place(*a)], &$items[place(*b)]);
                            if self.largest { order.reverse() } else { order }
                        })
                    };
                }
                match x.data() {
                    Data::F32(items) => sort!(items),
                    Data::F64(items) => sort!(items),
                    Data::I64(items) => sort!(items),
                    Data::I32(items) => sort!(items),
                    other => return Err(format!("it does not work on {}", other.element())),
                }
                for (n, chosen) in line.iter().take(k).enumerate() {
                    positions[(i * k + n) * after + j] = place(*chosen);
                    indices[(i * k + n) * after + j] = *chosen as i64;
                }
            }
        }
        let values = x.data().pick(positions.into_iter());
        Ok(vec![Tensor::new(shape.clone(), values)?.into(), Tensor::new(shape, Data::I64(indices))?.into()])
    }
}

#[derive(Debug)]
pub(crate) struct CumSum {
    exclusive: bool,
    reverse: bool,
}

impl CumSum {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        Ok(Self {
            exclusive: attributes.flag("exclusive", false)?,
            reverse: attributes.flag("reverse", false)?,
        })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let axis = *inputs.tensor(1)?.integers()?.first().ok_or("the axis is empty")?;
        let axis = axis_of(axis, x.shape().len())?;
        let (before, length, after) = along(x.shape(), axis);
        let run = |add: &mut dyn FnMut(usize, bool)| {
            for i in 0..before {
                for j in 0..after {
                    for n in 0..length {
                        let n = if self.reverse { length - 1 - n } else { n };
                        let starts = n == if self.reverse { length - 1 } else { 0 };
                        add((i * length + n) * after + j, starts);
                    }
                }
            }
        };
        macro_rules! sum {
            ($variant:ident, $items:expr, $zero:expr, $add:expr) => {{
                let mut out = $items.clone();
                let mut sum = $zero;
                run(&mut |place, starts| {
                    if starts {
                        sum = $zero;
                    }
                    let next = $add(sum, $items[place]);
                    out[place] = if self.exclusive { sum } else { next };
                    sum = next;
                });
                Data::$variant(out)
            }};
        }
        let data = match x.data() {
            Data::F32(items) => sum!(F32, items, 0.0f32, |a, b| a + b),
            Data::F64(items) => sum!(F64, items, 0.0f64, |a, b| a + b),
            Data::I64(items) => sum!(I64, items, 0i64, i64::wrapping_add),
            Data::I32(items) => sum!(I32, items, 0i32, i32::wrapping_add),
            other => return Err(format!("it does not work on {}", other.element())),
        };
        Ok(vec![Tensor::new(x.shape().to_vec(), data)?.into()])
    }
}

/// Softmax; before operator set 13 it goes over all axes from the given one on.
#[derive(Debug)]
pub(crate) struct Softmax {
    axis: i64,
    all_further_axes: bool,
    logarithm: bool,
}

impl Softmax {
    pub(super) fn of(version: i64, logarithm: bool, attributes: &Attributes<'_>) -> Result<Self, String> {
        let all_further_axes = version < 13;
        let axis = attributes.int_or("axis", if all_further_axes { 1 } else { -1 })?;
        Ok(Self { axis, all_further_axes, logarithm })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let axis = axis_of(self.axis, x.shape().len())?;
        let (before, length, after) = if self.all_further_axes {
            (x.shape()[..axis].iter().product(), x.shape()[axis..].iter().product(), 1)
        } else {
            along(x.shape(), axis)
        };
        macro_rules! soft {
            ($items:expr, $lowest:expr) => {{
                let mut out = $items.clone();
                for i in 0..before {
                    for j in 0..after {
                        let place = |n: usize| (i * length + n) * after + j;
                        let highest = (0..length).fold($lowest, |high, n| $items[place(n)].max(high));
                        let sum = (0..length).fold(0.0, |sum, n| sum + ($items[place(n)] - highest).exp());
                        for n in 0..length {
                            let x = $items[place(n)] - highest;
                            out[place(n)] = if self.logarithm { x - sum.ln() } else { x.exp() / sum };
                        }
                    }
                }
                out
            }};
        }
        let data = match x.data() {
            Data::F32(items) => Data::F32(soft!(items, f32::NEG_INFINITY)),
            Data::F64(items) => Data::F64(soft!(items, f64::NEG_INFINITY)),
            other => return Err(format!("it does not work on {}", other.element())),
        };
        Ok(vec![Tensor::new(x.shape().to_vec(), data)?.into()])
    }
}
