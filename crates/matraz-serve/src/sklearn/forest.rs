//! Decision trees, random forests and extra trees.

use super::array::{Array, Content};
use super::pickle::{Node, Pickle};
use crate::onnx::{Data, Tensor};
use crate::trees::{Aggregate, Branch, Forest, Inner, Mode, Weight};

/// An estimator whose `predict` this program computes.
#[derive(Debug)]
pub(crate) struct Predictor {
    /// Its class in scikit-learn, for messages.
    class: String,
    forest: Forest<f64>,
    /// The number of features.
    width: usize,
    /// Their names, if it was fitted with a table.
    names: Option<Vec<String>>,
    answer: Answer,
}

/// What the scores become.
#[derive(Debug)]
enum Answer {
    /// The mean over the trees.
    Mean,
    /// The class with the largest mean.
    Class(Classes),
}

#[derive(Debug)]
enum Classes {
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    Texts(Vec<String>),
}

/// Columns of the trees' records, as [`Content::Records`] has them.
const FIELDS: [(&str, &str); 5] = [
    ("left_child", "i8"),
    ("right_child", "i8"),
    ("feature", "i8"),
    ("threshold", "f8"),
    ("missing_go_to_left", "u1"),
];

impl Predictor {
    /// The estimator in a pickle. The error says why Python has to run it.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let pickle = Pickle::read(bytes)?;
        let root = pickle.root();
        let (module, class) = root.name().ok_or("it holds no estimator")?;
        let (many, classifier) = match (module, class) {
            ("sklearn.ensemble._forest", "RandomForestClassifier" | "ExtraTreesClassifier") => (true, true),
            ("sklearn.ensemble._forest", "RandomForestRegressor" | "ExtraTreesRegressor") => (true, false),
            ("sklearn.tree._classes", "DecisionTreeClassifier") => (false, true),
            ("sklearn.tree._classes", "DecisionTreeRegressor") => (false, false),
            _ => return Err(format!("{module}.{class} is not known")),
        };
        let estimator = root.state().ok_or("the estimator has no state")?;
        Self::of(class, estimator, many, classifier).ok_or_else(|| format!("this {class} has another form"))
    }

    fn of(class: &str, estimator: Node<'_, '_>, many: bool, classifier: bool) -> Option<Self> {
        let version: Vec<u32> = estimator
            .get("_sklearn_version")?
            .text()?
            .split('.')
            .map_while(|part| part.parse().ok())
            .collect();
        // Before 1.6 missing values were treated in other ways.
        if version.first() != Some(&1) || version.get(1).is_none_or(|minor| *minor < 6) {
            return None;
        }
        // The one criterion with which missing values may be refused.
        if estimator.get("criterion")?.text()? == "absolute_error" {
            return None;
        }
        if !estimator.get("monotonic_cst")?.is_none() || scalar(estimator.get("n_outputs_")?)? != 1 {
            return None;
        }
        let width = usize::try_from(scalar(estimator.get("n_features_in_")?)?).ok()?;
        let names = match estimator.get("feature_names_in_") {
            None => None,
            Some(node) => Some(Array::of(node)?.texts().filter(|names| names.len() == width)?),
        };
        let answer = if classifier { Answer::Class(classes(estimator)?) } else { Answer::Mean };
        let targets = answer.targets();
        let mut grove = Grove { width, targets, inner: Vec::new(), roots: Vec::new(), weights: Vec::new() };
        if many {
            for member in estimator.get("estimators_")?.items()? {
                grove.add(member.state()?.get("tree_")?)?;
            }
        } else {
            grove.add(estimator.get("tree_")?)?;
        }
        if grove.roots.is_empty() {
            return None;
        }
        let leaves = grove.weights.len() / targets;
        let forest = Forest::build(&grove.inner, leaves, &grove.roots, &grove.weights, targets).ok()?;
        Some(Self { class: class.to_owned(), forest, width, names, answer })
    }

    /// The number of features.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The names of the features, if it was fitted with a table.
    pub(crate) fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    /// The predictions for columns of equal lengths, `rows` of them. The error is what scikit-learn says.
    pub(crate) fn predict(&self, columns: &[Data], rows: usize) -> Result<Tensor, String> {
        if columns.len() != self.width {
            return Err(format!(
                "X has {} features, but {} is expecting {} features as input.",
                columns.len(),
                self.class,
                self.width
            ));
        }
        if rows == 0 {
            return Err(format!(
                "Found array with 0 sample(s) (shape=(0, {})) while a minimum of 1 is required by {}.",
                self.width, self.class
            ));
        }
        let mut table = vec![0.0; rows * self.width];
        // A table of integers alone is not brought to 64-bit floats on the way to 32-bit ones.
        let whole = columns.iter().all(|data| !matches!(data, Data::F32(_) | Data::F64(_)));
        for (column, data) in columns.iter().enumerate() {
            let cells = table[column..].iter_mut().step_by(self.width);
            match data {
                Data::F32(items) => fill(cells, items.iter().copied()),
                Data::F64(items) => fill(cells, items.iter().map(|x| *x as f32)),
                Data::I32(items) => fill(cells, items.iter().map(|n| f64::from(*n) as f32)),
                Data::I64(items) if whole => fill(cells, items.iter().map(|n| *n as f32)),
                Data::I64(items) => fill(cells, items.iter().map(|n| (*n as f64) as f32)),
                Data::Bool(items) => fill(cells, items.iter().map(|b| f32::from(u8::from(*b)))),
                Data::Text(_) => return Err("could not convert string to float".into()),
            }
        }
        if table.iter().any(|x| x.is_infinite()) {
            return Err("Input X contains infinity or a value too large for dtype('float32').".into());
        }
        let mut means = self.forest.scores(&table, rows, self.width, Aggregate::Sum).values;
        let trees = self.forest.trees() as f64;
        for mean in &mut means {
            *mean /= trees;
        }
        let data = match &self.answer {
            Answer::Mean => Data::F64(means),
            Answer::Class(classes) => {
                let chosen = means.chunks_exact(self.answer.targets()).map(largest);
                match classes {
                    Classes::Integers(labels) => Data::I64(chosen.map(|place| labels[place]).collect()),
                    Classes::Floats(labels) => Data::F64(chosen.map(|place| labels[place]).collect()),
                    Classes::Texts(labels) => Data::Text(chosen.map(|place| labels[place].clone()).collect()),
                }
            }
        };
        Tensor::new(vec![rows], data)
    }
}

