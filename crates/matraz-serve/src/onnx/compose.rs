//! Constructors of the messages, for programs that write models: the fields that matter, all others empty.

use super::proto::{
    AttributeProto, Dimension, DimensionValue, MapType, NodeProto, OperatorSetIdProto, SequenceType,
    TensorProto, TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto, attribute_type, element,
};

impl OperatorSetIdProto {
    /// The operator set of `domain` (empty for `ai.onnx`) at `version`.
    pub fn new(domain: &str, version: i64) -> Self {
        Self { domain: domain.to_owned(), version }
    }
}

impl NodeProto {
    /// A node of `domain` (empty for `ai.onnx`), named after its first output.
    pub fn new(
        domain: &str,
        op_type: &str,
        input: &[&str],
        output: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> Self {
        Self {
            input: input.iter().map(|name| (*name).to_owned()).collect(),
            output: output.iter().map(|name| (*name).to_owned()).collect(),
            name: output.first().map_or_else(|| op_type.to_owned(), |first| format!("{op_type}_{first}")),
            op_type: op_type.to_owned(),
            domain: domain.to_owned(),
            attribute,
            doc_string: String::new(),
        }
    }
}

impl AttributeProto {
    fn named(name: &str, kind: i32) -> Self {
        Self { name: name.to_owned(), kind, ..Self::default() }
    }

    /// A float.
    pub fn float(name: &str, value: f32) -> Self {
        Self { f: Some(value), ..Self::named(name, attribute_type::FLOAT) }
    }

    /// An integer.
    pub fn int(name: &str, value: i64) -> Self {
        Self { i: Some(value), ..Self::named(name, attribute_type::INT) }
    }

    /// Text.
    pub fn string(name: &str, value: &str) -> Self {
        Self { s: Some(value.as_bytes().to_vec()), ..Self::named(name, attribute_type::STRING) }
    }

    /// A tensor.
    pub fn tensor(name: &str, value: TensorProto) -> Self {
        Self { t: Some(Box::new(value)), ..Self::named(name, attribute_type::TENSOR) }
    }

    /// Floats.
    pub fn floats(name: &str, values: Vec<f32>) -> Self {
        Self { floats: values, ..Self::named(name, attribute_type::FLOATS) }
    }

    /// Integers.
    pub fn ints(name: &str, values: Vec<i64>) -> Self {
        Self { ints: values, ..Self::named(name, attribute_type::INTS) }
    }

    /// Texts.
    pub fn strings<S: AsRef<str>>(name: &str, values: impl IntoIterator<Item = S>) -> Self {
        Self {
            strings: values.into_iter().map(|text| text.as_ref().as_bytes().to_vec()).collect(),
            ..Self::named(name, attribute_type::STRINGS)
        }
    }
}

impl TensorProto {
    /// A FLOAT tensor.
    pub fn floats(name: &str, dims: &[i64], values: Vec<f32>) -> Self {
        Self {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data_type: element::FLOAT,
            float_data: values,
            ..Self::default()
        }
    }

    /// An INT64 tensor.
    pub fn int64s(name: &str, dims: &[i64], values: Vec<i64>) -> Self {
        Self {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data_type: element::INT64,
            int64_data: values,
            ..Self::default()
        }
    }

    /// A STRING tensor.
    pub fn strings<S: AsRef<str>>(name: &str, dims: &[i64], values: impl IntoIterator<Item = S>) -> Self {
        Self {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data_type: element::STRING,
            string_data: values.into_iter().map(|text| text.as_ref().as_bytes().to_vec()).collect(),
            ..Self::default()
        }
    }
}

impl Dimension {
    /// A fixed length.
    pub fn fixed(length: i64) -> Self {
        Self { value: Some(DimensionValue::Value(length)), denotation: String::new() }
    }

    /// Any length.
    pub fn any() -> Self {
        Self::default()
    }
}

impl TypeProto {
    /// A dense tensor of [`element`] type `elem_type`.
    pub fn tensor(elem_type: i32, dim: Vec<Dimension>) -> Self {
        let shape = Some(TensorShapeProto { dim });
        Self { value: Some(TypeValue::Tensor(TensorType { elem_type, shape })), denotation: String::new() }
    }

    /// A sequence of maps from `key_type` to float, which is what ZipMap makes.
    pub fn sequence_of_maps(key_type: i32) -> Self {
        let value_type = Some(Box::new(Self::tensor(element::FLOAT, Vec::new())));
        let map = TypeValue::Map(Box::new(MapType { key_type, value_type }));
        let elem_type = Some(Box::new(Self { value: Some(map), denotation: String::new() }));
        Self {
            value: Some(TypeValue::Sequence(Box::new(SequenceType { elem_type }))),
            denotation: String::new(),
        }
    }
}

impl ValueInfoProto {
    /// A value of the given type.
    pub fn new(name: &str, value_type: TypeProto) -> Self {
        Self { name: name.to_owned(), value_type: Some(value_type), doc_string: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::super::proto::{GraphProto, ML_DOMAIN, ModelProto};
    use super::*;

    #[test]
    fn a_model_survives_writing_and_reading() {
        let node = NodeProto::new(
            ML_DOMAIN,
            "Scaler",
            &["x"],
            &["y"],
            vec![
                AttributeProto::floats("offset", vec![0.5, -1.0]),
                AttributeProto::int("zero", 0),
                AttributeProto::strings("names", ["a", "b"]),
            ],
        );
        let any_by_two = vec![Dimension::any(), Dimension::fixed(2)];
        let model = ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto::new("", 17), OperatorSetIdProto::new(ML_DOMAIN, 3)],
            graph: Some(GraphProto {
                node: vec![node],
                name: "g".into(),
                initializer: vec![TensorProto::int64s("k", &[2], vec![-1, 1 << 40])],
                input: vec![ValueInfoProto::new("x", TypeProto::tensor(element::FLOAT, any_by_two))],
                output: vec![ValueInfoProto::new("y", TypeProto::sequence_of_maps(element::STRING))],
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        };
        let bytes = model.encode_to_vec();
        assert_eq!(ModelProto::decode(bytes.as_slice()).unwrap(), model);
    }
}
