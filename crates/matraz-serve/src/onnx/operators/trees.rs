//! TreeEnsembleClassifier, TreeEnsembleRegressor and TreeEnsemble.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::super::attributes::Attributes;
use super::super::proto::{TensorProto, element};
use super::super::tensor::{Data, Labels, Tensor, Value, count};
use super::class_rule::ClassRule;
use super::scores::{PostTransform, probit};
use super::{Inputs, class_labels};
use crate::trees::{Aggregate, Branch, Forest, Inner, Mode, Real, Scores, Weight};

#[derive(Debug)]
pub(crate) struct Ensemble {
    trees: Trees,
    /// The forest for 64-bit inputs when the file has 32-bit thresholds; made when it is first needed.
    widened: OnceLock<Forest<f64>>,
    base: Vec<f64>,
    post: PostTransform,
    role: Role,
}

#[derive(Debug)]
enum Trees {
    F32(Forest<f32>),
    F64(Forest<f64>),
}

#[derive(Debug)]
enum Role {
    Classifier {
        labels: Arc<Labels>,
        /// Two classes, but weights for one of them only.
        one_sided: bool,
        all_positive: bool,
    },
    Regressor {
        aggregate: Aggregate,
        /// TreeEnsemble gives back the type of its input; TreeEnsembleRegressor always 32-bit floats.
        keeps_type: bool,
    },
}

/// Numbers that a file gives as 32-bit floats or as a tensor of either float type.
enum Numbers<'m> {
    F32(Cow<'m, [f32]>),
    F64(Vec<f64>),
}

impl Numbers<'_> {
    fn wide(&self) -> Vec<f64> {
        match self {
            Self::F32(items) => items.iter().map(|x| f64::from(*x)).collect(),
            Self::F64(items) => items.clone(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::F32(items) => items.len(),
            Self::F64(items) => items.len(),
        }
    }
}

fn numbers<'m>(attributes: &Attributes<'m>, name: &str) -> Result<Numbers<'m>, String> {
    let plain = attributes.floats(name)?;
    match attributes.tensor(&format!("{name}_as_tensor"))? {
        None => Ok(Numbers::F32(Cow::Borrowed(plain))),
        Some(_) if !plain.is_empty() => Err(format!("`{name}` is given twice")),
        Some(tensor) => float_numbers(tensor, name),
    }
}

fn float_numbers<'m>(tensor: Tensor, name: &str) -> Result<Numbers<'m>, String> {
    match tensor.into_parts().1 {
        Data::F32(items) => Ok(Numbers::F32(Cow::Owned(items))),
        Data::F64(items) => Ok(Numbers::F64(items)),
        other => Err(format!("`{name}` holds {}, not floats", other.element())),
    }
}

fn same_length(what: &str, found: usize, expected: usize) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("`{what}` has {found} entries, expected {expected}")) }
}

/// The lists that describe the trees in both the classifier and the regressor.
struct Listed {
    inner: Vec<Inner<f64>>,
    leaves: usize,
    roots: Vec<Branch>,
    weights: Vec<Weight<f64>>,
    /// Whether thresholds or weights are 64-bit.
    wide: bool,
}

