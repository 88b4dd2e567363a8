//! Messages on the wire by the rules of protobuf's JSON form, as MLflow's servers and clients speak it.
//!
//! Names are taken in `snake_case` and in `camelCase`, unknown names are passed over, `null` is like absent, an
//! int64 may be a number or a string, a double may also be `"NaN"`, `"Infinity"` or `"-Infinity"`. A body that is not
//! JSON counts as an empty one. Answers are indented by two spaces; what is not set is left out.

use std::fmt;

use axum::extract::{FromRequest, Request as HttpRequest};
use axum::http::{Method, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type};

use crate::error::{Error, Result, SEE_DOCS};

/// The largest body that is read, in bytes; a batch of the largest allowed values stays far below.
const MAX_BODY: usize = 64 << 20;

/// A request message.
pub trait Message: DeserializeOwned {
    /// The fields that must be there and not be `""`, in the order in which they are checked; `list[].field` means
    /// the field of every element of a list, `outer.inner` a field of a nested message.
    const REQUIRED: &'static [&'static str] = &[];
}

/// Extracts a [`Message`] from the query of a GET request, or from the JSON body.
pub struct Request<M>(pub M);

impl<M: Message, S: Send + Sync> FromRequest<S> for Request<M> {
    type Rejection = Error;

    async fn from_request(request: HttpRequest, _state: &S) -> Result<Self> {
        let query = request.uri().query().unwrap_or("");
        if request.method() == Method::GET && !query.is_empty() {
            return read_query(query).map(Self);
        }
        let content_type =
            request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let is_json = content_type
            .as_deref()
            .and_then(|text| text.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        if request.method() != Method::GET && !is_json {
            return Err(Error::invalid("Bad Request. Content-Type must be one of ['application/json']."));
        }
        let body = axum::body::to_bytes(request.into_body(), MAX_BODY)
            .await
            .map_err(|error| Error::invalid(format!("the body of the request cannot be read: {error}")))?;
        read_body(&body).map(Self)
    }
}

/// Reads a message from the bytes of a body.
pub fn read_body<M: Message>(body: &[u8]) -> Result<M> {
    let mut value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    if let Value::String(inner) = &value {
        // Old clients encode twice.
        value = serde_json::from_str(inner).unwrap_or(Value::Null);
    }
    let fields = match value {
        Value::Object(fields) => proto_names(fields)?,
        Value::Null => Map::new(),
        _ => return Err(Error::invalid(format!("The body of the request must be a JSON object.{SEE_DOCS}"))),
    };
    read_message(fields)
}

/// Reads a message from its fields, which have their `snake_case` names.
pub fn read_message<M: Message>(fields: Map<String, Value>) -> Result<M> {
    let missing =
        M::REQUIRED.iter().find_map(|field| first_missing(&fields, field).map(|path| (*field, path)));
    let fields = Value::Object(fields);
    match serde_path_to_error::deserialize(&fields) {
        Ok(message) => match missing {
            Some((_, path)) => Err(Error::required(&path)),
            None => Ok(message),
        },
        Err(fault) => {
            let path = fault.path().to_string();
            let order = |name: &str| {
                M::REQUIRED.iter().position(|field| top(field) == top(name)).unwrap_or(usize::MAX)
            };
            match missing {
                // Fields are checked one after the other, each for presence and then for its type.
                Some((field, missing)) if order(field) <= order(&path) => Err(Error::required(&missing)),
                _ => Err(wrong_value(&fields, &path, &fault.inner().to_string())),
            }
        }
    }
}

/// Reads a message from a query string. A name may be repeated for a list.
pub fn read_query<M: Message>(query: &str) -> Result<M> {
    let mut fields: Vec<(String, Texts)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, text) = (decode(name), decode(text));
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, texts)) => texts.0.push(text),
            None => fields.push((name, Texts(vec![text]))),
        }
    }
    // A query has no nested fields.
    for field in M::REQUIRED.iter().filter(|field| !field.contains('[')) {
        let sent =
            fields.iter().any(|(name, texts)| name == field && texts.0.iter().any(|text| !text.is_empty()));
        let by_old_name = *field == "run_id" && fields.iter().any(|(name, _)| name == "run_uuid");
        if !sent && !by_old_name {
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

/// The error for a value of the wrong type, with the value as it was sent.
fn wrong_value(fields: &Value, path: &str, reason: &str) -> Error {
    let mut at = fields;
    for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
        let next = match at {
            Value::Object(map) => map.get(step),
            Value::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    let reason = reason.replace("a sequence", "a list");
    Error::invalid(format!("Invalid value {at} for parameter '{path}' supplied: {reason}.{SEE_DOCS}"))
}

/// The part of a field's path before the first dot or bracket.
fn top(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}

/// The path of the first place where a required field is absent.
fn first_missing(fields: &Map<String, Value>, field: &str) -> Option<String> {
    fn absent(fields: &Map<String, Value>, name: &str) -> bool {
        if let Some((outer, inner)) = name.split_once('.') {
            return fields.get(outer).and_then(Value::as_object).is_none_or(|outer| absent(outer, inner));
        }
        match fields.get(name) {
            None => !(name == "run_id" && fields.contains_key("run_uuid")),
            Some(value) => value.as_str() == Some(""),
        }
    }
    match field.split_once("[].") {
        None => absent(fields, field).then(|| field.to_owned()),
        Some((list, name)) => {
            let items = fields.get(list).and_then(Value::as_array)?;
            items.iter().enumerate().find_map(|(index, item)| match item.as_object() {
                Some(item) => absent(item, name).then(|| format!("{list}[{index}].{name}")),
                None => None,
            })
        }
    }
}

/// Gives every name its `snake_case` form and drops `null`s, in all depths.
fn proto_names(fields: Map<String, Value>) -> Result<Map<String, Value>> {
    let mut named = Map::with_capacity(fields.len());
    for (name, value) in fields {
        let value = proto_value(value)?;
        let snake = snake_case(&name);
        if named.contains_key(&snake) {
            let camel = camel_case(&snake);
            return Err(Error::invalid(format!(
                "Request specifies both '{snake}' and '{camel}'; provide only one of them."
            )));
        }
        if !value.is_null() {
            named.insert(snake, value);
        }
    }
    Ok(named)
}

fn proto_value(value: Value) -> Result<Value> {
    match value {
        Value::Object(fields) => Ok(Value::Object(proto_names(fields)?)),
        Value::Array(items) => Ok(Value::Array(items.into_iter().map(proto_value).collect::<Result<_>>()?)),
        other => Ok(other),
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let mut camel = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let mut letters = part.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
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

/// An int64: a whole number, or a string with one. Written as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Int64(pub i64);

impl From<i64> for Int64 {
    fn from(value: i64) -> Self {
        Self(value)
    }
}

impl From<Int64> for i64 {
    fn from(value: Int64) -> Self {
        value.0
    }
}

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Int;
        impl Visitor<'_> for Int {
            type Value = Int64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 64-bit integer")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Int64, E> {
                Ok(Int64(value))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Int64, E> {
                i64::try_from(value)
                    .map(Int64)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Int64, E> {
                if value.fract() == 0.0 && value.abs() < 9.2e18 {
                    return Ok(Int64(value as i64));
                }
                Err(E::invalid_value(de::Unexpected::Float(value), &self))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Int64, E> {
                value.parse().map(Int64).map_err(|_| E::invalid_value(de::Unexpected::Str(value), &self))
            }
        }
        source.deserialize_any(Int)
    }
}

/// A double: a number, a string with one, `"NaN"`, `"Infinity"` or `"-Infinity"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Double(pub f64);

impl utoipa::PartialSchema for Double {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Number)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Double)));
        let named = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([
            "NaN",
            "Infinity",
            "-Infinity",
        ]));
        OneOfBuilder::new().item(number).item(named).into()
    }
}

