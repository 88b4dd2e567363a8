//! Decision trees in memory and the way of rows through them.
//!
//! Nodes are compact (12 bytes in 32-bit floats) and lie so that the two children of a node are neighbours: a
//! step is one comparison and one addition, without a branch. A leaf is a node that leads to itself. Several
//! independent walks advance together (rows of a batch through one tree, or one row through several trees), so
//! that the processor overlaps their memory reads.

use super::real::Real;
use super::tree::{Branch, Inner, Weight, normalise};

/// How many walks advance together.
const LANES: usize = 8;

/// Numbers of a tile of rows, chosen so that the rows stay in the nearest cache with a tree.
const TILE_NUMBERS: usize = 2048;

/// Set in `feature` when NaN takes the first child.
const NAN_FIRST: u32 = 1 << 31;

#[derive(Clone, Copy, Debug)]
struct Node<T> {
    threshold: T,
    feature: u32,
    /// The child taken when the value is at most the threshold; the other one follows it.
    child: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// NaN always takes the second child: it is replaced by infinity beforehand.
    Plain,
    /// NaN takes the child that the node says.
    Missing,
    /// Some nodes compare for equality.
    Equality,
}

#[derive(Debug)]
enum Weights<T> {
    /// Every leaf has a value for every target, in order.
    Dense(Vec<T>),
    /// `starts[leaf]..starts[leaf + 1]` are the entries of a leaf.
    Sparse { starts: Vec<u32>, targets: Vec<u32>, values: Vec<T> },
}

/// How the trees' values are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

/// Sums (or extremes) over the trees, for each row and target.
pub(crate) struct Scores<T> {
    pub values: Vec<T>,
    /// Whether any tree had a value for the target; `None` when all had.
    pub touched: Option<Vec<bool>>,
}

#[derive(Debug)]
pub(crate) struct Forest<T> {
    nodes: Vec<Node<T>>,
    /// For each node the number of its leaf.
    leaf_of: Vec<u32>,
    roots: Vec<u32>,
    style: Style,
    /// With [`Style::Equality`]: for each node whether it compares for equality.
    equality: Vec<bool>,
    weights: Weights<T>,
    /// Columns that a row must have.
    columns: usize,
    targets: usize,
}

impl<T: Real> Forest<T> {
    /// Lays out the trees below `roots`. Refuses nodes with two parents, and with that every cycle.
    pub(crate) fn build(
        inner: &[Inner<T>],
        leaves: usize,
        roots: &[Branch],
        weights: &[Weight<T>],
        targets: usize,
    ) -> Result<Self, String> {
        let limit = (NAN_FIRST - 1) as usize;
        if inner.len() >= limit / 4 || leaves >= limit / 4 || weights.len() >= limit {
            return Err("it has too many nodes".into());
        }
        let mut forest = Self {
            nodes: Vec::with_capacity(inner.len() + leaves),
            leaf_of: Vec::with_capacity(inner.len() + leaves),
            roots: Vec::with_capacity(roots.len()),
            style: Style::Plain,
            equality: Vec::new(),
            weights: gather_weights(leaves, weights, targets)?,
            columns: 1,
            targets,
        };
        let mut equality = Vec::with_capacity(inner.len() + leaves);
        let mut seen = vec![false; inner.len()];
        let mut open: Vec<(Branch, u32)> = Vec::new();
        let empty = Node { threshold: T::INFINITY, feature: 0, child: 0 };
        for root in roots {
            let position = forest.nodes.len() as u32;
            forest.nodes.push(empty);
            forest.leaf_of.push(0);
            equality.push(false);
            forest.roots.push(position);
            open.push((*root, position));
            while let Some((branch, position)) = open.pop() {
                let at = position as usize;
                match branch {
                    Branch::Leaf(leaf) => {
                        if leaf >= leaves {
                            return Err(format!("there is no leaf {leaf}"));
                        }
                        forest.leaf_of[at] = leaf as u32;
                        forest.nodes[at].child = position;
                    }
                    Branch::Inner(number) => {
                        let source = inner.get(number).ok_or_else(|| format!("there is no node {number}"))?;
                        if std::mem::replace(&mut seen[number], true) {
                            return Err(format!("node {number} is reached twice"));
                        }
                        let feature = u32::try_from(source.feature)
                            .ok()
                            .filter(|feature| *feature < NAN_FIRST)
                            .ok_or_else(|| format!("{} is no feature", source.feature))?;
                        forest.columns = forest.columns.max(feature as usize + 1);
                        let child = forest.nodes.len() as u32;
                        let step = normalise(source);
                        forest.nodes[at] = Node {
                            threshold: step.threshold,
                            feature: feature | if step.nan_first { NAN_FIRST } else { 0 },
                            child,
                        };
                        equality[at] = step.equality;
                        if step.equality {
                            forest.style = Style::Equality;
                        } else if forest.style == Style::Plain
                            && (step.nan_first || step.threshold.is_nan() || step.threshold == T::INFINITY)
                        {
                            forest.style = Style::Missing;
                        }
                        for _ in 0..2 {
                            forest.nodes.push(empty);
                            forest.leaf_of.push(0);
                            equality.push(false);
                        }
                        open.push((step.second, child + 1));
                        open.push((step.first, child));
                    }
                }
            }
        }
        if forest.style != Style::Plain {
            // A leaf keeps a NaN too.
            for (position, node) in forest.nodes.iter_mut().enumerate() {
                if node.child as usize == position {
                    node.feature |= NAN_FIRST;
                }
            }
        }
        if forest.style == Style::Equality {
            forest.equality = equality;
        }
        Ok(forest)
    }

