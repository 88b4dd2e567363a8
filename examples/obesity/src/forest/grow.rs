//! Growing one tree: a bootstrap sample, then the best split by Gini impurity until nothing is left to gain.

use super::{Matrix, Node, Settings, Tree, VOTES};
use crate::random::Random;

/// A tree and how much every column lessened the impurity in it.
pub(super) struct Grown {
    pub(super) tree: Tree,
    pub(super) decrease: Vec<f64>,
}

/// A row of the bootstrap sample: drawn at least once.
#[derive(Clone, Copy)]
struct Sample {
    row: u32,
    class: u32,
    /// How often it was drawn, times the weight of its class.
    weight: f64,
}

/// A node whose rows are `start..end` of the samples.
struct Task {
    node: usize,
    start: usize,
    end: usize,
    depth: usize,
}

struct Split {
    feature: usize,
    threshold: f32,
    /// Decrease of impurity, in units of weight.
    gain: f64,
}

struct Grower<'a> {
    features: &'a Matrix,
    settings: &'a Settings,
    n_classes: usize,
    /// The votes that each leaf shares out.
    votes: u32,
    random: Random,
    samples: Vec<Sample>,
    /// All columns, in an order that drawing changes.
    columns: Vec<usize>,
    /// The values of one column in a node with the position of their sample, for sorting.
    sorted: Vec<(f32, u32)>,
}

/// Grows the tree that `random` determines.
pub(super) fn tree(
    features: &Matrix,
    classes: &[usize],
    class_weights: &[f64],
    settings: &Settings,
    votes: u32,
    mut random: Random,
) -> Grown {
    let mut drawn = vec![0u32; features.rows];
    for _ in 0..features.rows {
        drawn[random.below(features.rows)] += 1;
    }
    let samples = drawn
        .iter()
        .zip(classes)
        .enumerate()
        .filter(|(_, (times, _))| **times > 0)
        .map(|(row, (times, class))| Sample {
            row: row as u32,
            class: *class as u32,
            weight: f64::from(*times) * class_weights[*class],
        })
        .collect();
    let grower = Grower {
        features,
        settings,
        n_classes: class_weights.len(),
        votes,
        random,
        samples,
        columns: (0..features.columns).collect(),
        sorted: Vec::new(),
    };
    grower.grow()
}

