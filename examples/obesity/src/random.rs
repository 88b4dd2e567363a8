//! A small random generator whose numbers are the same on every machine.

/// SplitMix64 (Steele, Lea and Flood, 2014): one 64-bit state, full period, no table.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator for `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// An independent generator for the part `number` of a work that has one `seed`, so that parts may run in
    /// any order and on any thread.
    pub fn for_part(seed: u64, number: u64) -> Self {
        let mut mixer = Self::new(seed ^ number.wrapping_add(1).wrapping_mul(0xD1B5_4A32_D192_ED03));
        Self::new(mixer.next())
    }

    /// The next 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A whole number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    /// A number in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number with mean 0 and variance 1, nearly normal: the sum of twelve uniform numbers. Unlike the usual
    /// methods it needs no logarithm, which differs between systems in the last digit.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// The position of a weight, drawn in proportion to the weights.
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut rest = self.unit() * weights.iter().sum::<f64>();
        for (position, weight) in weights.iter().enumerate() {
            rest -= weight;
            if rest < 0.0 {
                return position;
            }
        }
        weights.len().saturating_sub(1)
    }

    /// Shuffles in place (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_the_paper() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn numbers_stay_in_their_range_and_have_the_right_mean() {
        let mut random = Random::new(7);
        assert!((0..1000).all(|_| random.below(3) < 3));
        let mean = (0..10_000).map(|_| random.normal()).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.05, "{mean}");
        assert_eq!(random.weighted(&[0.0, 1.0, 0.0]), 1);
    }

    #[test]
    fn parts_differ() {
        assert_ne!(Random::for_part(42, 0).next(), Random::for_part(42, 1).next());
        assert_ne!(Random::for_part(42, 0).next(), Random::for_part(43, 0).next());
    }
}
