//! The ONNX graph: filling in, scaling, one column per category, the forest.
//!
//! Every raw column is an input of its own with one value per row, text or float. So a data frame is fed column
//! by column, and whoever calls the model needs nothing of the example's code. Missing numbers are NaN, missing
//! words are empty text; the usual spellings of a missing value that become text on the way are known too.

use matraz_serve::onnx::proto::{
    AttributeProto, Dimension, DimensionValue, GraphProto, ML_DOMAIN, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TypeProto, ValueInfoProto, element,
};

use crate::encoder::{ChoiceColumn, Encoder};
use crate::forest::{Forest, Node};
use crate::schema::{CLASSES, COLUMNS};

/// The output with the predicted class, as text.
pub const LABEL: &str = "label";

/// The output with a map from class to probability for each row.
pub const PROBABILITIES: &str = "probabilities";

/// How a missing word may be spelt when it reaches the model: empty, or as Python shows its kinds of nothing.
const MISSING_WORDS: [&str; 6] = ["", "nan", "NaN", "None", "<NA>", "null"];

/// What a word outside the categories becomes: no category has this number, so that all its columns are 0.
const UNSEEN: i64 = -1;

/// The model for raw columns.
pub fn onnx(encoder: &Encoder, forest: &Forest) -> ModelProto {
    let mut nodes = Vec::new();
    let numbers = numbers(encoder, &mut nodes);
    let mut parts = vec![numbers];
    for choice in &encoder.choices {
        parts.push(categories(choice, &mut nodes));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    nodes.push(concat(&parts, "features"));
    nodes.push(NodeProto::new(
        ML_DOMAIN,
        "TreeEnsembleClassifier",
        &["features"],
        &[LABEL, "votes"],
        ensemble(forest),
    ));
    let names = AttributeProto::strings("classlabels_strings", CLASSES);
    nodes.push(NodeProto::new(ML_DOMAIN, "ZipMap", &["votes"], &[PROBABILITIES], vec![names]));

    let rows = || Dimension { value: Some(DimensionValue::Param("rows".to_owned())), ..Dimension::default() };
    let input = COLUMNS.iter().map(|column| ValueInfoProto {
        doc_string: column.meaning.to_owned(),
        ..ValueInfoProto::new(
            column.name,
            TypeProto::tensor(
                if column.is_number() { element::FLOAT } else { element::STRING },
                vec![rows()],
            ),
        )
    });
    let graph = GraphProto {
        name: "obesity".to_owned(),
        doc_string: "Level of obesity from habits, a random forest.".to_owned(),
        node: nodes,
        initializer: vec![TensorProto::int64s("one_column", &[2], vec![-1, 1])],
        input: input.collect(),
        output: vec![
            ValueInfoProto::new(LABEL, TypeProto::tensor(element::STRING, vec![rows()])),
            ValueInfoProto::new(PROBABILITIES, TypeProto::sequence_of_maps(element::STRING)),
        ],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto::new("", 17), OperatorSetIdProto::new(ML_DOMAIN, 3)],
        producer_name: "matraz-example-obesity".to_owned(),
        graph: Some(graph),
        ..ModelProto::default()
    }
}

/// Puts the number columns side by side, fills them in and scales them; returns the name of the result.
fn numbers(encoder: &Encoder, nodes: &mut Vec<NodeProto>) -> String {
    let mut columns = Vec::new();
    for number in &encoder.numbers {
        let column = format!("{}_column", number.column);
        nodes.push(NodeProto::new("", "Reshape", &[&number.column, "one_column"], &[&column], Vec::new()));
        columns.push(column);
    }
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    nodes.push(concat(&columns, "numbers"));
    let per_column = |figure: fn(&crate::encoder::NumberColumn) -> f32| -> Vec<f32> {
        encoder.numbers.iter().map(figure).collect()
    };
    let medians = vec![
        AttributeProto::floats("imputed_value_floats", per_column(|number| number.median)),
        AttributeProto::float("replaced_value_float", f32::NAN),
    ];
    nodes.push(NodeProto::new(ML_DOMAIN, "Imputer", &["numbers"], &["numbers_filled"], medians));
    let scales = vec![
        AttributeProto::floats("offset", per_column(|number| number.offset)),
        AttributeProto::floats("scale", per_column(|number| number.scale)),
    ];
    nodes.push(NodeProto::new(ML_DOMAIN, "Scaler", &["numbers_filled"], &["numbers_scaled"], scales));
    "numbers_scaled".to_owned()
}

