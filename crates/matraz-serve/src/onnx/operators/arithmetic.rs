//! Operators that work element by element, with NumPy's broadcasting.

use super::super::attributes::Attributes;
use super::super::tensor::{Data, Tensor, Value, count};
use super::Inputs;
use super::broadcast::{Mapping, broadcast_shape};

/// Two operands on their way to one result.
struct Pair {
    shape: Vec<usize>,
    total: usize,
    a: Mapping,
    b: Mapping,
}

impl Pair {
    fn of(a: &Tensor, b: &Tensor) -> Result<Self, String> {
        let shape = broadcast_shape(a.shape(), b.shape())?;
        Ok(Self {
            total: count(&shape)?,
            a: Mapping::new(a.shape(), &shape),
            b: Mapping::new(b.shape(), &shape),
            shape,
        })
    }

    fn map<A, B, R>(&self, a: &[A], b: &[B], f: impl Fn(&A, &B) -> R) -> Vec<R> {
        match (&self.a, &self.b) {
            (Mapping::Same, Mapping::Same) => a.iter().zip(b).map(|(x, y)| f(x, y)).collect(),
            (Mapping::Same, Mapping::Scalar) => a.iter().map(|x| f(x, &b[0])).collect(),
            (x, y) => (0..self.total).map(|i| f(&a[x.at(i)], &b[y.at(i)])).collect(),
        }
    }

    /// As [`map`](Self::map), for a function that can fail.
    fn try_map<A, B, R>(
        &self,
        a: &[A],
        b: &[B],
        f: impl Fn(&A, &B) -> Result<R, String>,
    ) -> Result<Vec<R>, String> {
        (0..self.total).map(|i| f(&a[self.a.at(i)], &b[self.b.at(i)])).collect()
    }
}

fn unfit(a: &Tensor, b: &Tensor) -> String {
    format!("it does not work on {} and {}", a.element(), b.element())
}

/// Operators of two numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
}

pub(super) fn binary(operator: Binary, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let (a, b) = (inputs.tensor(0)?, inputs.tensor(1)?);
    Ok(vec![calculate(operator, a, b)?.into()])
}

fn calculate(operator: Binary, a: &Tensor, b: &Tensor) -> Result<Tensor, String> {
    let pair = Pair::of(a, b)?;
    let zero = || "an integer is divided by zero".to_owned();
    let data = match (operator, a.data(), b.data()) {
        (Binary::Add, Data::F32(x), Data::F32(y)) => Data::F32(pair.map(x, y, |x, y| x + y)),
        (Binary::Sub, Data::F32(x), Data::F32(y)) => Data::F32(pair.map(x, y, |x, y| x - y)),
        (Binary::Mul, Data::F32(x), Data::F32(y)) => Data::F32(pair.map(x, y, |x, y| x * y)),
        (Binary::Div, Data::F32(x), Data::F32(y)) => Data::F32(pair.map(x, y, |x, y| x / y)),
        (Binary::Add, Data::F64(x), Data::F64(y)) => Data::F64(pair.map(x, y, |x, y| x + y)),
        (Binary::Sub, Data::F64(x), Data::F64(y)) => Data::F64(pair.map(x, y, |x, y| x - y)),
        (Binary::Mul, Data::F64(x), Data::F64(y)) => Data::F64(pair.map(x, y, |x, y| x * y)),
        (Binary::Div, Data::F64(x), Data::F64(y)) => Data::F64(pair.map(x, y, |x, y| x / y)),
        (Binary::Add, Data::I64(x), Data::I64(y)) => Data::I64(pair.map(x, y, |x, y| x.wrapping_add(*y))),
        (Binary::Sub, Data::I64(x), Data::I64(y)) => Data::I64(pair.map(x, y, |x, y| x.wrapping_sub(*y))),
        (Binary::Mul, Data::I64(x), Data::I64(y)) => Data::I64(pair.map(x, y, |x, y| x.wrapping_mul(*y))),
        (Binary::Div, Data::I64(x), Data::I64(y)) => Data::I64(
            pair.try_map(x, y, |x, y| if *y == 0 { Err(zero()) } else { Ok(x.wrapping_div(*y)) })?,
        ),
        (Binary::Add, Data::I32(x), Data::I32(y)) => Data::I32(pair.map(x, y, |x, y| x.wrapping_add(*y))),
        (Binary::Sub, Data::I32(x), Data::I32(y)) => Data::I32(pair.map(x, y, |x, y| x.wrapping_sub(*y))),
        (Binary::Mul, Data::I32(x), Data::I32(y)) => Data::I32(pair.map(x, y, |x, y| x.wrapping_mul(*y))),
        (Binary::Div, Data::I32(x), Data::I32(y)) => Data::I32(
            pair.try_map(x, y, |x, y| if *y == 0 { Err(zero()) } else { Ok(x.wrapping_div(*y)) })?,
        ),
        _ => return Err(unfit(a, b)),
    };
    Tensor::new(pair.shape, data)
}

