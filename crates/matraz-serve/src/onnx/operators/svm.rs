//! SVMClassifier and SVMRegressor.

use std::sync::Arc;

use super::super::attributes::Attributes;
use super::super::tensor::{Data, Labels, Tensor, Value, count};
use super::matrix::rows_by_columns;
use super::scores::{PostTransform, SecondClass, logistic};
use super::{Inputs, class_labels};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kernel {
    Linear,
    Polynomial { gamma: f32, offset: f32, degree: f32 },
    Radial { gamma: f32 },
    Sigmoid { gamma: f32, offset: f32 },
}

impl Kernel {
    fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        let (gamma, offset, degree) = match attributes.floats("kernel_params")? {
            [] => (0.0, 0.0, 0.0),
            [gamma, offset, degree] => (*gamma, *offset, *degree),
            other => return Err(format!("`kernel_params` has {} entries, expected 3", other.len())),
        };
        match attributes.string("kernel_type")?.as_deref() {
            None | Some("LINEAR") => Ok(Self::Linear),
            Some("POLY") => Ok(Self::Polynomial { gamma, offset, degree }),
            Some("RBF") => Ok(Self::Radial { gamma }),
            Some("SIGMOID") => Ok(Self::Sigmoid { gamma, offset }),
            Some(other) => Err(format!("kernel_type `{other}` is not known")),
        }
    }

    /// The kernel of every row of `a` with every row of `b`, plus `constant` where the kernel is linear.
    fn products(self, a: &[f32], b: &[f32], rows: usize, vectors: usize, features: usize) -> Vec<f32> {
        if let Self::Radial { gamma } = self {
            let mut out = Vec::with_capacity(rows * vectors);
            for row in 0..rows {
                let x = &a[row * features..(row + 1) * features];
                for vector in 0..vectors {
                    let y = &b[vector * features..(vector + 1) * features];
                    let square: f32 = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
                    out.push((-gamma * square).exp());
                }
            }
            return out;
        }
        let mut out = rows_by_columns(a, b, rows, vectors, features);
        for value in &mut out {
            *value = match self {
                Self::Linear | Self::Radial { .. } => *value,
                Self::Polynomial { gamma, offset, degree } => {
                    let base = gamma * *value + offset;
                    if degree == 2.0 {
                        base * base
                    } else if degree == 3.0 {
                        base * base * base
                    } else {
                        base.powf(degree)
                    }
                }
                Self::Sigmoid { gamma, offset } => (gamma * *value + offset).tanh(),
            };
        }
        out
    }
}

/// The length of a support vector, from how many numbers there are for how many vectors.
fn features(numbers: usize, vectors: usize) -> Result<usize, String> {
    if vectors == 0 || numbers == 0 || !numbers.is_multiple_of(vectors) {
        return Err(format!("{numbers} numbers cannot be shared out to {vectors} vectors"));
    }
    Ok(numbers / vectors)
}

fn check_columns(columns: usize, features: usize) -> Result<(), String> {
    if columns == features {
        return Ok(());
    }
    Err(format!("its input has {columns} columns, the model has {features} features"))
}

#[derive(Debug)]
pub(crate) struct Regressor {
    kernel: Kernel,
    /// Empty when the coefficients are those of the features.
    support: Vec<f32>,
    coefficients: Vec<f32>,
    features: usize,
    rho: f32,
    one_class: bool,
}

impl Regressor {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        if PostTransform::of(attributes)? != PostTransform::None {
            return Err("a post_transform is not supported here".into());
        }
        let vectors = attributes.int_or("n_supports", 0)?;
        let vectors = usize::try_from(vectors).map_err(|_| format!("n_supports {vectors} is negative"))?;
        let support = attributes.floats("support_vectors")?.to_vec();
        let coefficients = attributes.floats("coefficients")?.to_vec();
        let kernel = Kernel::of(attributes)?;
        let (kernel, features) = if vectors > 0 {
            if coefficients.len() != vectors {
                return Err(format!("{} coefficients for {vectors} support vectors", coefficients.len()));
            }
            (kernel, features(support.len(), vectors)?)
        } else if coefficients.is_empty() {
            return Err("`coefficients` is empty".into());
        } else {
            (Kernel::Linear, coefficients.len())
        };
        Ok(Self {
            kernel,
            support: if vectors > 0 { support } else { Vec::new() },
            coefficients,
            features,
            rho: *attributes.floats("rho")?.first().ok_or("`rho` is empty")?,
            one_class: attributes.flag("one_class", false)?,
        })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let (rows, columns) = x.rows_and_columns()?;
        check_columns(columns, self.features)?;
        let x = x.to_f32()?;
        let vectors = self.coefficients.len();
        count(&[rows, vectors])?;
        let mut values = if self.support.is_empty() {
            self.kernel.products(&x, &self.coefficients, rows, 1, columns)
        } else {
            let products = self.kernel.products(&x, &self.support, rows, vectors, columns);
            rows_by_columns(&products, &self.coefficients, rows, 1, vectors)
        };
        for value in &mut values {
            *value += self.rho;
            if self.one_class {
                *value = if *value > 0.0 { 1.0 } else { -1.0 };
            }
        }
        Ok(vec![Tensor::new(vec![rows, 1], Data::F32(values))?.into()])
    }
}

