//! A random forest of classification trees (Breiman, 2001) that is the same for the same seed on any number of
//! threads.
//!
//! The forest and its ONNX form give the same answers bit by bit, whoever runs it. For that, thresholds are `f32`,
//! and the votes of the leaves are whole numbers of [`VOTES`]: then sums of votes are exact in `f32`, in any order
//! of the trees, and the probabilities of a row add up to 1. Votes rounded one by one would drift apart by 1e-5.

mod grow;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::random::Random;

/// How many votes a forest has, shared by its trees. Sums up to it are exact in `f32` when votes are counted in
/// parts of it.
pub const VOTES: u32 = 1 << 24;

/// The most trees that a forest may have; each still has enough votes to tell shares of a leaf apart.
pub const MAX_TREES: usize = 100_000;

/// How many columns a node looks at before it splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxFeatures {
    /// The square root of their number.
    Sqrt,
    /// The binary logarithm of their number.
    Log2,
    /// All of them.
    All,
}

impl MaxFeatures {
    /// The number of columns out of `n_features`, at least 1.
    pub fn count(self, n_features: usize) -> usize {
        match self {
            Self::Sqrt => n_features.isqrt().max(1),
            Self::Log2 => n_features.checked_ilog2().map_or(1, |log| log as usize).max(1),
            Self::All => n_features.max(1),
        }
    }
}

/// What a row of a class weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassWeight {
    /// Rows of rare classes weigh more, so that all classes weigh the same together.
    Balanced,
    /// Every row weighs 1.
    None,
}

/// How to grow a forest.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Number of trees, at most [`MAX_TREES`].
    pub n_estimators: usize,
    /// Greatest depth of a tree; `None` grows until leaves are pure.
    pub max_depth: Option<usize>,
    /// Fewest distinct rows in a leaf.
    pub min_samples_leaf: usize,
    /// Columns looked at for each split.
    pub max_features: MaxFeatures,
    /// Weights of the classes.
    pub class_weight: ClassWeight,
    /// Seed of all randomness.
    pub seed: u64,
}

/// Numbers in rows and columns, stored column after column.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// The value of row `r` and column `c` is at `c * rows + r`.
    pub values: Vec<f32>,
}

impl Matrix {
    /// A matrix from rows of equal length.
    pub fn from_rows(rows: &[Vec<f32>]) -> Self {
        let columns = rows.first().map_or(0, Vec::len);
        let values = (0..columns).flat_map(|column| rows.iter().map(move |row| row[column])).collect();
        Self { rows: rows.len(), columns, values }
    }

    /// The values of one column.
    pub fn column(&self, column: usize) -> &[f32] {
        &self.values[column * self.rows..(column + 1) * self.rows]
    }
}

/// A node of a tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Rows whose value in column `feature` is at most `threshold` go to `left`, others to `right`.
    Split {
        /// The column.
        feature: usize,
        /// The threshold.
        threshold: f32,
        /// Position of the node for smaller values.
        left: usize,
        /// Position of the node for greater values.
        right: usize,
    },
    /// What the leaf adds to the probability of each class: its share of the tree's votes. Classes that are not in
    /// the leaf are left out.
    Leaf {
        /// Class and addend, by class.
        votes: Vec<(usize, f32)>,
    },
}

/// A tree; its root is the first node and children stand behind their parents.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// A forest.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    /// The trees.
    pub trees: Vec<Tree>,
    /// Number of classes.
    pub n_classes: usize,
    /// Share of each column in the decrease of impurity; the sum is 1, or 0 if nothing was split.
    pub importance: Vec<f64>,
}