impl Answer {
    fn targets(&self) -> usize {
        match self {
            Self::Mean => 1,
            Self::Class(Classes::Integers(labels)) => labels.len(),
            Self::Class(Classes::Floats(labels)) => labels.len(),
            Self::Class(Classes::Texts(labels)) => labels.len(),
        }
    }
}

fn fill<'t>(cells: impl Iterator<Item = &'t mut f64>, values: impl Iterator<Item = f32>) {
    for (cell, value) in cells.zip(values) {
        *cell = f64::from(value);
    }
}

/// The first place of the largest value.
fn largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (place, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = place;
        }
    }
    best
}

/// An integer of Python, or one of NumPy: `scalar(dtype, bytes)`.
fn scalar(node: Node<'_, '_>) -> Option<i64> {
    node.int().or_else(|| {
        let (module, function) = node.name()?;
        if function != "scalar" || !matches!(module, "numpy._core.multiarray" | "numpy.core.multiarray") {
            return None;
        }
        let arguments = node.arguments()?;
        if arguments.item(0)?.arguments()?.item(0)?.text()? != "i8" {
            return None;
        }
        arguments.item(1)?.bytes()?.try_into().ok().map(i64::from_le_bytes)
    })
}

fn classes(estimator: Node<'_, '_>) -> Option<Classes> {
    let array = Array::of(estimator.get("classes_")?)?;
    let count = scalar(estimator.get("n_classes_")?)?;
    let ([length], true) = (array.shape.as_slice(), count > 0) else { return None };
    if usize::try_from(count) != Ok(*length) {
        return None;
    }
    (array.integers().map(Classes::Integers))
        .or_else(|| array.floats().map(Classes::Floats))
        .or_else(|| array.texts().map(Classes::Texts))
}

/// Trees as they are gathered.
struct Grove {
    width: usize,
    targets: usize,
    inner: Vec<Inner<f64>>,
    roots: Vec<Branch>,
    /// For each leaf a weight for each target, in order.
    weights: Vec<Weight<f64>>,
}