fn listed(attributes: &Attributes<'_>, target: &str) -> Result<Listed, String> {
    attributes.ignore(&["nodes_hitrates", "nodes_hitrates_as_tensor"]);
    let tree_ids = attributes.ints("nodes_treeids")?;
    let node_ids = attributes.ints("nodes_nodeids")?;
    let features = attributes.ints("nodes_featureids")?;
    let on_true = attributes.ints("nodes_truenodeids")?;
    let on_false = attributes.ints("nodes_falsenodeids")?;
    let missing = attributes.ints("nodes_missing_value_tracks_true")?;
    let modes = attributes.byte_strings("nodes_modes")?;
    let thresholds = numbers(attributes, "nodes_values")?;
    let total = tree_ids.len();
    if total == 0 {
        return Err("it has no trees".into());
    }
    same_length("nodes_nodeids", node_ids.len(), total)?;
    same_length("nodes_featureids", features.len(), total)?;
    same_length("nodes_truenodeids", on_true.len(), total)?;
    same_length("nodes_falsenodeids", on_false.len(), total)?;
    same_length("nodes_modes", modes.len(), total)?;
    same_length("nodes_values", thresholds.len(), total)?;
    if !missing.is_empty() {
        same_length("nodes_missing_value_tracks_true", missing.len(), total)?;
    }

    // Which branch each node is, in the numbering of inner nodes and of leaves.
    let mut branches = Vec::with_capacity(total);
    let (mut inner_count, mut leaves) = (0, 0);
    for mode in modes {
        branches.push(if mode == b"LEAF" {
            leaves += 1;
            Branch::Leaf(leaves - 1)
        } else {
            inner_count += 1;
            Branch::Inner(inner_count - 1)
        });
    }
    let places = Places::of(tree_ids, node_ids)?;
    let branch_of = |tree: i64, node: i64| {
        let place = places.find(tree, node).ok_or_else(|| format!("tree {tree} has no node {node}"))?;
        Ok::<_, String>(branches[place])
    };

    let wide_thresholds = thresholds.wide();
    let mut inner = Vec::with_capacity(inner_count);
    let mut roots = Vec::new();
    for position in 0..total {
        let tree = tree_ids[position];
        if position == 0 || tree_ids[position - 1] != tree {
            roots.push(branches[position]);
        }
        let mode = match modes[position].as_slice() {
            b"LEAF" => continue,
            b"BRANCH_LEQ" => Mode::LessOrEqual,
            b"BRANCH_LT" => Mode::Less,
            b"BRANCH_GTE" => Mode::GreaterOrEqual,
            b"BRANCH_GT" => Mode::Greater,
            b"BRANCH_EQ" => Mode::Equal,
            b"BRANCH_NEQ" => Mode::NotEqual,
            other => return Err(format!("node mode `{}` is not known", other.escape_ascii())),
        };
        inner.push(Inner {
            feature: features[position],
            threshold: wide_thresholds[position],
            mode,
            missing_is_true: missing.get(position).is_some_and(|flag| *flag == 1),
            on_true: branch_of(tree, on_true[position])?,
            on_false: branch_of(tree, on_false[position])?,
        });
    }

    let weight_trees = attributes.ints(&format!("{target}_treeids"))?;
    let weight_nodes = attributes.ints(&format!("{target}_nodeids"))?;
    let weight_targets = attributes.ints(&format!("{target}_ids"))?;
    let values = numbers(attributes, &format!("{target}_weights"))?;
    same_length(&format!("{target}_nodeids"), weight_nodes.len(), weight_trees.len())?;
    same_length(&format!("{target}_ids"), weight_targets.len(), weight_trees.len())?;
    same_length(&format!("{target}_weights"), values.len(), weight_trees.len())?;
    let wide_values = values.wide();
    let mut weights = Vec::with_capacity(weight_trees.len());
    for position in 0..weight_trees.len() {
        // Weights of inner nodes are never reached.
        let Branch::Leaf(leaf) = branch_of(weight_trees[position], weight_nodes[position])? else { continue };
        let target = usize::try_from(weight_targets[position])
            .map_err(|_| format!("target {} is negative", weight_targets[position]))?;
        weights.push(Weight { leaf, target, value: wide_values[position] });
    }
    let wide = matches!(thresholds, Numbers::F64(_)) || matches!(values, Numbers::F64(_));
    Ok(Listed { inner, leaves, roots, weights, wide })
}

/// Where the nodes of a tree are in the lists.
struct Places<'m> {
    node_ids: &'m [i64],
    /// For each tree the place of its first node and the number of its nodes.
    trees: HashMap<i64, (usize, usize)>,
    /// The places of nodes in trees whose nodes are not numbered 0, 1, 2, …
    odd: HashMap<(i64, i64), usize>,
}

impl<'m> Places<'m> {
    fn of(tree_ids: &[i64], node_ids: &'m [i64]) -> Result<Self, String> {
        let mut places = Self { node_ids, trees: HashMap::new(), odd: HashMap::new() };
        let mut start = 0;
        for piece in tree_ids.chunk_by(|a, b| a == b) {
            let tree = piece[0];
            if places.trees.insert(tree, (start, piece.len())).is_some() {
                return Err(format!("the nodes of tree {tree} are not in one piece"));
            }
            let ids = &node_ids[start..start + piece.len()];
            if !ids.iter().copied().eq(0..piece.len() as i64) {
                for (place, node) in ids.iter().enumerate() {
                    if places.odd.insert((tree, *node), start + place).is_some() {
                        return Err(format!("node {node} of tree {tree} is given twice"));
                    }
                }
            }
            start += piece.len();
        }
        Ok(places)
    }