impl Forest {
    /// Grows a forest on `features` and the class of each row, on `threads` threads. The result depends on the
    /// settings and the rows only.
    pub fn train(
        features: &Matrix,
        classes: &[usize],
        n_classes: usize,
        settings: &Settings,
        threads: usize,
    ) -> Self {
        let weights = class_weights(classes, n_classes, settings.class_weight);
        let next = AtomicUsize::new(0);
        let work = || {
            let mut grown = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= settings.n_estimators {
                    return grown;
                }
                let random = Random::for_part(settings.seed, number as u64);
                let votes = votes_of_tree(number, settings.n_estimators);
                grown.push((number, grow::tree(features, classes, &weights, settings, votes, random)));
            }
        };
        let mut grown: Vec<(usize, grow::Grown)> = thread::scope(|scope| {
            let workers: Vec<_> =
                (1..threads.clamp(1, settings.n_estimators.max(1))).map(|_| scope.spawn(work)).collect();
            let mut grown = work();
            for worker in workers {
                match worker.join() {
                    Ok(trees) => grown.extend(trees),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            grown
        });
        // Sums of floats depend on their order: the order of the trees, not of the threads.
        grown.sort_by_key(|(number, _)| *number);

        let mut importance = vec![0.0; features.columns];
        let mut trees = Vec::with_capacity(grown.len());
        for (_, grown) in grown {
            let total: f64 = grown.decrease.iter().sum();
            if total > 0.0 {
                for (sum, decrease) in importance.iter_mut().zip(&grown.decrease) {
                    *sum += decrease / total;
                }
            }
            trees.push(grown.tree);
        }
        let total: f64 = importance.iter().sum();
        if total > 0.0 {
            importance.iter_mut().for_each(|share| *share /= total);
        }
        Self { trees, n_classes, importance }
    }

    /// The probabilities of the classes for one row; their sum is 1.
    pub fn probabilities(&self, row: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0; self.n_classes];
        for tree in &self.trees {
            let mut at = 0;
            loop {
                match &tree.nodes[at] {
                    Node::Split { feature, threshold, left, right } => {
                        at = if row[*feature] <= *threshold { *left } else { *right };
                    }
                    Node::Leaf { votes } => {
                        for (class, vote) in votes {
                            sums[*class] += vote;
                        }
                        break;
                    }
                }
            }
        }
        sums
    }

    /// The most probable class for one row; the first of equals.
    pub fn predict(&self, row: &[f32]) -> usize {
        let mut best = 0;
        let probabilities = self.probabilities(row);
        for (class, probability) in probabilities.iter().enumerate() {
            if *probability > probabilities[best] {
                best = class;
            }
        }
        best
    }

    /// Number of nodes of all trees.
    pub fn n_nodes(&self) -> usize {
        self.trees.iter().map(|tree| tree.nodes.len()).sum()
    }
}

/// The votes of one tree of `n_trees`; those of all trees are [`VOTES`].
fn votes_of_tree(number: usize, n_trees: usize) -> u32 {
    let before = |number: usize| (u64::from(VOTES) * number as u64 / n_trees as u64) as u32;
    before(number + 1) - before(number)
}

