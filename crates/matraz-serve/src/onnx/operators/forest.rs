//! Decision trees in memory and the way of rows through them.
//!
//! Nodes are compact (12 bytes in 32-bit floats) and lie so that the two children of a node are neighbours: a
//! step is one comparison and one addition, without a branch. A leaf is a node that leads to itself. Several
//! independent walks advance together (rows of a batch through one tree, or one row through several trees), so
//! that the processor overlaps their memory reads.

use super::scores::Real;

/// How many walks advance together.
const LANES: usize = 8;

/// Numbers of a tile of rows, chosen so that the rows stay in the nearest cache with a tree.
const TILE_NUMBERS: usize = 2048;

/// Set in `feature` when NaN takes the first child.
const NAN_FIRST: u32 = 1 << 31;

/// Comparison of a node, `BRANCH_…` of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
    Equal,
    NotEqual,
}

/// Where a branch leads: to an inner node or a leaf, by number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Branch {
    Inner(usize),
    Leaf(usize),
}

/// An inner node as files have it.
#[derive(Clone, Debug)]
pub(crate) struct Inner<T> {
    pub feature: i64,
    pub threshold: T,
    pub mode: Mode,
    pub missing_is_true: bool,
    pub on_true: Branch,
    pub on_false: Branch,
}

/// What a leaf adds to which target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weight<T> {
    pub leaf: usize,
    pub target: usize,
    pub value: T,
}

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
    pub(super) fn build(
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

    pub(super) fn trees(&self) -> usize {
        self.roots.len()
    }

    pub(super) fn targets(&self) -> usize {
        self.targets
    }

    /// How many columns the input must have at least.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The scores of `rows` rows of `stride` numbers each. `stride` must be at least [`columns`](Self::columns).
    pub(super) fn scores(&self, input: &[T], rows: usize, stride: usize, aggregate: Aggregate) -> Scores<T> {
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
    pub(super) fn widened(&self) -> Forest<f64> {
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

/// A node turned into "at most the threshold: first child".
struct Step<T> {
    threshold: T,
    first: Branch,
    second: Branch,
    nan_first: bool,
    equality: bool,
}

fn normalise<T: Real>(node: &Inner<T>) -> Step<T> {
    let (on_true, on_false) = (node.on_true, node.on_false);
    let missing = node.missing_is_true;
    let threshold = node.threshold;
    // Below minus infinity, or compared with NaN, nothing is true: no threshold says that, equality with NaN does.
    let below = |threshold: T| threshold.next_down();
    let nothing_is_below = threshold.is_nan() || threshold == -T::INFINITY;
    match node.mode {
        Mode::LessOrEqual => {
            Step { threshold, first: on_true, second: on_false, nan_first: missing, equality: false }
        }
        Mode::Less if nothing_is_below => {
            Step { threshold: T::NAN, first: on_true, second: on_false, nan_first: missing, equality: true }
        }
        Mode::Less => Step {
            threshold: below(threshold),
            first: on_true,
            second: on_false,
            nan_first: missing,
            equality: false,
        },
        // The greater modes are the lesser ones with the children exchanged; NaN, for which neither holds, must
        // still go where the node says.
        Mode::Greater if threshold.is_nan() => {
            Step { threshold, first: on_true, second: on_false, nan_first: missing, equality: true }
        }
        Mode::Greater => {
            Step { threshold, first: on_false, second: on_true, nan_first: !missing, equality: false }
        }
        Mode::GreaterOrEqual if threshold.is_nan() => {
            Step { threshold, first: on_true, second: on_false, nan_first: missing, equality: true }
        }
        Mode::GreaterOrEqual if nothing_is_below => {
            Step { threshold: T::NAN, first: on_false, second: on_true, nan_first: !missing, equality: true }
        }
        Mode::GreaterOrEqual => Step {
            threshold: below(threshold),
            first: on_false,
            second: on_true,
            nan_first: !missing,
            equality: false,
        },
        Mode::Equal => {
            Step { threshold, first: on_true, second: on_false, nan_first: missing, equality: true }
        }
        // Not equal to NaN is true for every number; so is the exchanged "equal to NaN is false". A NaN itself
        // differs from everything.
        Mode::NotEqual => {
            Step { threshold, first: on_false, second: on_true, nan_first: false, equality: true }
        }
    }
}