    fn find(&self, tree: i64, node: i64) -> Option<usize> {
        let (start, count) = *self.trees.get(&tree)?;
        match usize::try_from(node) {
            Ok(number) if number < count && self.node_ids[start + number] == node => {
                // In an odd tree a node may stand at its number by chance.
                Some(start + number)
            }
            _ => self.odd.get(&(tree, node)).copied(),
        }
    }
}

impl Listed {
    fn plant(&self, targets: usize) -> Result<Trees, String> {
        if self.wide {
            let forest = Forest::build(&self.inner, self.leaves, &self.roots, &self.weights, targets)?;
            return Ok(Trees::F64(forest));
        }
        // Every number came from 32 bits, so narrowing is exact.
        let inner: Vec<_> = self
            .inner
            .iter()
            .map(|node| Inner {
                feature: node.feature,
                threshold: node.threshold as f32,
                mode: node.mode,
                missing_is_true: node.missing_is_true,
                on_true: node.on_true,
                on_false: node.on_false,
            })
            .collect();
        let weights: Vec<_> = self
            .weights
            .iter()
            .map(|weight| Weight { leaf: weight.leaf, target: weight.target, value: weight.value as f32 })
            .collect();
        Ok(Trees::F32(Forest::build(&inner, self.leaves, &self.roots, &weights, targets)?))
    }
}

fn check_base(base: &[f64], targets: usize) -> Result<(), String> {
    // One value for two classes is the score of a binary classifier.
    let fits = base.is_empty() || base.len() == targets || (base.len() == 1 && targets == 2);
    if fits { Ok(()) } else { Err(format!("`base_values` has {} entries for {targets} targets", base.len())) }
}

impl Ensemble {
    pub(super) fn classifier(attributes: &Attributes<'_>) -> Result<Self, String> {
        let labels = class_labels(attributes, "classlabels_int64s", "classlabels_strings")?;
        if labels.len() < 2 {
            return Err("a classifier needs two class labels at least".into());
        }
        let listed = listed(attributes, "class")?;
        let base = numbers(attributes, "base_values")?.wide();
        check_base(&base, labels.len())?;
        let classes: std::collections::HashSet<usize> =
            listed.weights.iter().map(|weight| weight.target).collect();
        Ok(Self {
            trees: listed.plant(labels.len())?,
            widened: OnceLock::new(),
            base,
            post: PostTransform::of(attributes)?,
            role: Role::Classifier {
                one_sided: labels.len() == 2 && classes.len() == 1,
                all_positive: listed
                    .weights
                    .iter()
                    .all(|weight| weight.value >= 0.0 || weight.value.is_nan()),
                labels: Arc::new(labels),
            },
        })
    }

    pub(super) fn regressor(attributes: &Attributes<'_>) -> Result<Self, String> {
        let targets = attributes.int_or("n_targets", 1)?;
        let targets = usize::try_from(targets)
            .ok()
            .filter(|n| (1..=1 << 20).contains(n))
            .ok_or_else(|| format!("n_targets {targets} is out of range"))?;
        let aggregate = match attributes.string("aggregate_function")?.as_deref() {
            None | Some("SUM") => Aggregate::Sum,
            Some("AVERAGE") => Aggregate::Average,
            Some("MIN") => Aggregate::Min,
            Some("MAX") => Aggregate::Max,
            Some(other) => return Err(format!("aggregate_function `{other}` is not known")),
        };
        let listed = listed(attributes, "target")?;
        let base = numbers(attributes, "base_values")?.wide();
        check_base(&base, targets)?;
        Ok(Self {
            trees: listed.plant(targets)?,
            widened: OnceLock::new(),
            base,
            post: PostTransform::of(attributes)?,
            role: Role::Regressor { aggregate, keeps_type: false },
        })
    }

