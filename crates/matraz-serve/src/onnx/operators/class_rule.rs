//! How a tree ensemble's scores become a class.

use super::scores::{PostTransform, SecondClass};
use crate::trees::{Real, Scores};

/// How the summed scores of a classifier become a label and probabilities. For two classes the format leaves
/// much open; this follows onnxruntime.
pub(super) struct ClassRule<T> {
    pub classes: usize,
    pub one_sided: bool,
    pub all_positive: bool,
    pub base: Vec<T>,
    pub post: PostTransform,
}

impl<T: Real> ClassRule<T> {
    pub(super) fn finish(&self, scores: Scores<T>) -> (Vec<usize>, Vec<f32>) {
        let mut values = scores.values;
        let mut positions = Vec::with_capacity(values.len() / self.classes);
        let all = vec![true; self.classes];
        for (row, scores_of_row) in values.chunks_exact_mut(self.classes).enumerate() {
            let touched = match &scores.touched {
                None => all.as_slice(),
                Some(touched) => &touched[row * self.classes..(row + 1) * self.classes],
            };
            positions.push(match scores_of_row {
                [first, second] => self.two(first, second, touched[0], touched[1]),
                many => self.many(many, touched),
            });
        }
        (positions, values.into_iter().map(Real::to_f32).collect())
    }

    fn many(&self, scores: &mut [T], touched: &[bool]) -> usize {
        for (score, base) in scores.iter_mut().zip(&self.base) {
            *score += *base;
        }
        let mut best: Option<usize> = None;
        for (class, score) in scores.iter().enumerate() {
            let known = touched[class] || class < self.base.len();
            if known && best.is_none_or(|best| *score > scores[best]) {
                best = Some(class);
            }
        }
        self.post.apply(scores);
        best.unwrap_or(0)
    }

    fn two(&self, first: &mut T, second: &mut T, first_touched: bool, second_touched: bool) -> usize {
        let mut single = !second_touched;
        match self.base.as_slice() {
            [_, base] if second_touched => {
                *second = *base + *first;
                *first = -*second;
            }
            [base0, base1] => {
                *first += *base0;
                *second += *base1;
                single = false;
            }
            [base] => *first += *base,
            _ => {}
        }
        let weight = match (first_touched, second_touched) {
            (_, true) => *second,
            (true, false) => *first,
            (false, false) => T::default(),
        };
        // A class that no tree spoke of is 0, base value or not.
        if !first_touched {
            *first = T::default();
        }
        if !second_touched {
            *second = T::default();
        }
        let half = T::ONE / (T::ONE + T::ONE);
        let (class, rule) = match (self.one_sided, self.all_positive) {
            (true, true) => (usize::from(weight > half), SecondClass::Complement),
            (true, false) => (usize::from(weight > T::default()), SecondClass::Negative),
            (false, _) => {
                let rule = if self.base.is_empty() { SecondClass::Negative } else { SecondClass::Absent };
                (usize::from(weight > T::default()), rule)
            }
        };
        if single {
            [*first, *second] = rule.expand(*first, self.post);
        } else {
            let mut both = [*first, *second];
            self.post.apply(&mut both);
            [*first, *second] = both;
        }
        class
    }
}