/// Base to the power of an exponent of any number type; the result has the base's type.
pub(super) fn pow(inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let (a, b) = (inputs.tensor(0)?, inputs.tensor(1)?);
    let pair = Pair::of(a, b)?;
    let exponents: Vec<f64> = match b.data() {
        Data::F32(y) => y.iter().map(|y| f64::from(*y)).collect(),
        Data::F64(y) => y.clone(),
        Data::I64(y) => y.iter().map(|y| *y as f64).collect(),
        Data::I32(y) => y.iter().map(|y| f64::from(*y)).collect(),
        _ => return Err(unfit(a, b)),
    };
    let data = match a.data() {
        Data::F32(x) => Data::F32(pair.map(x, &exponents, |x, y| {
            if *y == 2.0 {
                x * x
            } else if *y == 3.0 {
                x * x * x
            } else {
                x.powf(*y as f32)
            }
        })),
        Data::F64(x) => Data::F64(pair.map(x, &exponents, |x, y| x.powf(*y))),
        Data::I64(x) => Data::I64(pair.map(x, &exponents, |x, y| (*x as f64).powf(*y) as i64)),
        Data::I32(x) => Data::I32(pair.map(x, &exponents, |x, y| f64::from(*x).powf(*y) as i32)),
        _ => return Err(unfit(a, b)),
    };
    Ok(vec![Tensor::new(pair.shape, data)?.into()])
}

/// Comparisons.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn holds<T: PartialOrd>(self, x: &T, y: &T) -> bool {
        match self {
            Self::Equal => x == y,
            Self::Less => x < y,
            Self::LessOrEqual => x <= y,
            Self::Greater => x > y,
            Self::GreaterOrEqual => x >= y,
        }
    }
}

pub(super) fn compare(comparison: Comparison, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let (a, b) = (inputs.tensor(0)?, inputs.tensor(1)?);
    let pair = Pair::of(a, b)?;
    let result = match (a.data(), b.data()) {
        (Data::F32(x), Data::F32(y)) => pair.map(x, y, |x, y| comparison.holds(x, y)),
        (Data::F64(x), Data::F64(y)) => pair.map(x, y, |x, y| comparison.holds(x, y)),
        (Data::I64(x), Data::I64(y)) => pair.map(x, y, |x, y| comparison.holds(x, y)),
        (Data::I32(x), Data::I32(y)) => pair.map(x, y, |x, y| comparison.holds(x, y)),
        (Data::Bool(x), Data::Bool(y)) if matches!(comparison, Comparison::Equal) => {
            pair.map(x, y, |x, y| x == y)
        }
        (Data::Text(x), Data::Text(y)) if matches!(comparison, Comparison::Equal) => {
            pair.map(x, y, |x, y| x == y)
        }
        _ => return Err(unfit(a, b)),
    };
    Ok(vec![Tensor::new(pair.shape, Data::Bool(result))?.into()])
}

/// Logic of two truth values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Logic {
    And,
    Or,
    Xor,
}

pub(super) fn logic(operator: Logic, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let (a, b) = (inputs.tensor(0)?, inputs.tensor(1)?);
    let pair = Pair::of(a, b)?;
    let (Data::Bool(x), Data::Bool(y)) = (a.data(), b.data()) else { return Err(unfit(a, b)) };
    let result = pair.map(x, y, |x, y| match operator {
        Logic::And => *x && *y,
        Logic::Or => *x || *y,
        Logic::Xor => x != y,
    });
    Ok(vec![Tensor::new(pair.shape, Data::Bool(result))?.into()])
}

/// Functions of one element.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unary {
    Abs,
    Ceil,
    Exp,
    Floor,
    Log,
    Neg,
    Reciprocal,
    Relu,
    Round,
    Sigmoid,
    Sign,
    Sqrt,
    Tanh,
}