#[derive(Debug)]
pub(crate) struct Classifier {
    kernel: Kernel,
    labels: Arc<Labels>,
    /// Support vectors of each class; empty for a linear model.
    per_class: Vec<usize>,
    support: Vec<f32>,
    coefficients: Vec<f32>,
    features: usize,
    rho: Vec<f32>,
    /// Slope and offset that make a probability of each pairwise score; may be empty.
    proba: Vec<f32>,
    probb: Vec<f32>,
    all_positive: bool,
    post: PostTransform,
}

impl Classifier {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        let labels = class_labels(attributes, "classlabels_ints", "classlabels_strings")?;
        let classes = labels.len();
        if !(2..65_536).contains(&classes) {
            return Err(format!("it has {classes} class labels"));
        }
        let mut per_class = Vec::new();
        let mut vectors = 0usize;
        for vectors_of_class in attributes.ints("vectors_per_class")? {
            let n = usize::try_from(*vectors_of_class)
                .ok()
                .filter(|n| *n <= super::super::tensor::MAX_ELEMENTS)
                .ok_or_else(|| format!("vectors_per_class {vectors_of_class} is out of range"))?;
            per_class.push(n);
            vectors = vectors.saturating_add(n);
        }
        let support = attributes.floats("support_vectors")?.to_vec();
        let coefficients = attributes.floats("coefficients")?.to_vec();
        let rho = attributes.floats("rho")?.to_vec();
        let proba = attributes.floats("prob_a")?.to_vec();
        let probb = attributes.floats("prob_b")?.to_vec();
        let mut kernel = Kernel::of(attributes)?;
        let pairs = classes * (classes - 1) / 2;
        if proba.len() != probb.len() || (!proba.is_empty() && proba.len() < pairs) {
            return Err("`prob_a` and `prob_b` need an entry for each pair of classes".into());
        }
        let features = if vectors > 0 {
            if per_class.len() != classes {
                return Err(format!(
                    "`vectors_per_class` has {} entries for {classes} classes",
                    per_class.len()
                ));
            }
            if coefficients.len() < vectors.saturating_mul(classes - 1) || rho.len() < pairs {
                return Err("`coefficients` or `rho` is too short".into());
            }
            features(support.len(), vectors)?
        } else {
            if rho.is_empty() {
                return Err("`rho` is empty".into());
            }
            kernel = Kernel::Linear;
            per_class.clear();
            features(coefficients.len(), classes)?
        };
        let post = PostTransform::of(attributes)?;
        if post == PostTransform::Probit && classes == 2 && vectors > 0 && proba.is_empty() {
            return Err("post_transform `PROBIT` of one score for two classes is not supported".into());
        }
        Ok(Self {
            kernel,
            labels: Arc::new(labels),
            per_class,
            support,
            all_positive: coefficients.iter().all(|weight| *weight >= 0.0),
            coefficients,
            features,
            rho,
            proba,
            probb,
            post,
        })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let (rows, columns) = x.rows_and_columns()?;
        check_columns(columns, self.features)?;
        let x = x.to_f32()?;
        let classes = self.labels.len();
        let pairs = classes * (classes - 1) / 2;
        let vectors: usize = self.per_class.iter().sum();
        count(&[rows, vectors.max(pairs).max(classes)])?;

        if self.per_class.is_empty() {
            let mut scores = self.kernel.products(&x, &self.coefficients, rows, classes, columns);
            let mut chosen = Vec::with_capacity(rows);
            for row in scores.chunks_exact_mut(classes) {
                row.iter_mut().for_each(|score| *score += self.rho[0]);
                let best = first_highest(row);
                chosen.push(self.choose(best, row[best], false));
                self.post.apply(row);
            }
            return self.answer(rows, classes, chosen, scores);
        }

