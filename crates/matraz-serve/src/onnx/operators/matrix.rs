//! MatMul, Gemm and the products inside the linear operators.

use std::ops::{Add, Mul};

use super::super::attributes::Attributes;
use super::super::tensor::{Data, Tensor, Value, count, show_shape};
use super::Inputs;
use super::broadcast::{Mapping, broadcast_shape};

/// Rows of `a` (each `depth` long) times rows of `b`: one number for each pair.
pub(super) fn rows_by_columns(a: &[f32], b: &[f32], rows: usize, columns: usize, depth: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        let x = &a[row * depth..(row + 1) * depth];
        for column in 0..columns {
            out.push(dot(x, &b[column * depth..(column + 1) * depth]));
        }
    }
    out
}

/// The sum of products, in eight interleaved sums so that the compiler can use vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0f32; 8];
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

/// `out += a · b` for row-major matrices.
fn multiply<T: Copy + Add<Output = T> + Mul<Output = T>>(
    a: &[T],
    b: &[T],
    out: &mut [T],
    depth: usize,
    columns: usize,
) {
    if depth == 0 || columns == 0 {
        return;
    }
    for (row, target) in a.chunks_exact(depth).zip(out.chunks_exact_mut(columns)) {
        for (x, line) in row.iter().zip(b.chunks_exact(columns)) {
            for (sum, y) in target.iter_mut().zip(line) {
                *sum = *sum + *x * *y;
            }
        }
    }
}

/// NumPy's `matmul`.
pub(super) fn matmul(inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
    let (a, b) = (inputs.tensor(0)?, inputs.tensor(1)?);
    let mismatch =
        || format!("shapes {} and {} cannot be multiplied", show_shape(a.shape()), show_shape(b.shape()));
    let mut a_shape = a.shape().to_vec();
    let mut b_shape = b.shape().to_vec();
    if a_shape.is_empty() || b_shape.is_empty() {
        return Err(mismatch());
    }
    let (a_is_vector, b_is_vector) = (a_shape.len() == 1, b_shape.len() == 1);
    if a_is_vector {
        a_shape.insert(0, 1);
    }
    if b_is_vector {
        b_shape.push(1);
    }
    let (a_batch, a_matrix) = a_shape.split_at(a_shape.len() - 2);
    let (b_batch, b_matrix) = b_shape.split_at(b_shape.len() - 2);
    let (rows, depth, columns) = (a_matrix[0], a_matrix[1], b_matrix[1]);
    if depth != b_matrix[0] {
        return Err(mismatch());
    }
    let batch = broadcast_shape(a_batch, b_batch)?;
    let batches = count(&batch)?;
    let mut shape = batch.clone();
    shape.extend([rows, columns]);
    let total = count(&shape)?;
    let a_at = Mapping::new(a_batch, &batch);
    let b_at = Mapping::new(b_batch, &batch);

    fn all<T: Copy + Default + Add<Output = T> + Mul<Output = T>>(
        a: &[T],
        b: &[T],
        (rows, depth, columns): (usize, usize, usize),
        batches: usize,
        total: usize,
        at: impl Fn(usize) -> (usize, usize),
    ) -> Vec<T> {
        let mut out = vec![T::default(); total];
        for number in 0..batches {
            let (i, j) = at(number);
            multiply(
                &a[i * rows * depth..(i + 1) * rows * depth],
                &b[j * depth * columns..(j + 1) * depth * columns],
                &mut out[number * rows * columns..(number + 1) * rows * columns],
                depth,
                columns,
            );
        }
        out
    }
    let sizes = (rows, depth, columns);
    let at = |number| (a_at.at(number), b_at.at(number));
    let data = match (a.data(), b.data()) {
        (Data::F32(a), Data::F32(b)) => Data::F32(all(a, b, sizes, batches, total, at)),
        (Data::F64(a), Data::F64(b)) => Data::F64(all(a, b, sizes, batches, total, at)),
        (Data::I64(a), Data::I64(b)) => {
            let wrap = |items: &[i64]| items.iter().map(|n| std::num::Wrapping(*n)).collect::<Vec<_>>();
            let product = all(&wrap(a), &wrap(b), sizes, batches, total, at);
            Data::I64(product.into_iter().map(|n| n.0).collect())
        }
        (a, b) => return Err(format!("{} and {} cannot be multiplied", a.element(), b.element())),
    };
    if b_is_vector {
        shape.pop();
    }
    if a_is_vector {
        shape.remove(shape.len() - if b_is_vector { 1 } else { 2 });
    }
    Ok(vec![Tensor::new(shape, data)?.into()])
}

