//! Two models on the same rows: whether a difference is more than chance.
//!
//! The *paired bootstrap* draws rows with replacement, takes the metric of both models on the same draw, and reads an
//! interval of their difference from the draws (percentile method; Efron and Tibshirani, An Introduction to the
//! Bootstrap, 1993, chapter 13). *McNemar's test* counts the rows that exactly one of the models gets right, and asks how
//! likely so uneven a split is by chance (exact binomial form; McNemar, Psychometrika 12, 1947).

use std::collections::BTreeMap;
use std::fmt;

/// How predictions are compared row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Paired {
    /// The file with the predictions: an artifact of both runs, CSV or TSV with a header.
    pub predictions: String,
    /// The column with the true value.
    pub truth: String,
    /// The column with the predicted value.
    pub predicted: String,
    /// The column that names a row; without it rows are paired by their order.
    pub key: Option<String>,
    /// The column whose values are slices, each judged for itself.
    pub slice: Option<String>,
    /// The measure that is taken of the predictions.
    pub measure: Measure,
    /// The test.
    pub test: Test,
    /// How sure one must be, between 0.5 and 1.
    pub confidence: f64,
}

impl fmt::Display for Paired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let test = match self.test {
            Test::Bootstrap { .. } => "paired bootstrap",
            Test::McNemar => "McNemar",
        };
        write!(f, "{test} on {}", self.predictions)
    }
}

/// The test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// Draws of rows with replacement.
    Bootstrap {
        /// How many draws.
        draws: usize,
        /// What the draws start from, so that a verdict can be repeated.
        seed: u64,
    },
    /// The rows on which the models disagree; of classifiers, for accuracy only.
    McNemar,
}

/// What is measured of predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The share of rows that are right.
    Accuracy,
    /// The mean over the classes of the share of their rows that are right.
    BalancedAccuracy,
    /// The mean over the classes of F1.
    F1Macro,
    /// The mean absolute error.
    Mae,
    /// The root of the mean squared error.
    Rmse,
}

impl Measure {
    /// All measures and their names.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("accuracy", Self::Accuracy),
        ("balanced_accuracy", Self::BalancedAccuracy),
        ("f1_macro", Self::F1Macro),
        ("mae", Self::Mae),
        ("rmse", Self::Rmse),
    ];

    /// The measure that is called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, measure)| *measure)
    }

    /// Whether it is taken of numbers rather than of classes.
    pub fn is_of_numbers(self) -> bool {
        matches!(self, Self::Mae | Self::Rmse)
    }
}

/// The predictions of two models for the same rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pairs {
    /// The true value of each row.
    pub truth: Vec<String>,
    /// What the judged model predicts.
    pub new: Vec<String>,
    /// What the other one predicts.
    pub old: Vec<String>,
    /// The slice of each row; empty when there are no slices.
    pub slices: Vec<String>,
}

impl Pairs {
    /// The rows of each slice; all of them under the empty name when there are no slices.
    pub fn by_slice(&self) -> BTreeMap<&str, Self> {
        if self.slices.is_empty() {
            return BTreeMap::from([("", self.clone())]);
        }
        let mut found: BTreeMap<&str, Self> = BTreeMap::new();
        for (n, slice) in self.slices.iter().enumerate() {
            let part = found.entry(slice).or_default();
            part.truth.push(self.truth[n].clone());
            part.new.push(self.new[n].clone());
            part.old.push(self.old[n].clone());
        }
        found
    }
}

/// What the comparison found.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The measure of the judged model.
    pub new: f64,
    /// The measure of the other one.
    pub old: f64,
    /// From the bootstrap: the interval in which `new - threshold(old)` lies with the asked confidence.
    pub interval: Option<(f64, f64)>,
    /// From McNemar's test: the chance of a split at least as uneven between equal models.
    pub p_value: Option<f64>,
    /// How many rows were compared.
    pub rows: usize,
}

/// The rows as numbers: of classes their places in a list, of numbers themselves.
struct Rows {
    truth: Vec<f64>,
    new: Vec<f64>,
    old: Vec<f64>,
    classes: usize,
}