    pub(crate) fn trees(&self) -> usize {
        self.roots.len()
    }

    pub(crate) fn targets(&self) -> usize {
        self.targets
    }

    /// How many columns the input must have at least.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The scores of `rows` rows of `stride` numbers each. `stride` must be at least [`columns`](Self::columns).
    pub(crate) fn scores(&self, input: &[T], rows: usize, stride: usize, aggregate: Aggregate) -> Scores<T> {
        let mut scores = Scores {
            values: vec![T::default(); rows * self.targets],
            touched: match self.weights {
                Weights::Dense(_) if !matches!(aggregate, Aggregate::Min | Aggregate::Max) => None,
                _ => Some(vec![false; rows * self.targets]),
            },
        };
        match self.style {
            Style::Plain => self.fill::<false, false>(input, rows, stride, aggregate, &mut scores),
            Style::Missing => self.fill::<true, false>(input, rows, stride, aggregate, &mut scores),
            Style::Equality => self.fill::<true, true>(input, rows, stride, aggregate, &mut scores),
        }
        scores
    }

    fn fill<const NAN: bool, const EQUALITY: bool>(
        &self,
        input: &[T],
        rows: usize,
        stride: usize,
        aggregate: Aggregate,
        scores: &mut Scores<T>,
    ) {
        let columns = self.columns;
        let tile_rows = (TILE_NUMBERS / columns).clamp(1, 256) / LANES * LANES;
        let tile_rows = tile_rows.max(LANES);
        let mut tile = Vec::with_capacity(tile_rows.min(rows) * columns);
        let mut first = 0;
        while first < rows {
            let count = tile_rows.min(rows - first);
            tile.clear();
            for row in first..first + count {
                let values = &input[row * stride..row * stride + columns];
                if NAN {
                    tile.extend_from_slice(values);
                } else {
                    tile.extend(values.iter().map(|x| if x.is_nan() { T::INFINITY } else { *x }));
                }
            }
            if count < LANES {
                for row in 0..count {
                    let values = &tile[row * columns..(row + 1) * columns];
                    let (groups, rest) = self.roots.as_chunks::<LANES>();
                    for group in groups {
                        for at in self.walk::<LANES, NAN, EQUALITY>(values, [0; LANES], *group) {
                            self.collect(at, first + row, aggregate, scores);
                        }
                    }
                    for root in rest {
                        let [at] = self.walk::<1, NAN, EQUALITY>(values, [0], [*root]);
                        self.collect(at, first + row, aggregate, scores);
                    }
                }
            } else {
                for root in &self.roots {
                    let mut row = 0;
                    while row < count {
                        // The last group overlaps the one before it; its known rows are not counted twice.
                        let start = row.min(count - LANES);
                        let offsets = std::array::from_fn(|lane| (start + lane) * columns);
                        let ends = self.walk::<LANES, NAN, EQUALITY>(&tile, offsets, [*root; LANES]);
                        for (lane, at) in ends.into_iter().enumerate() {
                            if start + lane >= row {
                                self.collect(at, first + start + lane, aggregate, scores);
                            }
                        }
                        row = start + LANES;
                    }
                }
            }
            first += count;
        }
    }

    /// Walks from the given nodes to leaves; each lane reads its row at its offset in `values`.
    #[inline(always)]
    fn walk<const L: usize, const NAN: bool, const EQUALITY: bool>(
        &self,
        values: &[T],
        offsets: [usize; L],
        mut at: [u32; L],
    ) -> [u32; L] {
        loop {
            let mut moved = 0;
            for lane in 0..L {
                let here = at[lane];
                let node = &self.nodes[here as usize];
                let feature = if NAN { node.feature & !NAN_FIRST } else { node.feature };
                let x = values[offsets[lane] + feature as usize];
                let mut first = x <= node.threshold;
                if EQUALITY && self.equality[here as usize] {
                    first = x == node.threshold;
                }
                if NAN {
                    first |= x.is_nan() & (node.feature >= NAN_FIRST);
                }
                let next = node.child + u32::from(!first);
                moved |= next ^ here;
                at[lane] = next;
            }
            if moved == 0 {
                return at;
            }
        }
    }