pub(super) fn unary(function: Unary, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let x = inputs.tensor(0)?;
    macro_rules! float {
        ($items:expr) => {
            match function {
                Unary::Abs => $items.iter().map(|x| x.abs()).collect(),
                Unary::Ceil => $items.iter().map(|x| x.ceil()).collect(),
                Unary::Exp => $items.iter().map(|x| x.exp()).collect(),
                Unary::Floor => $items.iter().map(|x| x.floor()).collect(),
                Unary::Log => $items.iter().map(|x| x.ln()).collect(),
                Unary::Neg => $items.iter().map(|x| -x).collect(),
                Unary::Reciprocal => $items.iter().map(|x| 1.0 / x).collect(),
                Unary::Relu => $items.iter().map(|x| if *x < 0.0 { 0.0 } else { *x }).collect(),
                Unary::Round => $items.iter().map(|x| x.round_ties_even()).collect(),
                Unary::Sigmoid => $items.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect(),
                Unary::Sign => $items.iter().map(|x| if *x == 0.0 { 0.0 } else { x.signum() }).collect(),
                Unary::Sqrt => $items.iter().map(|x| x.sqrt()).collect(),
                Unary::Tanh => $items.iter().map(|x| x.tanh()).collect(),
            }
        };
    }
    let data = match (function, x.data()) {
        (_, Data::F32(items)) => Data::F32(float!(items)),
        (_, Data::F64(items)) => Data::F64(float!(items)),
        (Unary::Abs, Data::I64(items)) => Data::I64(items.iter().map(|n| n.wrapping_abs()).collect()),
        (Unary::Neg, Data::I64(items)) => Data::I64(items.iter().map(|n| n.wrapping_neg()).collect()),
        (Unary::Sign, Data::I64(items)) => Data::I64(items.iter().map(|n| n.signum()).collect()),
        (Unary::Relu, Data::I64(items)) => Data::I64(items.iter().map(|n| (*n).max(0)).collect()),
        (Unary::Abs, Data::I32(items)) => Data::I32(items.iter().map(|n| n.wrapping_abs()).collect()),
        (Unary::Neg, Data::I32(items)) => Data::I32(items.iter().map(|n| n.wrapping_neg()).collect()),
        (Unary::Sign, Data::I32(items)) => Data::I32(items.iter().map(|n| n.signum()).collect()),
        (Unary::Relu, Data::I32(items)) => Data::I32(items.iter().map(|n| (*n).max(0)).collect()),
        (_, other) => return Err(format!("it does not work on {}", other.element())),
    };
    Ok(vec![Tensor::new(x.shape().to_vec(), data)?.into()])
}

pub(super) fn not(inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let x = inputs.tensor(0)?;
    let Data::Bool(items) = x.data() else {
        return Err(format!("it does not work on {}", x.element()));
    };
    let data = Data::Bool(items.iter().map(|x| !x).collect());
    Ok(vec![Tensor::new(x.shape().to_vec(), data)?.into()])
}

pub(super) fn is_nan(inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let x = inputs.tensor(0)?;
    let result = match x.data() {
        Data::F32(items) => items.iter().map(|x| x.is_nan()).collect(),
        Data::F64(items) => items.iter().map(|x| x.is_nan()).collect(),
        other => return Err(format!("it does not work on {}", other.element())),
    };
    Ok(vec![Tensor::new(x.shape().to_vec(), Data::Bool(result))?.into()])
}

/// Operators of any number of operands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Variadic {
    Max,
    Mean,
    Min,
    Sum,
}

pub(super) fn variadic(operator: Variadic, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let mut result = inputs.tensor(0)?.clone();
    for number in 1..inputs.len() {
        let next = inputs.tensor(number)?;
        result = match operator {
            Variadic::Sum | Variadic::Mean => calculate(Binary::Add, &result, next)?,
            Variadic::Max => extreme(&result, next, true)?,
            Variadic::Min => extreme(&result, next, false)?,
        };
    }
    if matches!(operator, Variadic::Mean) {
        let (shape, data) = result.into_parts();
        let n = inputs.len();
        let data = match data {
            Data::F32(items) => Data::F32(items.into_iter().map(|x| x / n as f32).collect()),
            Data::F64(items) => Data::F64(items.into_iter().map(|x| x / n as f64).collect()),
            other => return Err(format!("it does not work on {}", other.element())),
        };
        result = Tensor::new(shape, data)?;
    }
    Ok(vec![result.into()])
}

