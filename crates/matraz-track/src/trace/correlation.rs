//! How much two filters over traces go together: normalized pointwise mutual information.

/// Counts of traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the experiments, or matching the base filter.
    pub total: i64,
    /// Matching the first filter.
    pub first: i64,
    /// Matching the second one.
    pub second: i64,
    /// Matching both.
    pub joint: i64,
}

impl Counts {
    /// From -1 (never together) over 0 (independent) to 1 (always together); NaN when a filter matches nothing.
    /// `smoothing` is added to each of the four cells: 0, or 0.5 for small numbers.
    pub fn npmi(&self, smoothing: f64) -> f64 {
        let cells = [
            self.joint,
            self.first - self.joint,
            self.second - self.joint,
            self.total - self.first - self.second + self.joint,
        ];
        if self.total <= 0 || self.first == 0 || self.second == 0 || cells.iter().any(|cell| *cell < 0) {
            return f64::NAN;
        }
        if smoothing == 0.0 && self.joint == 0 {
            return -1.0;
        }
        let [both, only_first, only_second, neither] = cells.map(|cell| cell as f64 + smoothing);
        if cells[1..] == [0, 0, 0] {
            return 1.0;
        }
        let total = both + only_first + only_second + neither;
        let (first, second) = (both + only_first, both + only_second);
        let pmi = (both.ln() + total.ln()) - (first.ln() + second.ln());
        (pmi / -(both.ln() - total.ln())).clamp(-1.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let npmi =
            |total, first, second, joint, smoothing| Counts { total, first, second, joint }.npmi(smoothing);
        assert_eq!(npmi(2, 1, 1, 1, 0.0), 1.0);
        assert!((npmi(2, 1, 1, 1, 0.5) - 0.413_390_105_222_847_47).abs() < 1e-12);
        assert_eq!(npmi(10, 2, 3, 0, 0.0), -1.0);
        assert!(npmi(2, 0, 1, 0, 0.0).is_nan());
        assert_eq!(npmi(100, 100, 100, 100, 0.0), 1.0);
        assert!(npmi(100, 50, 50, 25, 0.0).abs() < 1e-12);
    }
}