fn class_weights(classes: &[usize], n_classes: usize, weighting: ClassWeight) -> Vec<f64> {
    let mut counts = vec![0usize; n_classes];
    classes.iter().for_each(|class| counts[*class] += 1);
    let present = counts.iter().filter(|count| **count > 0).count();
    let weight = |count: &usize| match weighting {
        ClassWeight::Balanced if *count > 0 => classes.len() as f64 / (present * count) as f64,
        ClassWeight::Balanced | ClassWeight::None => 1.0,
    };
    counts.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(n_estimators: usize) -> Settings {
        Settings {
            n_estimators,
            max_depth: Some(12),
            min_samples_leaf: 1,
            max_features: MaxFeatures::Sqrt,
            class_weight: ClassWeight::Balanced,
            seed: 42,
        }
    }

    /// Two columns that decide the class and three of noise.
    fn circle(rows: usize, seed: u64) -> (Vec<Vec<f32>>, Vec<usize>) {
        let mut random = Random::new(seed);
        let points: Vec<Vec<f32>> =
            (0..rows).map(|_| (0..5).map(|_| (random.unit() * 2.0 - 1.0) as f32).collect()).collect();
        let class = |point: &Vec<f32>| match point[0] * point[0] + point[1] * point[1] {
            square if square < 0.3 => 0,
            square if square < 0.8 => 1,
            _ => 2,
        };
        let classes = points.iter().map(class).collect();
        (points, classes)
    }

    #[test]
    fn the_forest_is_the_same_on_any_number_of_threads() {
        let (points, classes) = circle(300, 1);
        let features = Matrix::from_rows(&points);
        let one = Forest::train(&features, &classes, 3, &settings(20), 1);
        for threads in [2, 3, 7, 64] {
            assert_eq!(Forest::train(&features, &classes, 3, &settings(20), threads), one);
        }
        let other = Settings { seed: 43, ..settings(20) };
        assert_ne!(Forest::train(&features, &classes, 3, &other, 1), one);
        // A longer forest starts with the shorter one, up to the scale of the votes.
        let longer = Forest::train(&features, &classes, 3, &settings(25), 2);
        assert_eq!(longer.trees[3].nodes.len(), one.trees[3].nodes.len());
    }

    #[test]
    fn it_learns_a_rule_and_tells_signal_from_noise() {
        let (points, classes) = circle(800, 2);
        let forest = Forest::train(&Matrix::from_rows(&points), &classes, 3, &settings(60), 2);
        let (unseen, truth) = circle(500, 3);
        let right = unseen.iter().zip(&truth).filter(|(row, class)| forest.predict(row) == **class).count();
        assert!(right > 430, "{right} of 500");
        assert!((forest.importance.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let noise = forest.importance[2..].iter().copied().fold(0.0, f64::max);
        assert!(forest.importance[0] > 2.0 * noise && forest.importance[1] > 2.0 * noise);
    }

    #[test]
    fn probabilities_add_up_to_one() {
        let (points, classes) = circle(200, 4);
        let forest = Forest::train(&Matrix::from_rows(&points), &classes, 3, &settings(30), 1);
        for row in &points {
            let probabilities = forest.probabilities(row);
            assert_eq!(probabilities.iter().sum::<f32>(), 1.0);
            assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
        }
    }

    #[test]
    fn the_order_of_the_trees_does_not_matter() {
        let (points, classes) = circle(300, 7);
        let mut forest = Forest::train(&Matrix::from_rows(&points), &classes, 3, &settings(77), 1);
        let forwards: Vec<_> = points.iter().map(|row| forest.probabilities(row)).collect();
        forest.trees.reverse();
        let backwards: Vec<_> = points.iter().map(|row| forest.probabilities(row)).collect();
        assert_eq!(forwards, backwards);
        assert_eq!((0..77).map(|number| votes_of_tree(number, 77)).sum::<u32>(), VOTES);
        assert!((0..MAX_TREES).all(|number| votes_of_tree(number, MAX_TREES) > 100));
    }

    #[test]
    fn limits_are_kept() {
        let (points, classes) = circle(300, 5);
        let features = Matrix::from_rows(&points);
        let stumps =
            Forest::train(&features, &classes, 3, &Settings { max_depth: Some(1), ..settings(5) }, 1);
        assert!(stumps.trees.iter().all(|tree| tree.nodes.len() <= 3));
        let coarse =
            Forest::train(&features, &classes, 3, &Settings { min_samples_leaf: 150, ..settings(5) }, 1);
        assert!(coarse.trees.iter().all(|tree| tree.nodes.len() <= 3));
        let deep = Forest::train(&features, &classes, 3, &Settings { max_depth: None, ..settings(5) }, 1);
        assert!(deep.n_nodes() > stumps.n_nodes());
    }

    #[test]
    fn balanced_weights_help_a_rare_class() {
        let mut random = Random::new(6);
        // One column; the rare class lies in the middle of the common one and is outnumbered there.
        let points: Vec<Vec<f32>> = (0..1000).map(|_| vec![random.unit() as f32]).collect();
        let classes: Vec<usize> =
            points.iter().map(|p| usize::from((0.4..0.6).contains(&p[0]) && random.unit() < 0.3)).collect();
        let rare = |class_weight| {
            let settings = Settings { class_weight, min_samples_leaf: 30, ..settings(30) };
            Forest::train(&Matrix::from_rows(&points), &classes, 2, &settings, 1).predict(&[0.5])
        };
        assert_eq!(rare(ClassWeight::None), 0);
        assert_eq!(rare(ClassWeight::Balanced), 1);
    }

    #[test]
    fn one_class_and_constant_columns_give_a_leaf() {
        let points = vec![vec![1.0, 2.0]; 10];
        let features = Matrix::from_rows(&points);
        let pure = Forest::train(&features, &[1; 10], 2, &settings(3), 1);
        assert_eq!(pure.predict(&[0.0, 0.0]), 1);
        let mixed: Vec<usize> = (0..10).map(|n| n % 2).collect();
        let constant = Forest::train(&features, &mixed, 2, &settings(3), 1);
        assert_eq!(constant.n_nodes(), 3);
        assert_eq!(constant.importance, [0.0, 0.0]);
    }

    #[test]
    fn numbers_of_columns_to_look_at() {
        assert_eq!(MaxFeatures::Sqrt.count(31), 5);
        assert_eq!(MaxFeatures::Log2.count(31), 4);
        assert_eq!(MaxFeatures::All.count(31), 31);
        assert_eq!(MaxFeatures::Log2.count(1), 1);
    }
}
