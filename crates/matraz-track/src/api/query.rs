//! Messages in query strings: a name may be repeated for a list.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde_json::{Map, Value};

use super::json::{Message, wrong_value};
use crate::error::{Error, Result};

/// Reads a message from a query string. A name may be repeated for a list.
pub fn read_query<M: Message>(query: &str) -> Result<M> {
    let mut fields: Vec<(String, Texts)> = Vec::new();
    for (name, text) in pairs_of_query(query) {
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, texts)) => texts.0.push(text),
            None => fields.push((name, Texts(vec![text]))),
        }
    }
    // A query has no nested fields.
    for field in M::REQUIRED.iter().filter(|field| !field.contains('[')) {
        let is_sent = |wanted: &str| {
            fields.iter().any(|(name, texts)| name == wanted && texts.0.iter().any(|text| !text.is_empty()))
        };
        let is_there = is_sent(field) || (*field == "run_id" && is_sent("run_uuid"));
        if !is_there {
            return Err(Error::required(field));
        }
    }
    let shown: Map<String, Value> =
        fields.iter().map(|(name, texts)| (name.clone(), Value::from(texts.0.first().cloned()))).collect();
    let source = MapDeserializer::new(fields.into_iter());
    serde_path_to_error::deserialize(source).map_err(|fault: serde_path_to_error::Error<de::value::Error>| {
        wrong_value(&Value::Object(shown), &fault.path().to_string(), &fault.inner().to_string())
    })
}

/// The names and values of a query string, decoded, in their order.
pub(crate) fn pairs_of_query(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(text))
    })
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// The values of one name in a query string: one value or a list, as the message wants it.
struct Texts(Vec<String>);

impl Texts {
    fn first(self) -> String {
        self.0.into_iter().next().unwrap_or_default()
    }
}

impl<'de> IntoDeserializer<'de> for Texts {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Texts {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_string(self.first())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_seq(SeqDeserializer::new(self.0.into_iter().map(|text| Self(vec![text]))))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let text = self.first();
        match text.to_ascii_lowercase().as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(de::Error::custom(format!("Invalid boolean value: {text}, must be 'true' or 'false'"))),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let text: de::value::StringDeserializer<Self::Error> = self.first().into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct
        map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::api::json::Int64;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Sample {
        run_id: String,
        max_results: Option<Int64>,
        ids: Vec<String>,
        flag: bool,
    }

    impl Message for Sample {
        const REQUIRED: &'static [&'static str] = &["run_id"];
    }

    #[test]
    fn queries() {
        let got: Sample = read_query("run_id=a%20b+c&ids=1&ids=2&max_results=5&flag=True&other=x").unwrap();
        assert_eq!(
            got,
            Sample {
                run_id: "a b c".into(),
                ids: vec!["1".into(), "2".into()],
                max_results: Some(Int64(5)),
                flag: true,
            }
        );
        for (query, want) in [
            ("ids=1", "Missing value for required parameter 'run_id'."),
            ("run_id=a&max_results=zz", "Invalid value \"zz\" for parameter 'max_results' supplied"),
            ("run_id=a&flag=1", "Invalid value \"1\" for parameter 'flag' supplied"),
        ] {
            let got = read_query::<Sample>(query).unwrap_err().to_string();
            assert!(got.starts_with(want), "{query}: {got}");
        }
    }
}