/// Compares the two models. `threshold` gives for a value of the other model the value that the judged one must reach.
/// The error says in words why nothing can be told.
pub fn compare(pairs: &Pairs, paired: &Paired, threshold: impl Fn(f64) -> f64) -> Result<Difference, String> {
    let rows = Rows::of(pairs, paired.measure)?;
    let count = rows.truth.len();
    if count < 2 {
        return Err(format!("{count} rows are too few to compare"));
    }
    let all: Vec<usize> = (0..count).collect();
    let (new, old) =
        (rows.measure(&rows.new, &all, paired.measure), rows.measure(&rows.old, &all, paired.measure));
    let mut found = Difference { new, old, interval: None, p_value: None, rows: count };
    match paired.test {
        Test::Bootstrap { draws, seed } => {
            let mut random = Random(seed);
            let mut drawn = vec![0; count];
            let mut differences: Vec<f64> = (0..draws)
                .map(|_| {
                    drawn.iter_mut().for_each(|row| *row = random.below(count));
                    let old = rows.measure(&rows.old, &drawn, paired.measure);
                    rows.measure(&rows.new, &drawn, paired.measure) - threshold(old)
                })
                .collect();
            differences.sort_by(f64::total_cmp);
            let tail = (1.0 - paired.confidence) / 2.0;
            found.interval = Some((quantile(&differences, tail), quantile(&differences, 1.0 - tail)));
        }
        Test::McNemar => {
            let right = |predicted: &[f64], row: usize| predicted[row] == rows.truth[row];
            let only_new = all.iter().filter(|&&n| right(&rows.new, n) && !right(&rows.old, n)).count();
            let only_old = all.iter().filter(|&&n| right(&rows.old, n) && !right(&rows.new, n)).count();
            found.p_value = Some(mcnemar(only_new, only_old));
        }
    }
    Ok(found)
}

impl Rows {
    fn of(pairs: &Pairs, measure: Measure) -> Result<Self, String> {
        if measure.is_of_numbers() {
            let numbers = |texts: &[String]| -> Result<Vec<f64>, String> {
                let number = |text: &String| match text.trim().parse::<f64>() {
                    Ok(number) if number.is_finite() => Ok(number),
                    _ => Err(format!("`{text}` among the predictions is not a number")),
                };
                texts.iter().map(number).collect()
            };
            let (truth, new, old) = (numbers(&pairs.truth)?, numbers(&pairs.new)?, numbers(&pairs.old)?);
            return Ok(Self { truth, new, old, classes: 0 });
        }
        let names: std::collections::BTreeSet<&String> =
            pairs.truth.iter().chain(&pairs.new).chain(&pairs.old).collect();
        let places: BTreeMap<&String, f64> =
            names.iter().enumerate().map(|(n, name)| (*name, n as f64)).collect();
        let code = |texts: &[String]| texts.iter().filter_map(|text| places.get(text).copied()).collect();
        Ok(Self {
            truth: code(&pairs.truth),
            new: code(&pairs.new),
            old: code(&pairs.old),
            classes: places.len(),
        })
    }

    fn measure(&self, predicted: &[f64], rows: &[usize], measure: Measure) -> f64 {
        let count = rows.len() as f64;
        let mean = |value: &dyn Fn(usize) -> f64| rows.iter().map(|&n| value(n)).sum::<f64>() / count;
        match measure {
            Measure::Accuracy => mean(&|n| f64::from(predicted[n] == self.truth[n])),
            Measure::Mae => mean(&|n| (predicted[n] - self.truth[n]).abs()),
            Measure::Rmse => mean(&|n| (predicted[n] - self.truth[n]).powi(2)).sqrt(),
            Measure::BalancedAccuracy | Measure::F1Macro => self.of_classes(predicted, rows, measure),
        }
    }

    /// The mean over the classes that occur in these rows.
    fn of_classes(&self, predicted: &[f64], rows: &[usize], measure: Measure) -> f64 {
        let mut right = vec![0.0; self.classes];
        let mut true_ones = vec![0.0; self.classes];
        let mut said = vec![0.0; self.classes];
        for &n in rows {
            let (truth, guess) = (self.truth[n] as usize, predicted[n] as usize);
            true_ones[truth] += 1.0;
            said[guess] += 1.0;
            if truth == guess {
                right[truth] += 1.0;
            }
        }
        let (mut sum, mut count) = (0.0, 0.0);
        for class in 0..self.classes {
            let whole = match measure {
                Measure::BalancedAccuracy => true_ones[class],
                _ => (true_ones[class] + said[class]) / 2.0,
            };
            if whole > 0.0 {
                sum += right[class] / whole;
                count += 1.0;
            }
        }
        sum / count
    }
}

/// The value below which the share `at` of the sorted values lies, between two of them by a straight line.
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = at * (sorted.len() - 1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (place - place.floor())
}