/// `alpha · A · B + beta · C` with optional transposition.
#[derive(Debug)]
pub(crate) struct Gemm {
    alpha: f32,
    beta: f32,
    transpose_a: bool,
    transpose_b: bool,
}

impl Gemm {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        Ok(Self {
            alpha: attributes.float("alpha")?.unwrap_or(1.0),
            beta: attributes.float("beta")?.unwrap_or(1.0),
            transpose_a: attributes.flag("transA", false)?,
            transpose_b: attributes.flag("transB", false)?,
        })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let (a, b) = (inputs.tensor(0)?, inputs.tensor(1)?);
        let c = inputs.optional(2)?;
        let (&[a0, a1], &[b0, b1]) = (a.shape(), b.shape()) else {
            return Err("A and B must be matrices".into());
        };
        let (rows, depth) = if self.transpose_a { (a1, a0) } else { (a0, a1) };
        let (b_depth, columns) = if self.transpose_b { (b1, b0) } else { (b0, b1) };
        if depth != b_depth {
            return Err(format!(
                "shapes {} and {} cannot be multiplied",
                show_shape(a.shape()),
                show_shape(b.shape())
            ));
        }
        let shape = vec![rows, columns];
        let total = count(&shape)?;
        if let Some(c) = c
            && broadcast_shape(c.shape(), &shape)? != shape
        {
            return Err(format!("C of shape {} does not fit", show_shape(c.shape())));
        }
        fn turned<T: Copy>(items: &[T], rows: usize, columns: usize, turn: bool) -> Vec<T> {
            if !turn {
                return items.to_vec();
            }
            (0..rows * columns).map(|i| items[i % rows * columns + i / rows]).collect()
        }
        fn compute<T: Copy + Default + Add<Output = T> + Mul<Output = T>>(
            a: &[T],
            b: &[T],
            depth: usize,
            columns: usize,
            total: usize,
            alpha: T,
        ) -> Vec<T> {
            let mut out = vec![T::default(); total];
            multiply(a, b, &mut out, depth, columns);
            out.iter_mut().for_each(|x| *x = alpha * *x);
            out
        }
        let data = match (a.data(), b.data(), c.map(Tensor::data)) {
            (Data::F32(x), Data::F32(y), None | Some(Data::F32(_))) => {
                let x = turned(x, a0, a1, self.transpose_a);
                let y = turned(y, b0, b1, self.transpose_b);
                let mut out = compute(&x, &y, depth, columns, total, self.alpha);
                if let (Some(Data::F32(z)), Some(c)) = (c.map(Tensor::data), c) {
                    let at = Mapping::new(c.shape(), &shape);
                    out.iter_mut().enumerate().for_each(|(i, x)| *x += self.beta * z[at.at(i)]);
                }
                Data::F32(out)
            }
            (Data::F64(x), Data::F64(y), None | Some(Data::F64(_))) => {
                let x = turned(x, a0, a1, self.transpose_a);
                let y = turned(y, b0, b1, self.transpose_b);
                let mut out = compute(&x, &y, depth, columns, total, f64::from(self.alpha));
                if let (Some(Data::F64(z)), Some(c)) = (c.map(Tensor::data), c) {
                    let at = Mapping::new(c.shape(), &shape);
                    let beta = f64::from(self.beta);
                    out.iter_mut().enumerate().for_each(|(i, x)| *x += beta * z[at.at(i)]);
                }
                Data::F64(out)
            }
            _ => return Err("A, B and C must all be float32 or all float64".into()),
        };
        Ok(vec![Tensor::new(shape, data)?.into()])
    }
}
