//! Hostile model files and request bodies: refused or answered, but never a panic, an endless loop or a flood of
//! memory.

#![allow(clippy::unwrap_used, reason = "a broken fixture must end the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use matraz_serve::Model;
use matraz_serve::onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TypeProto,
    ValueInfoProto, element,
};
use matraz_serve::onnx::{Data, Element, PortKind, Tensor, parse};
use proptest::prelude::*;
use prost::Message;

fn kept() -> &'static [Vec<u8>] {
    static MODELS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    MODELS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let mut paths: Vec<PathBuf> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "onnx"))
            .collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).unwrap()).collect()
    })
}

/// Loads, and runs on a few rows when the model loads. All that matters is that it returns.
fn survive(bytes: &[u8]) {
    let Ok(model) = parse(bytes) else { return };
    for rows in [0, 1, 9] {
        let mut inputs = Vec::new();
        for port in model.inputs() {
            let PortKind::Tensor { element, shape } = &port.kind else { return };
            let shape: Vec<usize> =
                shape.clone().unwrap_or_default().iter().map(|n| n.unwrap_or(rows)).collect();
            let count = shape.iter().try_fold(1usize, |product, n| product.checked_mul(*n));
            let Some(count) = count.filter(|count| *count < 10_000) else { return };
            let data = match element {
                Element::F32 => Data::F32((0..count).map(|i| i as f32 - 1.5).collect()),
                Element::F64 => {
                    Data::F64((0..count).map(|i| if i == 1 { f64::NAN } else { i as f64 }).collect())
                }
                Element::I64 => Data::I64((0..count as i64).map(|n| n - 2).collect()),
                Element::I32 => Data::I32((0..count as i32).collect()),
                Element::Bool => Data::Bool((0..count).map(|i| i % 2 == 0).collect()),
                Element::Text => Data::Text((0..count).map(|i| i.to_string()).collect()),
            };
            let Ok(tensor) = Tensor::new(shape, data) else { return };
            inputs.push((port.name.clone(), tensor));
        }
        let _ = model.run(inputs);
    }
}

#[derive(Clone, Debug)]
enum Damage {
    Set(usize, u8),
    Flip(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    Insert(usize, Vec<u8>),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let n = bytes.len().max(1);
        match self {
            Self::Set(at, byte) if !bytes.is_empty() => bytes[at % n] = *byte,
            Self::Flip(at, bit) if !bytes.is_empty() => bytes[at % n] ^= 1 << (bit % 8),
            Self::Cut(at) => bytes.truncate(at % n),
            Self::Remove(at, count) => {
                let start = at % n;
                let end = (start + count % 32).min(bytes.len());
                bytes.drain(start.min(end)..end);
            }
            Self::Repeat(at, count) => {
                let start = (at % n).min(bytes.len());
                let end = (start + count % 64).min(bytes.len());
                let piece = bytes[start..end].to_vec();
                bytes.splice(start..start, piece);
            }
            Self::Insert(at, piece) => {
                let start = (at % n).min(bytes.len());
                bytes.splice(start..start, piece.iter().copied());
            }
            Self::Set(..) | Self::Flip(..) => {}
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        4 => (any::<usize>(), any::<u8>()).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        1 => any::<usize>().prop_map(Damage::Cut),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(at, count)| Damage::Remove(at, count)),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(at, count)| Damage::Repeat(at, count)),
        1 => (any::<usize>(), prop::collection::vec(any::<u8>(), 1..12))
            .prop_map(|(at, piece)| Damage::Insert(at, piece)),
    ]
}

