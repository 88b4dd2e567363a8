//! Operators on tables of features: Scaler, Normalizer, Imputer, Binarizer, FeatureVectorizer,
//! ArrayFeatureExtractor.

use super::super::attributes::Attributes;
use super::super::tensor::{Data, Tensor, Value, count};
use super::Inputs;

/// The number of columns, for operators that take tensors of any rank and go by the second axis.
fn columns(x: &Tensor) -> Result<usize, String> {
    match x.shape() {
        [] => Err("a scalar has no features".into()),
        [columns] | [_, columns, ..] => Ok(*columns),
    }
}

#[derive(Debug)]
pub(crate) struct Scaler {
    offset: Vec<f32>,
    scale: Vec<f32>,
}

impl Scaler {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        let offset = attributes.floats("offset")?.to_vec();
        let scale = attributes.floats("scale")?.to_vec();
        if scale.is_empty() || offset.len() != scale.len() {
            return Err(format!("{} offsets and {} scales", offset.len(), scale.len()));
        }
        Ok(Self { offset, scale })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let columns = columns(x)?;
        if self.scale.len() != 1 && self.scale.len() != columns {
            return Err(format!("{} scales for {columns} columns", self.scale.len()));
        }
        let n = self.scale.len();
        let values = match x.data() {
            Data::F64(items) => items
                .iter()
                .enumerate()
                .map(|(i, x)| ((x - f64::from(self.offset[i % n])) * f64::from(self.scale[i % n])) as f32)
                .collect(),
            _ => x
                .to_f32()?
                .iter()
                .enumerate()
                .map(|(i, x)| (x - self.offset[i % n]) * self.scale[i % n])
                .collect(),
        };
        Ok(vec![Tensor::new(x.shape().to_vec(), Data::F32(values))?.into()])
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Norm {
    Max,
    L1,
    L2,
}

impl Norm {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        match attributes.string("norm")?.as_deref() {
            None | Some("MAX") => Ok(Self::Max),
            Some("L1") => Ok(Self::L1),
            Some("L2") => Ok(Self::L2),
            Some(other) => Err(format!("norm `{other}` is not known")),
        }
    }

    pub(super) fn run(self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let (_, columns) = x.rows_and_columns()?;
        let mut values = x.to_f32()?.into_owned();
        for row in values.chunks_exact_mut(columns.max(1)) {
            match self {
                Self::Max => {
                    let highest = row.iter().fold(f32::MIN, |high, x| if *x > high { *x } else { high });
                    if highest != 0.0 {
                        row.iter_mut().for_each(|x| *x /= highest);
                    }
                }
                Self::L1 => {
                    let sum: f32 = row.iter().map(|x| x.abs()).sum();
                    if sum != 0.0 {
                        row.iter_mut().for_each(|x| *x /= sum);
                    }
                }
                Self::L2 => {
                    let sum: f32 = row.iter().map(|x| x * x).sum();
                    if sum != 0.0 {
                        row.iter_mut().for_each(|x| {
                            let size = (*x * *x / sum).sqrt();
                            *x = if *x < 0.0 { -size } else { size };
                        });
                    }
                }
            }
        }
        Ok(vec![Tensor::new(x.shape().to_vec(), Data::F32(values))?.into()])
    }
}

#[derive(Debug)]
pub(crate) enum Imputer {
    Floats { missing: f32, replacements: Vec<f32> },
    Integers { missing: i64, replacements: Vec<i64> },
}

impl Imputer {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        let floats = attributes.floats("imputed_value_floats")?.to_vec();
        let integers = attributes.ints("imputed_value_int64s")?.to_vec();
        let missing_float = attributes.float("replaced_value_float")?;
        let missing_integer = attributes.int("replaced_value_int64")?;
        match (floats.is_empty(), integers.is_empty()) {
            (false, true) => Ok(Self::Floats { missing: missing_float.unwrap_or(0.0), replacements: floats }),
            (true, false) => {
                Ok(Self::Integers { missing: missing_integer.unwrap_or(0), replacements: integers })
            }
            _ => Err("either float or integer replacements must be given".into()),
        }
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        fn fill<T: Copy>(
            items: &[T],
            replacements: &[T],
            columns: usize,
            is_missing: impl Fn(T) -> bool,
        ) -> Vec<T> {
            let each = replacements.len() == columns;
            let replace = |i: usize| if each { replacements[i % columns] } else { replacements[0] };
            items.iter().enumerate().map(|(i, x)| if is_missing(*x) { replace(i) } else { *x }).collect()
        }
        let x = inputs.tensor(0)?;
        let columns = columns(x)?;
        let data = match (self, x.data()) {
            (Self::Floats { missing, replacements }, Data::F32(items)) => {
                Data::F32(fill(items, replacements, columns, |x| {
                    x == *missing || (x.is_nan() && missing.is_nan())
                }))
            }
            (Self::Floats { missing, replacements }, Data::F64(items)) => {
                let wide: Vec<f64> = replacements.iter().map(|x| f64::from(*x)).collect();
                let missing = f64::from(*missing);
                Data::F64(fill(items, &wide, columns, |x| x == missing || (x.is_nan() && missing.is_nan())))
            }
            (Self::Integers { missing, replacements }, Data::I64(items)) => {
                Data::I64(fill(items, replacements, columns, |x| x == *missing))
            }
            (_, other) => return Err(format!("the replacements do not fit {}", other.element())),
        };
        Ok(vec![Tensor::new(x.shape().to_vec(), data)?.into()])
    }
}