impl utoipa::ToSchema for Double {}

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_nan() => target.serialize_str("NaN"),
            f64::INFINITY => target.serialize_str("Infinity"),
            f64::NEG_INFINITY => target.serialize_str("-Infinity"),
            value => target.serialize_f64(value),
        }
    }
}

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Real;
        impl Visitor<'_> for Real {
            type Value = Double;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Double, E> {
                Ok(Double(value))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Double, E> {
                Ok(Double(value as f64))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Double, E> {
                Ok(Double(value as f64))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Double, E> {
                match value {
                    "NaN" => Ok(Double(f64::NAN)),
                    "Infinity" => Ok(Double(f64::INFINITY)),
                    "-Infinity" => Ok(Double(f64::NEG_INFINITY)),
                    text => match text.parse::<f64>() {
                        Ok(number) if number.is_finite() => Ok(Double(number)),
                        _ => Err(E::invalid_value(de::Unexpected::Str(value), &self)),
                    },
                }
            }
        }
        source.deserialize_any(Real)
    }
}

/// One of a set of names; its number counts too, from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(value_type = String)]
pub struct Choice(String);

impl Choice {
    /// The value that goes with the name or the number; `field` names the parameter in the error.
    pub fn pick<T: Copy>(&self, field: &str, choices: &[(&str, T)]) -> Result<T> {
        let number = self.0.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let by_name = choices.iter().find(|(name, _)| *name == self.0).map(|(_, value)| *value);
        by_name.or_else(|| number.and_then(|index| choices.get(index)).map(|(_, value)| *value)).ok_or_else(
            || {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                Error::invalid(format!(
                    "Invalid value \"{}\" for parameter '{field}' supplied: it must be one of {}.{SEE_DOCS}",
                    self.0,
                    names.join(", ")
                ))
            },
        )
    }
}

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Choice;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or its number")
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Choice, E> {
                Ok(Choice(value.to_string()))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Choice, E> {
                Ok(Choice(value.to_owned()))
            }
        }
        source.deserialize_any(Name)
    }
}