        let has_probabilities = !self.proba.is_empty();
        let width = if has_probabilities || classes == 2 { classes } else { pairs };
        let kernels = self.kernel.products(&x, &self.support, rows, vectors, columns);
        let mut scores = Vec::with_capacity(rows * width);
        let mut chosen = Vec::with_capacity(rows);
        for row in kernels.chunks_exact(vectors) {
            let (pair_scores, votes) = self.pairwise(row, vectors, pairs);
            let best = first_highest(&votes);
            chosen.push(self.choose(best, 0.0, has_probabilities));
            if has_probabilities {
                let mut probabilities = self.couple(&pair_scores);
                self.post.apply(&mut probabilities);
                scores.extend(probabilities);
            } else if classes == 2 {
                let second = match self.post {
                    PostTransform::None => SecondClass::Negative,
                    _ => SecondClass::Complement,
                };
                scores.extend(second.expand(pair_scores[0], self.post));
            } else {
                let mut pair_scores = pair_scores;
                self.post.apply(&mut pair_scores);
                scores.extend(pair_scores);
            }
        }
        self.answer(rows, width, chosen, scores)
    }

    /// The score of every pair of classes, and the votes that they give to each class.
    fn pairwise(&self, kernels: &[f32], vectors: usize, pairs: usize) -> (Vec<f32>, Vec<u32>) {
        let classes = self.labels.len();
        let mut starts = Vec::with_capacity(classes);
        let mut start = 0;
        for n in &self.per_class {
            starts.push(start);
            start += n;
        }
        let mut scores = Vec::with_capacity(pairs);
        let mut votes = vec![0u32; classes];
        for i in 0..classes - 1 {
            for j in i + 1..classes {
                let of_i = starts[i]..starts[i] + self.per_class[i];
                let of_j = starts[j]..starts[j] + self.per_class[j];
                let row_j = &self.coefficients[vectors * (j - 1)..vectors * j];
                let row_i = &self.coefficients[vectors * i..vectors * (i + 1)];
                let mut sum = 0.0f64;
                for (weight, kernel) in row_j[of_i.clone()].iter().zip(&kernels[of_i]) {
                    sum += f64::from(weight * kernel);
                }
                for (weight, kernel) in row_i[of_j.clone()].iter().zip(&kernels[of_j]) {
                    sum += f64::from(weight * kernel);
                }
                sum += f64::from(self.rho[scores.len()]);
                scores.push(sum as f32);
                votes[if sum > 0.0 { i } else { j }] += 1;
            }
        }
        (scores, votes)
    }

    /// Probabilities of the classes from pairwise scores: the second method of Wu, Lin and Weng (2004), with the
    /// constants of libsvm.
    fn couple(&self, scores: &[f32]) -> Vec<f32> {
        let k = self.labels.len();
        let mut pair = vec![0.0f32; k * k];
        let mut number = 0;
        for i in 0..k - 1 {
            for j in i + 1..k {
                let p = 1.0 - logistic(scores[number] * self.proba[number] + self.probb[number]);
                let p = p.clamp(1.0e-7, 1.0 - 1.0e-7);
                pair[i * k + j] = p;
                pair[j * k + i] = 1.0 - p;
                number += 1;
            }
        }
        let mut q = vec![0.0f32; k * k];
        for i in 0..k {
            for j in 0..k {
                if i != j {
                    q[i * k + i] += pair[j * k + i] * pair[j * k + i];
                    q[i * k + j] = if j < i { q[j * k + i] } else { -pair[j * k + i] * pair[i * k + j] };
                }
            }
        }
        let mut p = vec![1.0 / k as f32; k];
        let mut qp = vec![0.0f32; k];
        let enough = 0.005 / k as f32;
        for _ in 0..100 {
            let mut pqp = 0.0;
            for i in 0..k {
                qp[i] = (0..k).map(|j| q[i * k + j] * p[j]).sum();
                pqp += p[i] * qp[i];
            }
            let worst = qp.iter().map(|x| (x - pqp).abs()).fold(0.0, f32::max);
            if worst < enough {
                break;
            }
            for i in 0..k {
                let step = (pqp - qp[i]) / q[i * k + i];
                p[i] += step;
                pqp = (pqp + step * (step * q[i * k + i] + 2.0 * qp[i])) / (1.0 + step) / (1.0 + step);
                for j in 0..k {
                    qp[j] = (qp[j] + step * q[i * k + j]) / (1.0 + step);
                    p[j] /= 1.0 + step;
                }
            }
        }
        p
    }

    /// Which label a row gets. For two classes without probabilities the sign of the weight decides.
    fn choose(&self, best: usize, weight: f32, has_probabilities: bool) -> usize {
        let positive = if self.all_positive { weight >= 0.5 } else { weight > 0.0 };
        if self.labels.len() == 2 && !has_probabilities && positive { 1 } else { best }
    }

    fn answer(
        &self,
        rows: usize,
        width: usize,
        chosen: Vec<usize>,
        scores: Vec<f32>,
    ) -> Result<Vec<Value>, String> {
        Ok(vec![self.labels.pick(&chosen).into(), Tensor::new(vec![rows, width], Data::F32(scores))?.into()])
    }
}

fn first_highest<T: PartialOrd>(items: &[T]) -> usize {
    let mut best = 0;
    for (position, item) in items.iter().enumerate() {
        if *item > items[best] {
            best = position;
        }
    }
    best
}