    /// TreeEnsemble of `ai.onnx.ml` 5: inner nodes and leaves in lists of their own.
    pub(super) fn general(attributes: &Attributes<'_>) -> Result<Self, String> {
        attributes.ignore(&["nodes_hitrates"]);
        let targets = attributes.int_or("n_targets", 1)?;
        let targets = usize::try_from(targets)
            .ok()
            .filter(|n| (1..=1 << 20).contains(n))
            .ok_or_else(|| format!("n_targets {targets} is out of range"))?;
        let aggregate = match attributes.int_or("aggregate_function", 1)? {
            0 => Aggregate::Average,
            1 => Aggregate::Sum,
            2 => Aggregate::Min,
            3 => Aggregate::Max,
            other => return Err(format!("aggregate_function {other} is not known")),
        };
        let post = match attributes.int_or("post_transform", 0)? {
            0 => PostTransform::None,
            1 => PostTransform::Softmax,
            2 => PostTransform::Logistic,
            3 => PostTransform::SoftmaxZero,
            4 => PostTransform::Probit,
            other => return Err(format!("post_transform {other} is not known")),
        };
        if attributes.has("membership_values") {
            return Err("nodes with the mode BRANCH_MEMBER are not supported".into());
        }
        let splits = attributes.tensor("nodes_splits")?.ok_or("`nodes_splits` is missing")?;
        let splits = float_numbers(splits, "nodes_splits")?;
        let leaf_weights = attributes.tensor("leaf_weights")?.ok_or("`leaf_weights` is missing")?;
        let leaf_weights = float_numbers(leaf_weights, "leaf_weights")?;
        let modes = bytes(attributes.tensor_proto("nodes_modes")?.ok_or("`nodes_modes` is missing")?)?;
        let features = attributes.ints("nodes_featureids")?;
        let on_true = attributes.ints("nodes_truenodeids")?;
        let on_false = attributes.ints("nodes_falsenodeids")?;
        let true_leaf = attributes.ints("nodes_trueleafs")?;
        let false_leaf = attributes.ints("nodes_falseleafs")?;
        let missing = attributes.ints("nodes_missing_value_tracks_true")?;
        let leaf_targets = attributes.ints("leaf_targetids")?;
        let roots = attributes.ints("tree_roots")?;
        let total = features.len();
        same_length("nodes_splits", splits.len(), total)?;
        same_length("nodes_modes", modes.len(), total)?;
        same_length("nodes_truenodeids", on_true.len(), total)?;
        same_length("nodes_falsenodeids", on_false.len(), total)?;
        same_length("nodes_trueleafs", true_leaf.len(), total)?;
        same_length("nodes_falseleafs", false_leaf.len(), total)?;
        same_length("leaf_weights", leaf_weights.len(), leaf_targets.len())?;
        if !missing.is_empty() {
            same_length("nodes_missing_value_tracks_true", missing.len(), total)?;
        }
        if roots.is_empty() {
            return Err("it has no trees".into());
        }
        let index = |number: i64| usize::try_from(number).map_err(|_| format!("there is no node {number}"));
        let branch = |number: i64, leaf: i64| {
            index(number).map(|n| if leaf == 0 { Branch::Inner(n) } else { Branch::Leaf(n) })
        };
        let wide_splits = splits.wide();
        let mut inner = Vec::with_capacity(total);
        for position in 0..total {
            let mode = match modes[position] {
                0 => Mode::LessOrEqual,
                1 => Mode::Less,
                2 => Mode::GreaterOrEqual,
                3 => Mode::Greater,
                4 => Mode::Equal,
                5 => Mode::NotEqual,
                other => return Err(format!("node mode {other} is not supported")),
            };
            inner.push(Inner {
                feature: features[position],
                threshold: wide_splits[position],
                mode,
                missing_is_true: missing.get(position).is_some_and(|flag| *flag == 1),
                on_true: branch(on_true[position], true_leaf[position])?,
                on_false: branch(on_false[position], false_leaf[position])?,
            });
        }
        let wide_weights = leaf_weights.wide();
        let mut weights = Vec::with_capacity(leaf_targets.len());
        for (leaf, (target, value)) in leaf_targets.iter().zip(wide_weights).enumerate() {
            weights.push(Weight { leaf, target: index(*target)?, value });
        }
        let wide = matches!(splits, Numbers::F64(_)) || matches!(leaf_weights, Numbers::F64(_));
        let roots =
            roots.iter().map(|root| index(*root).map(Branch::Inner)).collect::<Result<Vec<_>, _>>()?;
        let listed = Listed { inner, leaves: leaf_targets.len(), roots, weights, wide };
        Ok(Self {
            trees: listed.plant(targets)?,
            widened: OnceLock::new(),
            base: Vec::new(),
            post,
            role: Role::Regressor { aggregate, keeps_type: true },
        })
    }