impl Grower<'_> {
    fn grow(mut self) -> Grown {
        let mut nodes = vec![Node::Leaf { votes: Vec::new() }];
        let mut decrease = vec![0.0; self.features.columns];
        let mut tasks = vec![Task { node: 0, start: 0, end: self.samples.len(), depth: 0 }];
        while let Some(Task { node, start, end, depth }) = tasks.pop() {
            let totals = self.totals(start, end);
            let Some(split) = self.best_split(start, end, depth, &totals) else {
                nodes[node] = Node::Leaf { votes: self.votes(&totals) };
                continue;
            };
            decrease[split.feature] += split.gain;
            let middle = self.partition(start, end, &split);
            let (left, right) = (nodes.len(), nodes.len() + 1);
            nodes.push(Node::Leaf { votes: Vec::new() });
            nodes.push(Node::Leaf { votes: Vec::new() });
            nodes[node] = Node::Split { feature: split.feature, threshold: split.threshold, left, right };
            tasks.push(Task { node: right, start: middle, end, depth: depth + 1 });
            tasks.push(Task { node: left, start, end: middle, depth: depth + 1 });
        }
        Grown { tree: Tree { nodes }, decrease }
    }

    /// The weight of every class among some samples.
    fn totals(&self, start: usize, end: usize) -> Vec<f64> {
        let mut totals = vec![0.0; self.n_classes];
        for sample in &self.samples[start..end] {
            totals[sample.class as usize] += sample.weight;
        }
        totals
    }

    /// Shares the votes of a leaf out to its classes by their weights: whole votes, all of them, those left over
    /// by rounding down to the classes that lost most by it.
    fn votes(&self, totals: &[f64]) -> Vec<(usize, f32)> {
        let total: f64 = totals.iter().sum();
        let exact = |class: usize| totals[class] / total * f64::from(self.votes);
        let mut classes: Vec<usize> = (0..totals.len()).filter(|class| totals[*class] > 0.0).collect();
        classes.sort_by(|a, b| exact(*b).fract().total_cmp(&exact(*a).fract()).then(a.cmp(b)));
        let mut left_over =
            classes.iter().fold(self.votes, |rest, class| rest.saturating_sub(exact(*class) as u32));
        let mut votes = Vec::with_capacity(classes.len());
        for class in classes {
            let more = u32::from(left_over > 0);
            left_over -= more;
            let whole = exact(class) as u32 + more;
            if whole > 0 {
                votes.push((class, whole as f32 / VOTES as f32));
            }
        }
        votes.sort_by_key(|(class, _)| *class);
        votes
    }

    /// The best split of a node over a random choice of columns; `None` makes it a leaf. Columns that are
    /// constant in the node do not end the search: it goes on until one could be split.
    fn best_split(&mut self, start: usize, end: usize, depth: usize, totals: &[f64]) -> Option<Split> {
        let too_deep = self.settings.max_depth.is_some_and(|limit| depth >= limit);
        let too_few = end - start < 2 * self.settings.min_samples_leaf.max(1);
        let pure = totals.iter().filter(|weight| **weight > 0.0).count() < 2;
        if too_deep || too_few || pure {
            return None;
        }
        let wanted = self.settings.max_features.count(self.columns.len());
        let mut best: Option<Split> = None;
        for looked_at in 0..self.columns.len() {
            if looked_at >= wanted && best.is_some() {
                break;
            }
            let drawn = looked_at + self.random.below(self.columns.len() - looked_at);
            self.columns.swap(looked_at, drawn);
            let feature = self.columns[looked_at];
            if let Some(split) = self.split_of(feature, start, end, totals)
                && best.as_ref().is_none_or(|best| split.gain > best.gain)
            {
                best = Some(split);
            }
        }
        best
    }

    /// The best threshold of one column.
    fn split_of(&mut self, feature: usize, start: usize, end: usize, totals: &[f64]) -> Option<Split> {
        let values = self.features.column(feature);
        self.sorted.clear();
        self.sorted.extend(
            (start..end).map(|position| (values[self.samples[position].row as usize], position as u32)),
        );
        self.sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));

        let total: f64 = totals.iter().sum();
        let total_squares: f64 = totals.iter().map(|weight| weight * weight).sum();
        let mut left = vec![0.0; self.n_classes];
        let (mut left_weight, mut left_squares, mut right_squares) = (0.0, 0.0, total_squares);
        let least = self.settings.min_samples_leaf.max(1);
        let mut best: Option<(usize, f64)> = None;
        for (count, pair) in self.sorted.windows(2).enumerate() {
            let sample = self.samples[pair[0].1 as usize];
            let (class, weight) = (sample.class as usize, sample.weight);
            // The sums of squares follow from the change: (l + w)² - l², and the same on the right.
            left_squares += weight * (2.0 * left[class] + weight);
            right_squares -= weight * (2.0 * (totals[class] - left[class]) - weight);
            left[class] += weight;
            left_weight += weight;
            let (on_left, on_right) = (count + 1, self.sorted.len() - count - 1);
            if pair[0].0 == pair[1].0 || on_left < least || on_right < least {
                continue;
            }
            // Gini impurity times weight is w - Σ w_c²/w, so a split gains what these quotients gain.
            let quality = left_squares / left_weight + right_squares / (total - left_weight);
            if best.is_none_or(|(_, best)| quality > best) {
                best = Some((count, quality));
            }
        }
        let (count, quality) = best?;
        let (below, above) = (self.sorted[count].0, self.sorted[count + 1].0);
        let half_way = below / 2.0 + above / 2.0;
        // Between neighbouring floats the half-way point rounds to one of them; it must not be the upper one.
        let threshold = if half_way >= above { below } else { half_way };
        Some(Split { feature, threshold, gain: (quality - total_squares / total).max(0.0) })
    }

    /// Moves the samples of the left child before those of the right one, both in their order.
    fn partition(&mut self, start: usize, end: usize, split: &Split) -> usize {
        let values = self.features.column(split.feature);
        let goes_left = |sample: &Sample| values[sample.row as usize] <= split.threshold;
        let (left, right): (Vec<Sample>, Vec<Sample>) =
            self.samples[start..end].iter().copied().partition(goes_left);
        let middle = start + left.len();
        self.samples[start..middle].copy_from_slice(&left);
        self.samples[middle..end].copy_from_slice(&right);
        middle
    }
}
