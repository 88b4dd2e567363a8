//! Figures that judge predictions.

use indexmap::IndexMap;
use serde::Serialize;

use crate::schema::CLASSES;

/// What `metrics.json` holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metrics {
    /// Share of right predictions.
    pub accuracy: f64,
    /// Mean over the classes of the harmonic mean of precision and recall.
    pub f1_macro: f64,
    /// By class: share of the predictions of the class that are right; 0 if it was never predicted.
    pub precision: IndexMap<&'static str, f64>,
    /// By class: share of the rows of the class that are found; 0 if there were none.
    pub recall: IndexMap<&'static str, f64>,
}

impl Metrics {
    /// Judges pairs of actual and predicted class. Classes that occur in neither are left out.
    pub fn of(pairs: &[(usize, usize)]) -> Self {
        let share = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let (mut precision, mut recall) = (IndexMap::new(), IndexMap::new());
        let mut f1_sum = 0.0;
        for (class, name) in CLASSES.into_iter().enumerate() {
            let actual = pairs.iter().filter(|pair| pair.0 == class).count();
            let predicted = pairs.iter().filter(|pair| pair.1 == class).count();
            if actual + predicted == 0 {
                continue;
            }
            let right = pairs.iter().filter(|pair| **pair == (class, class)).count();
            precision.insert(name, share(right, predicted));
            recall.insert(name, share(right, actual));
            f1_sum += share(2 * right, actual + predicted);
        }
        let right = pairs.iter().filter(|pair| pair.0 == pair.1).count();
        Self {
            accuracy: share(right, pairs.len()),
            f1_macro: if precision.is_empty() { 0.0 } else { f1_sum / precision.len() as f64 },
            precision,
            recall,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_definitions() {
        // Class 0: 3 actual, 2 predicted, 2 right. Class 1: 1 actual, 2 predicted, 1 right. Class 2: predicted 0.
        let metrics = Metrics::of(&[(0, 0), (0, 0), (0, 1), (1, 1), (2, 3)]);
        assert_eq!(metrics.accuracy, 0.6);
        assert_eq!(metrics.precision["Insufficient_Weight"], 1.0);
        assert_eq!(metrics.recall["Insufficient_Weight"], 2.0 / 3.0);
        assert_eq!(metrics.precision["Normal_Weight"], 0.5);
        assert_eq!(metrics.recall["Overweight_Level_I"], 0.0);
        assert_eq!(metrics.precision.len(), 4);
        assert!((metrics.f1_macro - (0.8 + 2.0 / 3.0) / 4.0).abs() < 1e-12);
    }
}
