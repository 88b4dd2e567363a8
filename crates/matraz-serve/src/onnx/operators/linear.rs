//! LinearClassifier and LinearRegressor.

use std::sync::Arc;

use super::super::attributes::Attributes;
use super::super::tensor::{Data, Labels, Tensor, Value, count};
use super::matrix::rows_by_columns;
use super::scores::{PostTransform, SecondClass, probit};
use super::{Inputs, class_labels};

#[derive(Debug)]
pub(crate) struct Classifier {
    coefficients: Vec<f32>,
    intercepts: Vec<f32>,
    features: usize,
    labels: Arc<Labels>,
    post: PostTransform,
}

impl Classifier {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        // Whether the model is one-versus-rest or multinomial shows in `post_transform` already.
        attributes.ignore(&["multi_class"]);
        let coefficients = attributes.floats("coefficients")?.to_vec();
        let intercepts = attributes.floats("intercepts")?.to_vec();
        let labels = class_labels(attributes, "classlabels_ints", "classlabels_strings")?;
        if intercepts.is_empty() || coefficients.is_empty() || coefficients.len() % intercepts.len() != 0 {
            return Err(format!(
                "{} coefficients cannot be shared out to {} intercepts",
                coefficients.len(),
                intercepts.len()
            ));
        }
        let fits = intercepts.len() == labels.len() || (intercepts.len() == 1 && labels.len() == 2);
        if !fits {
            return Err(format!("{} class labels for {} scores", labels.len(), intercepts.len()));
        }
        let post = PostTransform::of(attributes)?;
        if post == PostTransform::Probit && intercepts.len() < labels.len() {
            return Err("post_transform `PROBIT` of one score for two classes is not supported".into());
        }
        Ok(Self {
            features: coefficients.len() / intercepts.len(),
            coefficients,
            intercepts,
            labels: Arc::new(labels),
            post,
        })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let (rows, columns) = x.rows_and_columns()?;
        if columns != self.features {
            return Err(format!("its input has {columns} columns, the model has {} features", self.features));
        }
        let classes = self.intercepts.len();
        count(&[rows, classes.max(2)])?;
        let items = x.to_f32()?;
        let mut scores = rows_by_columns(&items, &self.coefficients, rows, classes, columns);
        for row in scores.chunks_exact_mut(classes) {
            for (score, intercept) in row.iter_mut().zip(&self.intercepts) {
                *score += intercept;
            }
        }
        if classes == 1 {
            return self.finish_binary(rows, scores);
        }
        let mut chosen = Vec::with_capacity(rows);
        for row in scores.chunks_exact_mut(classes) {
            let mut best = 0;
            for (class, score) in row.iter().enumerate() {
                if *score > row[best] {
                    best = class;
                }
            }
            chosen.push(best);
            self.post.apply(row);
        }
        Ok(vec![
            self.labels.pick(&chosen).into(),
            Tensor::new(vec![rows, classes], Data::F32(scores))?.into(),
        ])
    }

    /// One score, and one label (the other is then 0 or 1) or two.
    fn finish_binary(&self, rows: usize, scores: Vec<f32>) -> Result<Vec<Value>, String> {
        let positive: Vec<usize> = scores.iter().map(|score| usize::from(*score > 0.0)).collect();
        if self.labels.len() == 2 {
            let mut both = Vec::with_capacity(rows * 2);
            for score in scores {
                both.extend(SecondClass::Complement.expand(score, self.post));
            }
            return Ok(vec![
                self.labels.pick(&positive).into(),
                Tensor::new(vec![rows, 2], Data::F32(both))?.into(),
            ]);
        }
        let zero_and_one = match *self.labels {
            Labels::Integers(_) => Labels::Integers(vec![0, 1]),
            Labels::Texts(_) => Labels::Texts(vec!["0".into(), "1".into()]),
        };
        let mut scores = scores;
        if self.post == PostTransform::Probit {
            scores.iter_mut().for_each(|score| *score = probit(*score));
        }
        Ok(vec![zero_and_one.pick(&positive).into(), Tensor::new(vec![rows, 1], Data::F32(scores))?.into()])
    }
}

#[derive(Debug)]
pub(crate) struct Regressor {
    coefficients: Vec<f32>,
    intercepts: Vec<f32>,
    targets: usize,
    features: usize,
    post: PostTransform,
}

impl Regressor {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        let coefficients = attributes.floats("coefficients")?.to_vec();
        let intercepts = attributes.floats("intercepts")?.to_vec();
        let targets = attributes.int_or("targets", 1)?;
        let targets = usize::try_from(targets)
            .ok()
            .filter(|n| *n > 0 && !coefficients.is_empty() && coefficients.len() % n == 0)
            .ok_or_else(|| {
                format!("{} coefficients cannot be shared out to {targets} targets", coefficients.len())
            })?;
        if !intercepts.is_empty() && intercepts.len() != targets && intercepts.len() != 1 {
            return Err(format!("{} intercepts for {targets} targets", intercepts.len()));
        }
        Ok(Self {
            features: coefficients.len() / targets,
            coefficients,
            intercepts,
            targets,
            post: PostTransform::of(attributes)?,
        })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let (rows, columns) = x.rows_and_columns()?;
        if columns != self.features {
            return Err(format!("its input has {columns} columns, the model has {} features", self.features));
        }
        count(&[rows, self.targets])?;
        let mut values = rows_by_columns(&x.to_f32()?, &self.coefficients, rows, self.targets, columns);
        for row in values.chunks_exact_mut(self.targets) {
            for (target, value) in row.iter_mut().enumerate() {
                *value += match self.intercepts.as_slice() {
                    [] => 0.0,
                    [one] => *one,
                    many => many[target],
                };
            }
            if self.targets > 1 {
                self.post.apply(row);
            } else if self.post == PostTransform::Probit {
                row[0] = probit(row[0]);
            }
        }
        Ok(vec![Tensor::new(vec![rows, self.targets], Data::F32(values))?.into()])
    }
}