/// A key with a value, as params and tags are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct KeyValue {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

impl KeyValue {
    /// Pairs for the wire.
    pub fn list(pairs: Vec<(String, String)>) -> Vec<Self> {
        pairs.into_iter().map(|(key, value)| Self { key, value }).collect()
    }

    /// Pairs from the wire.
    pub fn pairs(list: Vec<Self>) -> Vec<(String, String)> {
        list.into_iter().map(|pair| (pair.key, pair.value)).collect()
    }
}

/// A successful answer: pretty-printed JSON.
pub struct Answer<T>(pub T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match serde_json::to_string_pretty(&self.0) {
            Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
            Err(error) => Error::Bug(format!("cannot write the answer: {error}")).into_response(),
        }
    }
}

/// The answer of a request that returns nothing: `{}`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Empty {}

/// What a handler returns.
pub type Reply<T> = Result<Answer<T>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Sample {
        run_id: String,
        max_results: Option<Int64>,
        value: Option<Double>,
        ids: Vec<String>,
        tags: Vec<KeyValue>,
        flag: bool,
    }

    impl Message for Sample {
        const REQUIRED: &'static [&'static str] = &["run_id", "tags[].key"];
    }

    fn body(text: &str) -> Result<Sample, String> {
        read_body(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn both_spellings_of_names_and_of_numbers_are_read() {
        let want = Sample { run_id: "r".into(), max_results: Some(Int64(7)), ..Sample::default() };
        for text in [
            r#"{"run_id": "r", "max_results": 7}"#,
            r#"{"runId": "r", "maxResults": "7", "news": {"a": [1]}}"#,
            r#"{"runId": "r", "max_results": 7.0, "value": null, "flag": false}"#,
            r#""{\"runId\": \"r\", \"max_results\": 7}""#,
        ] {
            assert_eq!(body(text).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn doubles() {
        for (text, want) in [("1", 1.0), ("\"2.5\"", 2.5), ("\"Infinity\"", f64::INFINITY), ("-3e2", -300.0)]
        {
            let got = body(&format!(r#"{{"run_id": "r", "value": {text}}}"#)).unwrap();
            assert_eq!(got.value, Some(Double(want)));
        }
        assert!(body(r#"{"run_id": "r", "value": "NaN"}"#).unwrap().value.unwrap().0.is_nan());
        assert_eq!(
            serde_json::to_string(&[Double(f64::NAN), Double(-0.0), Double(1.0)]).unwrap(),
            r#"["NaN",-0.0,1.0]"#
        );
    }

    #[test]
    fn faults_name_the_field_and_come_in_the_order_of_the_schema() {
        for (text, want) in [
            ("{oops", "Missing value for required parameter 'run_id'."),
            (r#"{"run_id": ""}"#, "Missing value for required parameter 'run_id'."),
            (r#"{"run_id": 5}"#, "Invalid value 5 for parameter 'run_id' supplied"),
            (r#"{"max_results": "many"}"#, "Missing value for required parameter 'run_id'."),
            (
                r#"{"run_id": "r", "max_results": "many"}"#,
                "Invalid value \"many\" for parameter 'max_results' supplied",
            ),
            (
                r#"{"run_id": "r", "max_results": true}"#,
                "Invalid value true for parameter 'max_results' supplied",
            ),
            (
                r#"{"run_id": "r", "tags": [{"key": "a"}, {"value": "b"}]}"#,
                "Missing value for required parameter 'tags[1].key'.",
            ),
            (
                r#"{"run_id": "r", "tags": [{"key": "a", "value": 1}]}"#,
                "Invalid value 1 for parameter 'tags[0].value' supplied",
            ),
            (r#"{"run_id": "r", "ids": "a"}"#, "Invalid value \"a\" for parameter 'ids' supplied"),
            (
                r#"{"run_id": "r", "runId": "s"}"#,
                "Request specifies both 'run_id' and 'runId'; provide only one of them.",
            ),
            ("[1]", "The body of the request must be a JSON object."),
        ] {
            let got = body(text).unwrap_err();
            assert!(got.starts_with(want), "{text}: {got}");
        }
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
                ..Sample::default()
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