    #[inline(always)]
    fn collect(&self, at: u32, row: usize, aggregate: Aggregate, scores: &mut Scores<T>) {
        let leaf = self.leaf_of[at as usize] as usize;
        let row = row * self.targets..(row + 1) * self.targets;
        match &self.weights {
            Weights::Dense(values) if scores.touched.is_none() => {
                let values = &values[leaf * self.targets..(leaf + 1) * self.targets];
                for (score, value) in scores.values[row].iter_mut().zip(values) {
                    *score += *value;
                }
            }
            Weights::Dense(values) => {
                let values = &values[leaf * self.targets..(leaf + 1) * self.targets];
                for (target, value) in values.iter().enumerate() {
                    combine(scores, row.start + target, *value, aggregate);
                }
            }
            Weights::Sparse { starts, targets, values } => {
                let entries = starts[leaf] as usize..starts[leaf + 1] as usize;
                for (target, value) in targets[entries.clone()].iter().zip(&values[entries]) {
                    combine(scores, row.start + *target as usize, *value, aggregate);
                }
            }
        }
    }
}

impl Forest<f32> {
    /// The same trees for 64-bit inputs.
    pub(crate) fn widened(&self) -> Forest<f64> {
        let wide = |values: &[f32]| values.iter().map(|x| f64::from(*x)).collect();
        Forest {
            nodes: self
                .nodes
                .iter()
                .map(|node| Node {
                    threshold: f64::from(node.threshold),
                    feature: node.feature,
                    child: node.child,
                })
                .collect(),
            leaf_of: self.leaf_of.clone(),
            roots: self.roots.clone(),
            style: self.style,
            equality: self.equality.clone(),
            weights: match &self.weights {
                Weights::Dense(values) => Weights::Dense(wide(values)),
                Weights::Sparse { starts, targets, values } => {
                    Weights::Sparse { starts: starts.clone(), targets: targets.clone(), values: wide(values) }
                }
            },
            columns: self.columns,
            targets: self.targets,
        }
    }
}

fn combine<T: Real>(scores: &mut Scores<T>, at: usize, value: T, aggregate: Aggregate) {
    let score = &mut scores.values[at];
    let Some(touched) = &mut scores.touched else {
        *score += value;
        return;
    };
    let known = std::mem::replace(&mut touched[at], true);
    match aggregate {
        Aggregate::Sum | Aggregate::Average => *score += value,
        Aggregate::Min if !known || value < *score => *score = value,
        Aggregate::Max if !known || value > *score => *score = value,
        Aggregate::Min | Aggregate::Max => {}
    }
}

fn gather_weights<T: Real>(
    leaves: usize,
    weights: &[Weight<T>],
    targets: usize,
) -> Result<Weights<T>, String> {
    let mut starts = vec![0u32; leaves + 1];
    for weight in weights {
        if weight.target >= targets {
            return Err(format!("a leaf has a weight for target {}, there are {targets}", weight.target));
        }
        if weight.leaf >= leaves {
            return Err(format!("a weight belongs to leaf {}, there are {leaves}", weight.leaf));
        }
        starts[weight.leaf + 1] += 1;
    }
    for leaf in 0..leaves {
        starts[leaf + 1] += starts[leaf];
    }
    let mut next = starts.clone();
    let mut sorted = vec![0u32; weights.len()];
    let mut values = vec![T::default(); weights.len()];
    for weight in weights {
        let place = next[weight.leaf] as usize;
        next[weight.leaf] += 1;
        sorted[place] = weight.target as u32;
        values[place] = weight.value;
    }
    let dense = weights.len() == leaves * targets
        && starts.iter().enumerate().all(|(leaf, start)| *start as usize == leaf * targets)
        && sorted.iter().enumerate().all(|(place, target)| *target as usize == place % targets);
    Ok(if dense { Weights::Dense(values) } else { Weights::Sparse { starts, targets: sorted, values } })
}

#[cfg(test)]
mod tests {
    use super::super::tree::Mode;
    use super::*;

    fn inner(feature: i64, threshold: f32, mode: Mode, missing: bool, yes: Branch, no: Branch) -> Inner<f32> {
        Inner { feature, threshold, mode, missing_is_true: missing, on_true: yes, on_false: no }
    }