/// The exact two-sided p-value of McNemar's test for `a` rows that only one model has right and `b` that only the other.
fn mcnemar(a: usize, b: usize) -> f64 {
    let n = a + b;
    if n == 0 {
        return 1.0;
    }
    // The sum of the binomial tail, in logarithms because the terms are tiny.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = log_term.exp();
    for k in 1..=a.min(b) {
        log_term += ((n - k + 1) as f64).ln() - (k as f64).ln();
        tail += log_term.exp();
    }
    (2.0 * tail).min(1.0)
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): small, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paired(measure: Measure, test: Test) -> Paired {
        Paired {
            predictions: "predictions.csv".into(),
            truth: "truth".into(),
            predicted: "predicted".into(),
            key: None,
            slice: None,
            measure,
            test,
            confidence: 0.95,
        }
    }

    /// Rows of one class of which each model has so many right.
    fn pairs(rows: usize, new_right: usize, old_right: usize) -> Pairs {
        let said = |right: usize| (0..rows).map(|n| if n < right { "a" } else { "b" }.to_owned()).collect();
        Pairs { truth: vec!["a".into(); rows], new: said(new_right), old: said(old_right), slices: vec![] }
    }

    #[test]
    fn the_interval_tells_change_from_chance() {
        let bootstrap = paired(Measure::Accuracy, Test::Bootstrap { draws: 1000, seed: 1 });
        let clear = compare(&pairs(1000, 900, 800), &bootstrap, |old| old).unwrap();
        assert!((clear.new - 0.9).abs() < 1e-12 && (clear.old - 0.8).abs() < 1e-12);
        let (low, high) = clear.interval.unwrap();
        // The standard error of the difference is sqrt(0.1 * 0.9 / 1000) = 0.0095.
        assert!((low - 0.081).abs() < 0.004 && (high - 0.119).abs() < 0.004, "{low} {high}");
        let noise = compare(&pairs(1000, 902, 900), &bootstrap, |old| old).unwrap();
        let (low, high) = noise.interval.unwrap();
        assert!(low <= 0.0 && high > 0.0, "{low} {high}");
        assert_eq!(compare(&pairs(1000, 902, 900), &bootstrap, |old| old).unwrap(), noise);
    }

    /// Values of `scipy.stats.binomtest(min(a, b), a + b).pvalue`.
    #[test]
    fn mcnemar_is_the_exact_binomial_test() {
        let table = [
            (0, 0, 1.0),
            (5, 5, 1.0),
            (1, 9, 0.021484375),
            (0, 10, 0.001953125),
            (40, 60, 0.056887933640980),
        ];
        for (a, b, expected) in table {
            let (p, reverse) = (mcnemar(a, b), mcnemar(b, a));
            assert!((p - expected).abs() < 1e-9 && (p - reverse).abs() < 1e-12, "{a} {b}: {p}");
        }
        assert!(mcnemar(5000, 6000) < 1e-9);
    }

    /// Values of `sklearn.metrics`.
    #[test]
    fn measures_are_those_of_scikit_learn() {
        let list = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let classes = Pairs {
            truth: list("a a a a b b c"),
            new: list("a a a b b a c"),
            old: list("a a a a a a a"),
            slices: vec![],
        };
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        let value =
            |measure, pairs: &Pairs| compare(pairs, &paired(measure, Test::McNemar), |old| old).unwrap();
        let found = value(Measure::Accuracy, &classes);
        assert!(close(found.new, 5.0 / 7.0) && close(found.old, 4.0 / 7.0));
        let found = value(Measure::BalancedAccuracy, &classes);
        assert!(close(found.new, 0.75) && close(found.old, 1.0 / 3.0));
        let found = value(Measure::F1Macro, &classes);
        assert!(close(found.new, 0.75) && close(found.old, 0.242_424_242_4), "{found:?}");
        let numbers = Pairs { truth: list("1 2 3"), new: list("1 2 5"), old: list("2 3 4"), slices: vec![] };
        let found = value(Measure::Mae, &numbers);
        assert!(close(found.new, 2.0 / 3.0) && close(found.old, 1.0));
        assert!(close(value(Measure::Rmse, &numbers).new, (4.0_f64 / 3.0).sqrt()));
        let words = Pairs { truth: list("x y"), ..numbers };
        assert!(compare(&words, &paired(Measure::Mae, Test::McNemar), |old| old).is_err());
    }

    #[test]
    fn slices_are_apart() {
        let mut all = pairs(4, 2, 1);
        all.slices = ["f", "m", "f", "m"].map(str::to_owned).to_vec();
        let parts = all.by_slice();
        assert_eq!(parts.keys().copied().collect::<Vec<_>>(), ["f", "m"]);
        assert_eq!(parts["f"].new, ["a", "b"]);
        assert_eq!(parts["m"].old, ["b", "b"]);
    }
}