/// Integers that break arithmetic.
fn nasty() -> impl Strategy<Value = i64> {
    prop_oneof![
        -3i64..6,
        Just(i64::MAX),
        Just(i64::MIN),
        Just(1 << 16),
        Just(1 << 40),
        Just(i64::from(u32::MAX)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        survive(&bytes);
    }

    #[test]
    fn damaged_models_are_survived(which in any::<usize>(), damages in prop::collection::vec(damage(), 1..6)) {
        let mut bytes = kept()[which % kept().len()].clone();
        for damage in &damages {
            damage.apply(&mut bytes);
        }
        survive(&bytes);
    }

    /// Changes that stay well-formed: any integer list or integer of any node becomes nasty.
    #[test]
    fn nasty_numbers_are_survived(
        which in any::<usize>(),
        node in any::<usize>(),
        attribute in any::<usize>(),
        at in any::<usize>(),
        value in nasty(),
    ) {
        let mut model = ModelProto::decode(kept()[which % kept().len()].as_slice()).unwrap();
        let nodes = &mut model.graph.as_mut().unwrap().node;
        let count = nodes.len();
        let attributes = &mut nodes[node % count].attribute;
        if !attributes.is_empty() {
            let count = attributes.len();
            let attribute: &mut AttributeProto = &mut attributes[attribute % count];
            if let Some(i) = &mut attribute.i {
                *i = value;
            }
            let length = attribute.ints.len().max(1);
            if let Some(n) = attribute.ints.get_mut(at % length) {
                *n = value;
            }
            let length = attribute.floats.len().max(1);
            if let Some(x) = attribute.floats.get_mut(at % length) {
                *x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0][value.unsigned_abs() as usize % 4];
            }
        }
        survive(&model.encode_to_vec());
    }

    /// Operators that take shapes, axes and counts as inputs get nasty ones.
    #[test]
    fn nasty_shapes_are_survived(
        operator in prop::sample::select(vec![
            "Reshape", "Expand", "Tile", "ConstantOfShape", "Slice", "Gather", "GatherElements", "Squeeze",
            "Unsqueeze", "TopK", "CumSum", "ReduceSum", "Concat", "MatMul", "Where", "Transpose", "Flatten", "Add",
        ]),
        numbers in prop::collection::vec(nasty(), 0..4),
        more in prop::collection::vec(nasty(), 0..4),
        axis in nasty(),
    ) {
        let list = |name: &str, items: &[i64]| TensorProto::int64s(name, &[items.len() as i64], items.to_vec());
        let attributes = match operator {
            "Concat" | "Gather" | "GatherElements" | "TopK" | "Flatten" => vec![AttributeProto::int("axis", axis)],
            "Transpose" => vec![AttributeProto::ints("perm", numbers.clone())],
            _ => Vec::new(),
        };
        let inputs: &[&str] = match operator {
            "ConstantOfShape" => &["m"],
            "Transpose" | "Flatten" => &["x"],
            "Slice" => &["x", "m", "n", "m", "n"],
            "Where" => &["c", "x", "m"],
            _ => &["x", "m"],
        };
        let graph = GraphProto {
            node: vec![NodeProto::new("", operator, inputs, &["y"], attributes)],
            initializer: vec![
                list("m", &numbers),
                list("n", &more),
                TensorProto { data_type: element::BOOL, int32_data: vec![1], name: "c".into(), ..TensorProto::default() },
            ],
            input: vec![ValueInfoProto::new("x", TypeProto::tensor(element::INT64, vec![Default::default(); 2]))],
            output: vec![ValueInfoProto::new("y", TypeProto::tensor(element::INT64, Vec::new()))],
            ..GraphProto::default()
        };
        let model = ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto::new("", 17)],
            graph: Some(graph),
            ..ModelProto::default()
        };
        survive(&model.encode_to_vec());
    }

    #[test]
    fn any_request_is_survived(
        which in 0usize..5,
        body in prop_oneof![
            any::<String>(),
            prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"a\"", "\"inputs\"", "\"instances\"", "\"dataframe_split\"",
                "\"dataframe_records\"", "\"columns\"", "\"data\"", "\"index\"", "\"params\"", "1", "-2.5e3", "null",
                "true", "NaN", "\"b\"", "\"c\"", "\"d\"", "{}", "[]", "[[1,2,3,4]]", "{\"a\":1,\"b\":2,\"c\":3,\"d\":4}",
            ]), 0..20).prop_map(|tokens| tokens.concat()),
            ("\"(inputs|instances|dataframe_split|dataframe_records)\"", nested(4))
                .prop_map(|(key, value)| format!("{{{key}: {value}}}")),
        ],
        content_type in prop::sample::select(vec!["application/json", "text/csv", "text/plain"]),
    ) {
        static MODELS: OnceLock<Vec<Model>> = OnceLock::new();
        let models = MODELS.get_or_init(|| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scoring");
            let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            paths.sort();
            paths.iter().map(|path| Model::load(path).unwrap()).collect()
        });
        if let Err(refusal) = models[which % models.len()].predict(body.as_bytes(), content_type) {
            prop_assert!(refusal.status == 400 || refusal.status == 415);
        }
    }
}

/// JSON of lists and dictionaries of a few names, up to a depth.
fn nested(depth: u32) -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec!["1", "0.5", "null", "true", "\"x\"", "\"3\"", "NaN"])
        .prop_map(str::to_owned);
    leaf.prop_recursive(depth, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec(
                (
                    prop::sample::select(vec!["a", "b", "c", "d", "X", "columns", "data", "index", "age"]),
                    inner
                ),
                0..5
            )
            .prop_map(|pairs| {
                let pairs: Vec<String> =
                    pairs.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
                format!("{{{}}}", pairs.join(", "))
            }),
        ]
    })
}