impl Grove {
    /// Adds a `sklearn.tree._tree.Tree`; `None` when it has another form.
    fn add(&mut self, tree: Node<'_, '_>) -> Option<()> {
        if tree.name() != Some(("sklearn.tree._tree", "Tree")) {
            return None;
        }
        let nodes = Array::of(tree.state()?.get("nodes")?)?;
        let values = Array::of(tree.state()?.get("values")?)?;
        let [count] = nodes.shape.as_slice() else { return None };
        if *count == 0 || values.shape != [*count, 1, self.targets] {
            return None;
        }
        let values = values.floats()?;
        let Content::Records { size, fields, bytes } = &nodes.content else { return None };
        let mut offsets = [0; FIELDS.len()];
        for (offset, (name, code)) in offsets.iter_mut().zip(FIELDS) {
            *offset = fields.iter().find(|field| field.0 == name && field.1 == code)?.2;
        }
        let [left, right, feature, threshold, missing] = offsets;
        let record = |number: usize| &bytes[number * size..(number + 1) * size];
        let integer = |number: usize, offset: usize| {
            let bytes = record(number)[offset..].first_chunk().copied().unwrap_or_default();
            i64::from_le_bytes(bytes)
        };
        // Inner nodes and leaves are counted apart.
        let (first_inner, first_leaf) = (self.inner.len(), self.weights.len() / self.targets);
        let mut branches = Vec::with_capacity(*count);
        let (mut inner, mut leaf) = (first_inner, first_leaf);
        for number in 0..*count {
            if integer(number, left) == -1 {
                branches.push(Branch::Leaf(leaf));
                for target in 0..self.targets {
                    let value = values[number * self.targets + target];
                    self.weights.push(Weight { leaf, target, value });
                }
                leaf += 1;
            } else {
                branches.push(Branch::Inner(inner));
                inner += 1;
            }
        }
        let branch = |number: i64| usize::try_from(number).ok().and_then(|n| branches.get(n).copied());
        for number in (0..*count).filter(|number| integer(*number, left) != -1) {
            let feature = integer(number, feature);
            if usize::try_from(feature).ok().is_none_or(|feature| feature >= self.width) {
                return None;
            }
            self.inner.push(Inner {
                feature,
                threshold: f64::from_bits(integer(number, threshold).cast_unsigned()),
                mode: Mode::LessOrEqual,
                missing_is_true: record(number)[missing] == 1,
                on_true: branch(integer(number, left))?,
                on_false: branch(integer(number, right))?,
            });
        }
        self.roots.push(branches[0]);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `DecisionTreeClassifier(random_state=0)` of scikit-learn 1.9.1, fitted on the columns `a` = 0, 1, 2, 3 and
    /// `b` = 1, 0, 1, 0 with the classes low, low, high, mid; pickled with protocol 4.
    const TREE: &[u8] = include_bytes!("../../tests/fixtures/tree.pkl");

    #[test]
    fn a_pickled_tree_predicts() {
        let tree = Predictor::read(TREE).unwrap();
        assert_eq!(tree.names().unwrap(), ["a", "b"]);
        let columns = [Data::F64(vec![0.0, 1.0, 2.0, 3.0]), Data::I64(vec![1, 0, 1, 0])];
        let classes = tree.predict(&columns, 4).unwrap();
        let expected = ["low", "low", "high", "mid"].map(str::to_owned).to_vec();
        assert_eq!(classes.data(), &Data::Text(expected));
        assert!(tree.predict(&columns[..1], 4).unwrap_err().contains("expecting 2 features"));
        let infinite = [Data::F64(vec![1e39]), Data::I64(vec![0])];
        assert!(tree.predict(&infinite, 1).unwrap_err().contains("infinity"));
    }

    #[test]
    fn other_versions_are_left_alone() {
        let at = TREE.windows(5).position(|bytes| bytes == b"1.9.1").unwrap();
        for (version, known) in [("1.5.2", false), ("2.0.0", false), ("1.6.0", true), ("x.9.1", false)] {
            let mut bytes = TREE.to_vec();
            bytes[at..at + 5].copy_from_slice(version.as_bytes());
            assert_eq!(Predictor::read(&bytes).is_ok(), known, "{version}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn damaged_files_do_no_harm(at in 0..TREE.len(), byte: u8, cut in 0..TREE.len(), cuts: bool) {
            let mut bytes = TREE.to_vec();
            bytes[at] = byte;
            if cuts {
                bytes.truncate(cut);
            }
            if let Ok(tree) = Predictor::read(&bytes) {
                let columns = vec![Data::F64(vec![0.0, f64::NAN, 1.5]); tree.width().min(8)];
                let _ = tree.predict(&columns, 3);
            }
        }
    }
}