/// The greater or lesser of two; NaN wins over numbers.
fn extreme(a: &Tensor, b: &Tensor, greater: bool) -> Result<Tensor, String> {
    fn choose<T: PartialOrd + Copy>(x: &T, y: &T, greater: bool) -> T {
        let x_is_nan = x.partial_cmp(x).is_none();
        let y_is_nan = y.partial_cmp(y).is_none();
        let x_wins = if greater { x > y } else { x < y };
        if x_is_nan || (x_wins && !y_is_nan) { *x } else { *y }
    }
    let pair = Pair::of(a, b)?;
    let data = match (a.data(), b.data()) {
        (Data::F32(x), Data::F32(y)) => Data::F32(pair.map(x, y, |x, y| choose(x, y, greater))),
        (Data::F64(x), Data::F64(y)) => Data::F64(pair.map(x, y, |x, y| choose(x, y, greater))),
        (Data::I64(x), Data::I64(y)) => Data::I64(pair.map(x, y, |x, y| choose(x, y, greater))),
        (Data::I32(x), Data::I32(y)) => Data::I32(pair.map(x, y, |x, y| choose(x, y, greater))),
        _ => return Err(unfit(a, b)),
    };
    Tensor::new(pair.shape, data)
}

/// `condition ? a : b`.
pub(super) fn choose(inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let (condition, a, b) = (inputs.tensor(0)?, inputs.tensor(1)?, inputs.tensor(2)?);
    let Data::Bool(flags) = condition.data() else {
        return Err(format!("the condition is {}, not bool", condition.element()));
    };
    let shape = broadcast_shape(condition.shape(), &broadcast_shape(a.shape(), b.shape())?)?;
    let total = count(&shape)?;
    let at = Mapping::new(condition.shape(), &shape);
    let a_at = Mapping::new(a.shape(), &shape);
    let b_at = Mapping::new(b.shape(), &shape);
    let pick = |i: usize| if flags[at.at(i)] { Ok(a_at.at(i)) } else { Err(b_at.at(i)) };
    fn all<T: Clone>(x: &[T], y: &[T], total: usize, pick: impl Fn(usize) -> Result<usize, usize>) -> Vec<T> {
        (0..total)
            .map(|i| match pick(i) {
                Ok(place) => x[place].clone(),
                Err(place) => y[place].clone(),
            })
            .collect()
    }
    let data = match (a.data(), b.data()) {
        (Data::F32(x), Data::F32(y)) => Data::F32(all(x, y, total, pick)),
        (Data::F64(x), Data::F64(y)) => Data::F64(all(x, y, total, pick)),
        (Data::I64(x), Data::I64(y)) => Data::I64(all(x, y, total, pick)),
        (Data::I32(x), Data::I32(y)) => Data::I32(all(x, y, total, pick)),
        (Data::Bool(x), Data::Bool(y)) => Data::Bool(all(x, y, total, pick)),
        (Data::Text(x), Data::Text(y)) => Data::Text(all(x, y, total, pick)),
        _ => return Err(unfit(a, b)),
    };
    Ok(vec![Tensor::new(shape, data)?.into()])
}

/// Limits from below and above; before operator set 11 they are attributes.
#[derive(Debug)]
pub(crate) struct Clip {
    low: Option<f32>,
    high: Option<f32>,
}

impl Clip {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        Ok(Self { low: attributes.float("min")?, high: attributes.float("max")? })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        fn limit<T: PartialOrd + Copy>(items: &[T], low: Option<T>, high: Option<T>) -> Vec<T> {
            items
                .iter()
                .map(|x| {
                    let mut x = *x;
                    if let Some(low) = low
                        && x < low
                    {
                        x = low;
                    }
                    match high {
                        Some(high) if x > high => high,
                        _ => x,
                    }
                })
                .collect()
        }
        let x = inputs.tensor(0)?;
        let bound = |number| match inputs.optional(number) {
            Ok(Some(bound)) if bound.len() != 1 => Err("a limit must be a scalar".to_owned()),
            other => other,
        };
        let (low, high) = (bound(1)?, bound(2)?);
        macro_rules! clip {
            ($variant:ident, $items:expr, $attribute:expr) => {{
                let read = |bound: Option<&Tensor>, attribute: Option<f32>| match bound.map(Tensor::data) {
                    Some(Data::$variant(value)) => Ok(Some(value[0])),
                    Some(other) => Err(format!("a limit of type {} does not fit", other.element())),
                    None => Ok(attribute.map($attribute)),
                };
                Data::$variant(limit($items, read(low, self.low)?, read(high, self.high)?))
            }};
        }
        let data = match x.data() {
            Data::F32(items) => clip!(F32, items, |x| x),
            Data::F64(items) => clip!(F64, items, f64::from),
            Data::I64(items) => clip!(I64, items, |x| x as i64),
            Data::I32(items) => clip!(I32, items, |x| x as i32),
            other => return Err(format!("it does not work on {}", other.element())),
        };
        Ok(vec![Tensor::new(x.shape().to_vec(), data)?.into()])
    }
}