/// Turns a choice column into one column per category; returns the name of the result.
fn categories(choice: &ChoiceColumn, nodes: &mut Vec<NodeProto>) -> String {
    let mode = choice.categories.iter().position(|word| *word == choice.mode).unwrap_or(0) as i64;
    let words = choice.categories.iter().map(String::as_str).zip(0..);
    let missing = MISSING_WORDS.iter().map(|word| (*word, mode));
    let (keys, numbers): (Vec<&str>, Vec<i64>) = words.chain(missing).unzip();
    let (code, columns) = (format!("{}_code", choice.column), format!("{}_columns", choice.column));
    let table = vec![
        AttributeProto::strings("keys_strings", keys),
        AttributeProto::ints("values_int64s", numbers),
        AttributeProto::int("default_int64", UNSEEN),
    ];
    nodes.push(NodeProto::new(ML_DOMAIN, "LabelEncoder", &[&choice.column], &[&code], table));
    let numbers = (0..choice.categories.len() as i64).collect();
    let encoding = vec![AttributeProto::ints("cats_int64s", numbers), AttributeProto::int("zeros", 1)];
    nodes.push(NodeProto::new(ML_DOMAIN, "OneHotEncoder", &[&code], &[&columns], encoding));
    columns
}

fn concat(parts: &[&str], output: &str) -> NodeProto {
    NodeProto::new("", "Concat", parts, &[output], vec![AttributeProto::int("axis", 1)])
}

/// The attributes of the forest as a TreeEnsembleClassifier: parallel lists over all nodes of all trees, and
/// over all votes of all leaves.
fn ensemble(forest: &Forest) -> Vec<AttributeProto> {
    let n_nodes = forest.n_nodes();
    let (mut tree_ids, mut node_ids) = (Vec::with_capacity(n_nodes), Vec::with_capacity(n_nodes));
    let (mut features, mut thresholds) = (Vec::with_capacity(n_nodes), Vec::with_capacity(n_nodes));
    let (mut lower, mut upper) = (Vec::with_capacity(n_nodes), Vec::with_capacity(n_nodes));
    let mut modes = Vec::with_capacity(n_nodes);
    let (mut vote_trees, mut vote_nodes, mut vote_classes, mut votes_given) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (tree, tree_id) in forest.trees.iter().zip(0..) {
        for (node, node_id) in tree.nodes.iter().zip(0..) {
            tree_ids.push(tree_id);
            node_ids.push(node_id);
            match node {
                Node::Split { feature, threshold, left, right } => {
                    modes.push("BRANCH_LEQ");
                    features.push(*feature as i64);
                    thresholds.push(*threshold);
                    lower.push(*left as i64);
                    upper.push(*right as i64);
                }
                Node::Leaf { votes } => {
                    modes.push("LEAF");
                    features.push(0);
                    thresholds.push(0.0);
                    lower.push(0);
                    upper.push(0);
                    for (class, vote) in votes {
                        vote_trees.push(tree_id);
                        vote_nodes.push(node_id);
                        vote_classes.push(*class as i64);
                        votes_given.push(*vote);
                    }
                }
            }
        }
    }
    vec![
        AttributeProto::ints("nodes_treeids", tree_ids),
        AttributeProto::ints("nodes_nodeids", node_ids),
        AttributeProto::strings("nodes_modes", modes),
        AttributeProto::ints("nodes_featureids", features),
        AttributeProto::floats("nodes_values", thresholds),
        AttributeProto::ints("nodes_truenodeids", lower),
        AttributeProto::ints("nodes_falsenodeids", upper),
        AttributeProto::ints("class_treeids", vote_trees),
        AttributeProto::ints("class_nodeids", vote_nodes),
        AttributeProto::ints("class_ids", vote_classes),
        AttributeProto::floats("class_weights", votes_given),
        AttributeProto::strings("classlabels_strings", CLASSES),
        AttributeProto::string("post_transform", "NONE"),
    ]
}