#[derive(Debug)]
pub(crate) struct Binarizer {
    threshold: f32,
}

impl Binarizer {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        Ok(Self { threshold: attributes.float("threshold")?.unwrap_or(0.0) })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let data = match x.data() {
            Data::F32(items) => {
                Data::F32(items.iter().map(|x| f32::from(u8::from(*x > self.threshold))).collect())
            }
            Data::F64(items) => {
                let threshold = f64::from(self.threshold);
                Data::F64(items.iter().map(|x| f64::from(u8::from(*x > threshold))).collect())
            }
            Data::I64(items) => {
                Data::I64(items.iter().map(|n| i64::from(*n as f32 > self.threshold)).collect())
            }
            Data::I32(items) => {
                Data::I32(items.iter().map(|n| i32::from(*n as f32 > self.threshold)).collect())
            }
            other => return Err(format!("numbers are needed, not {}", other.element())),
        };
        Ok(vec![Tensor::new(x.shape().to_vec(), data)?.into()])
    }
}

/// Puts the columns of several tables side by side, each cut or filled with zeros to its given width.
#[derive(Debug)]
pub(crate) struct FeatureVectorizer {
    widths: Vec<usize>,
}

impl FeatureVectorizer {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        let widths = attributes
            .ints("inputdimensions")?
            .iter()
            .map(|width| {
                usize::try_from(*width).map_err(|_| format!("the width {width} of an input is negative"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { widths })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        if inputs.len() != self.widths.len() {
            return Err(format!("it has {} inputs and {} widths", inputs.len(), self.widths.len()));
        }
        let mut tables = Vec::with_capacity(inputs.len());
        let mut rows = None;
        for number in 0..inputs.len() {
            let x = inputs.tensor(number)?;
            let (count, columns) = x.rows_and_columns()?;
            if *rows.get_or_insert(count) != count {
                return Err("its inputs differ in their number of rows".into());
            }
            tables.push((x.to_f32()?, columns));
        }
        let rows = rows.unwrap_or(0);
        let width = self.widths.iter().try_fold(0usize, |sum, width| sum.checked_add(*width));
        let width = width.ok_or("the widths are too large")?;
        let shape = vec![rows, width];
        let mut values = Vec::with_capacity(count(&shape)?);
        for row in 0..rows {
            for ((items, columns), width) in tables.iter().zip(&self.widths) {
                let line = &items[row * columns..(row + 1) * columns];
                let taken = (*columns).min(*width);
                values.extend_from_slice(&line[..taken]);
                values.resize(values.len() + width - taken, 0.0);
            }
        }
        Ok(vec![Tensor::new(shape, Data::F32(values))?.into()])
    }
}

/// Picks positions of the last axis.
pub(super) fn array_feature_extractor(inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let x = inputs.tensor(0)?;
    let wanted = inputs.tensor(1)?.integers()?;
    let (&columns, leading) = x.shape().split_last().ok_or("a scalar has no features")?;
    let wanted = wanted
        .iter()
        .map(|index| {
            usize::try_from(*index)
                .ok()
                .filter(|index| *index < columns)
                .ok_or_else(|| format!("column {index} is wanted of {columns}"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if wanted.is_empty() {
        return Err("no column is wanted".into());
    }
    let mut shape = if leading.is_empty() { vec![1] } else { leading.to_vec() };
    let rows = count(&shape)?;
    shape.push(wanted.len());
    count(&shape)?;
    let wanted = &wanted;
    let positions = (0..rows).flat_map(|row| wanted.iter().map(move |column| row * columns + column));
    Ok(vec![Tensor::new(shape, x.data().pick(positions))?.into()])
}