    /// One node, leaf 0 for true with the value 1, leaf 1 for false with the value 2.
    fn stump(mode: Mode, threshold: f32, missing: bool) -> Forest<f32> {
        let node = inner(0, threshold, mode, missing, Branch::Leaf(0), Branch::Leaf(1));
        let weights = [Weight { leaf: 0, target: 0, value: 1.0 }, Weight { leaf: 1, target: 0, value: 2.0 }];
        Forest::build(&[node], 2, &[Branch::Inner(0)], &weights, 1).unwrap()
    }

    #[test]
    fn every_mode_decides_as_its_comparison_says() {
        let numbers = [
            f32::NEG_INFINITY,
            f32::MIN,
            -1.0,
            -f32::MIN_POSITIVE,
            -0.0,
            0.0,
            f32::from_bits(1),
            1.0,
            f32::MAX,
            f32::INFINITY,
            f32::NAN,
        ];
        let holds = |mode, x: f32, threshold: f32| match mode {
            Mode::LessOrEqual => x <= threshold,
            Mode::Less => x < threshold,
            Mode::GreaterOrEqual => x >= threshold,
            Mode::Greater => x > threshold,
            Mode::Equal => x == threshold,
            Mode::NotEqual => x != threshold,
        };
        let lesser = [Mode::LessOrEqual, Mode::Less, Mode::Equal];
        let greater = [Mode::GreaterOrEqual, Mode::Greater, Mode::NotEqual];
        for mode in lesser.into_iter().chain(greater) {
            for threshold in numbers {
                for missing in [false, true] {
                    let forest = stump(mode, threshold, missing);
                    // All rows at once, and each alone: the two ways of walking.
                    let together = forest.scores(&numbers, numbers.len(), 1, Aggregate::Sum).values;
                    for (x, value) in numbers.iter().zip(&together) {
                        let expected = holds(mode, *x, threshold) || (missing && x.is_nan());
                        assert_eq!(*value == 1.0, expected, "{x} {mode:?} {threshold}, missing {missing}");
                        assert_eq!(forest.scores(&[*x], 1, 1, Aggregate::Sum).values, [*value]);
                    }
                }
            }
        }
    }

    #[test]
    fn cycles_and_shared_nodes_are_refused() {
        let leaf = Branch::Leaf(0);
        let node = |yes, no| inner(0, 0.0, Mode::LessOrEqual, false, yes, no);
        let build = |nodes: &[Inner<f32>]| Forest::build(nodes, 1, &[Branch::Inner(0)], &[], 1).map(|_| ());
        assert_eq!(build(&[node(Branch::Inner(0), leaf)]), Err("node 0 is reached twice".into()));
        let circle = [node(leaf, Branch::Inner(1)), node(Branch::Inner(0), leaf)];
        assert_eq!(build(&circle), Err("node 0 is reached twice".into()));
        let shared = [node(Branch::Inner(1), Branch::Inner(1)), node(leaf, leaf)];
        assert_eq!(build(&shared), Err("node 1 is reached twice".into()));
        assert!(build(&[node(Branch::Inner(7), leaf)]).is_err());
        assert!(build(&[node(Branch::Leaf(7), leaf)]).is_err());
        assert!(build(&[inner(-1, 0.0, Mode::Less, false, leaf, leaf)]).is_err());
    }

    #[test]
    fn sums_do_not_depend_on_the_size_of_the_batch() {
        // Forty trees of depth one on three features, with sums that rounding would show.
        let nodes: Vec<_> = (0..40usize)
            .map(|tree| {
                let leaves = (Branch::Leaf(2 * tree), Branch::Leaf(2 * tree + 1));
                let threshold = tree as f32 / 20.0 - 1.0;
                inner(tree as i64 % 3, threshold, Mode::LessOrEqual, false, leaves.0, leaves.1)
            })
            .collect();
        let weights: Vec<_> =
            (0..80).map(|leaf| Weight { leaf, target: 0, value: 0.1 + leaf as f32 / 7.0 }).collect();
        let roots: Vec<_> = (0..40).map(Branch::Inner).collect();
        let forest = Forest::build(&nodes, 80, &roots, &weights, 1).unwrap();
        let rows = 1000;
        let table: Vec<f32> = (0..rows * 3).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
        let together = forest.scores(&table, rows, 3, Aggregate::Sum).values;
        for (row, score) in together.iter().enumerate() {
            let alone = forest.scores(&table[row * 3..row * 3 + 3], 1, 3, Aggregate::Sum).values;
            assert_eq!(alone, [*score], "row {row}");
        }
    }
}