    pub(super) fn outputs(&self) -> usize {
        match self.role {
            Role::Classifier { .. } => 2,
            Role::Regressor { .. } => 1,
        }
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        match (&self.trees, x.data()) {
            (Trees::F32(forest), Data::F64(items)) => {
                self.evaluate(self.widened.get_or_init(|| forest.widened()), items, x)
            }
            (Trees::F32(forest), _) => self.evaluate(forest, &x.to_f32()?, x),
            (Trees::F64(forest), Data::F64(items)) => self.evaluate(forest, items, x),
            (Trees::F64(forest), _) => {
                let items: Vec<f64> = x.to_f32()?.iter().map(|x| f64::from(*x)).collect();
                self.evaluate(forest, &items, x)
            }
        }
    }

    fn evaluate<T: Real>(&self, forest: &Forest<T>, items: &[T], x: &Tensor) -> Result<Vec<Value>, String> {
        let (rows, columns) = x.rows_and_columns()?;
        if columns < forest.columns() {
            return Err(format!("its input has {columns} columns, the trees read {}", forest.columns()));
        }
        count(&[rows, forest.targets().max(2)])?;
        let base: Vec<T> = self.base.iter().map(|x| T::from_f64(*x)).collect();
        match &self.role {
            Role::Classifier { labels, one_sided, all_positive } => {
                let scores = forest.scores(items, rows, columns, Aggregate::Sum);
                let rule = ClassRule {
                    classes: labels.len(),
                    one_sided: *one_sided,
                    all_positive: *all_positive,
                    base,
                    post: self.post,
                };
                let (chosen, probabilities) = rule.finish(scores);
                // With weights for both of two classes, onnxruntime answers 0 and 1 for integer labels.
                let zero_and_one = Labels::Integers(vec![0, 1]);
                let labels = match labels.as_ref() {
                    Labels::Integers(two) if two.len() == 2 && !one_sided => &zero_and_one,
                    labels => labels,
                };
                Ok(vec![
                    labels.pick(&chosen).into(),
                    Tensor::new(vec![rows, rule.classes], Data::F32(probabilities))?.into(),
                ])
            }
            Role::Regressor { aggregate, keeps_type } => {
                let scores = forest.scores(items, rows, columns, *aggregate);
                let values = self.finish_regression(scores, forest, *aggregate, &base);
                let shape = vec![rows, forest.targets()];
                let wide = *keeps_type && matches!(x.data(), Data::F64(_));
                let data = if wide {
                    Data::F64(values.iter().map(|x| x.to_f64()).collect())
                } else {
                    Data::F32(values.iter().map(|x| x.to_f32()).collect())
                };
                Ok(vec![Tensor::new(shape, data)?.into()])
            }
        }
    }

    fn finish_regression<T: Real>(
        &self,
        scores: Scores<T>,
        forest: &Forest<T>,
        aggregate: Aggregate,
        base: &[T],
    ) -> Vec<T> {
        let targets = forest.targets();
        let mut values = scores.values;
        if aggregate == Aggregate::Average {
            let trees = T::from_count(forest.trees());
            for value in &mut values {
                *value /= trees;
            }
        }
        if base.len() == targets {
            for row in values.chunks_exact_mut(targets) {
                for (value, base) in row.iter_mut().zip(base) {
                    *value += *base;
                }
            }
        }
        if targets > 1 {
            // A target that no tree spoke of is 0, base value or not.
            for (value, touched) in values.iter_mut().zip(scores.touched.iter().flatten()) {
                if !touched {
                    *value = T::default();
                }
            }
            for row in values.chunks_exact_mut(targets) {
                self.post.apply(row);
            }
        } else if self.post == PostTransform::Probit {
            for value in &mut values {
                *value = T::from_f32(probit(value.to_f32()));
            }
        }
        values
    }
}

/// The bytes of a UINT8 tensor.
fn bytes(proto: &TensorProto) -> Result<Vec<u8>, String> {
    if proto.data_type != element::UINT8 {
        return Err("`nodes_modes` holds no bytes".into());
    }
    if !proto.raw_data.is_empty() {
        return Ok(proto.raw_data.clone());
    }
    proto
        .int32_data
        .iter()
        .map(|n| u8::try_from(*n).map_err(|_| format!("node mode {n} is not known")))
        .collect()
}
