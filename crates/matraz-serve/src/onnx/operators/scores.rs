//! What classifiers and regressors do to their raw scores (`post_transform`), as onnxruntime computes it.

use super::super::attributes::Attributes;
use crate::trees::Real;

/// The attribute `post_transform`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PostTransform {
    None,
    Softmax,
    Logistic,
    SoftmaxZero,
    Probit,
}

impl PostTransform {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        match attributes.string("post_transform")?.as_deref() {
            None | Some("NONE") => Ok(Self::None),
            Some("SOFTMAX") => Ok(Self::Softmax),
            Some("LOGISTIC") => Ok(Self::Logistic),
            Some("SOFTMAX_ZERO") => Ok(Self::SoftmaxZero),
            Some("PROBIT") => Ok(Self::Probit),
            Some(other) => Err(format!("post_transform `{other}` is not known")),
        }
    }

    /// Transforms the scores of one row that has two or more.
    pub(super) fn apply<T: Real>(self, scores: &mut [T]) {
        match self {
            Self::None => {}
            Self::Softmax => softmax(scores),
            Self::SoftmaxZero => softmax_zero(scores),
            Self::Logistic => {
                for score in scores {
                    *score = T::from_f32(logistic(score.to_f32()));
                }
            }
            Self::Probit => {
                for score in scores {
                    *score = T::from_f32(probit(score.to_f32()));
                }
            }
        }
    }
}

pub(super) fn logistic(x: f32) -> f32 {
    let positive = 1.0 / (1.0 + (-x.abs()).exp());
    if x < 0.0 { 1.0 - positive } else { positive }
}

/// Pi as the approximation below has it.
#[expect(clippy::approx_constant, reason = "the published constant, for equal results")]
const ROUGH_PI: f32 = 3.14159;

/// The quantile of the normal distribution by Winitzki's approximation of the inverse error function, which
/// onnxruntime uses as well.
pub(super) fn probit(x: f32) -> f32 {
    let y = 2.0 * x - 1.0;
    let sign = if y < 0.0 { -1.0 } else { 1.0 };
    let log = ((1.0 - y) * (1.0 + y)).ln();
    let half = 2.0 / (ROUGH_PI * 0.147) + 0.5 * log;
    let inner = -half + (half * half - 1.0 / 0.147 * log).sqrt();
    std::f32::consts::SQRT_2 * sign * inner.sqrt()
}

pub(super) fn softmax<T: Real>(scores: &mut [T]) {
    let mut highest = T::LOWEST;
    for score in scores.iter() {
        if *score > highest {
            highest = *score;
        }
    }
    let mut sum = T::default();
    for score in scores.iter_mut() {
        *score = (*score - highest).exp();
        sum += *score;
    }
    for score in scores {
        *score /= sum;
    }
}

/// Softmax that leaves zeros zero.
fn softmax_zero<T: Real>(scores: &mut [T]) {
    let mut highest = T::LOWEST;
    for score in scores.iter() {
        if *score > highest {
            highest = *score;
        }
    }
    let shrink = (-highest).exp();
    let near_zero = T::from_f32(0.000_000_1);
    let mut sum = T::default();
    for score in scores.iter_mut() {
        if *score > near_zero || *score < -near_zero {
            *score = (*score - highest).exp();
            sum += *score;
        } else {
            *score *= shrink;
        }
    }
    for score in scores {
        *score /= sum;
    }
}

/// How the score of a second class is made when a binary classifier computes one score only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecondClass {
    /// There is one score, and it stays alone.
    Absent,
    /// The score is a probability: the other class has one minus it.
    Complement,
    /// The score has a sign: the other class has its negative.
    Negative,
}

impl SecondClass {
    /// Both scores of a row that has one.
    pub(super) fn expand<T: Real>(self, score: T, post: PostTransform) -> [T; 2] {
        match (self, post) {
            (_, PostTransform::Probit) => [T::from_f32(probit(score.to_f32())), T::default()],
            (Self::Absent, _) => [score, T::default()],
            (_, PostTransform::Logistic) => {
                [T::from_f32(logistic((-score).to_f32())), T::from_f32(logistic(score.to_f32()))]
            }
            (Self::Complement, _) => [T::ONE - score, score],
            (Self::Negative, _) => [-score, score],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_survives_large_scores() {
        let mut scores = [1000.0f32, 1000.0];
        softmax(&mut scores);
        assert_eq!(scores, [0.5, 0.5]);
    }

    #[test]
    fn probit_is_near_the_normal_quantile() {
        for (p, quantile) in [(0.5f32, 0.0f32), (0.975, 1.96), (0.025, -1.96)] {
            assert!((probit(p) - quantile).abs() < 0.01, "{p}");
        }
    }

    #[test]
    fn softmax_zero_keeps_zeros() {
        let mut scores = [0.0f32, 2.0, 0.0];
        PostTransform::SoftmaxZero.apply(&mut scores);
        assert_eq!(scores, [0.0, 1.0, 0.0]);
    }
}
