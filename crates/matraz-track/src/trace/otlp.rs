//! The messages of OpenTelemetry's trace export, in protobuf and in JSON.
//!
//! Field numbers and names are those of `opentelemetry/proto/trace/v1/trace.proto` and its imports; fields that are not
//! kept by a tracking store are left out, which both encodings allow.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use prost::Message;
use serde_json::{Map, Value as Json};

/// The body of `POST /v1/traces`.
#[derive(Clone, PartialEq, Message)]
pub struct ExportTraceRequest {
    /// Spans by the thing that made them.
    #[prost(message, repeated, tag = "1")]
    pub resource_spans: Vec<ResourceSpans>,
}

/// Spans of one resource: a service, a process.
#[derive(Clone, PartialEq, Message)]
pub struct ResourceSpans {
    /// What made the spans.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// Spans by instrumentation library.
    #[prost(message, repeated, tag = "2")]
    pub scope_spans: Vec<ScopeSpans>,
}

/// What made spans.
#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    /// As `service.name`.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

/// Spans of one instrumentation library.
#[derive(Clone, PartialEq, Message)]
pub struct ScopeSpans {
    /// The spans.
    #[prost(message, repeated, tag = "2")]
    pub spans: Vec<Span>,
}

/// One unit of work.
#[derive(Clone, PartialEq, Message)]
pub struct Span {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    /// Empty for the root.
    #[prost(bytes = "vec", tag = "4")]
    pub parent_span_id: Vec<u8>,
    /// For people.
    #[prost(string, tag = "5")]
    pub name: String,
    /// 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    #[prost(int32, tag = "6")]
    pub kind: i32,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "7")]
    pub start_time_unix_nano: u64,
    /// Nanoseconds since 1970; 0 while the span runs.
    #[prost(fixed64, tag = "8")]
    pub end_time_unix_nano: u64,
    /// Anything that was noted.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    /// What happened in between.
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<Event>,
    /// Other spans that belong to it.
    #[prost(message, repeated, tag = "13")]
    pub links: Vec<Link>,
    /// How it ended.
    #[prost(message, optional, tag = "15")]
    pub status: Option<Status>,
}

/// Something that happened at one moment.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "1")]
    pub time_unix_nano: u64,
    /// What.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Details.
    #[prost(message, repeated, tag = "3")]
    pub attributes: Vec<KeyValue>,
}

/// A pointer to another span.
#[derive(Clone, PartialEq, Message)]
pub struct Link {
    /// Its trace.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// Its id.
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    /// Details.
    #[prost(message, repeated, tag = "4")]
    pub attributes: Vec<KeyValue>,
}

/// How a span ended.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// Why, for people.
    #[prost(string, tag = "2")]
    pub message: String,
    /// 0 unset, 1 ok, 2 error.
    #[prost(int32, tag = "3")]
    pub code: i32,
}

/// A named value.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    /// The name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

/// A value of any type.
#[derive(Clone, PartialEq, Message)]
pub struct AnyValue {
    /// Nothing stands for null.
    #[prost(oneof = "any_value::Value", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub value: Option<any_value::Value>,
}

/// The types of an [`AnyValue`].
pub mod any_value {
    /// One of them.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Value {
        /// Text.
        #[prost(string, tag = "1")]
        String(String),
        /// A truth value.
        #[prost(bool, tag = "2")]
        Bool(bool),
        /// A whole number.
        #[prost(int64, tag = "3")]
        Int(i64),
        /// A double.
        #[prost(double, tag = "4")]
        Double(f64),
        /// A list.
        #[prost(message, tag = "5")]
        Array(super::ArrayValue),
        /// Named values.
        #[prost(message, tag = "6")]
        Map(super::KeyValueList),
        /// Bytes.
        #[prost(bytes, tag = "7")]
        Bytes(Vec<u8>),
    }
}

/// A list of values.
#[derive(Clone, PartialEq, Message)]
pub struct ArrayValue {
    /// The values.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<AnyValue>,
}

/// A list of named values.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValueList {
    /// The values.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<KeyValue>,
}

impl ExportTraceRequest {
    /// Reads the protobuf encoding.
    pub fn from_protobuf(bytes: &[u8]) -> Option<Self> {
        Self::decode(bytes).ok()
    }

    /// Reads the JSON encoding, in which ids are hexadecimal.
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        let body: Json = serde_json::from_slice(bytes).ok()?;
        let body = body.as_object()?;
        Some(Self { resource_spans: list(body, "resourceSpans", resource_spans)? })
    }
}

/// The field by its `camelCase` or `snake_case` name.
fn field<'j>(object: &'j Map<String, Json>, camel: &str) -> Option<&'j Json> {
    let found = object.get(camel).or_else(|| {
        let mut snake = String::new();
        for letter in camel.chars() {
            if letter.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        object.get(&snake)
    });
    found.filter(|value| !value.is_null())
}

/// A list of messages; nothing when one of them is wrong.
fn list<T>(
    object: &Map<String, Json>,
    name: &str,
    read: fn(&Map<String, Json>) -> Option<T>,
) -> Option<Vec<T>> {
    match field(object, name) {
        None => Some(Vec::new()),
        Some(items) => items.as_array()?.iter().map(|item| read(item.as_object()?)).collect(),
    }
}

fn message<T>(
    object: &Map<String, Json>,
    name: &str,
    read: fn(&Map<String, Json>) -> Option<T>,
) -> Option<Option<T>> {
    match field(object, name) {
        None => Some(None),
        Some(value) => Some(Some(read(value.as_object()?)?)),
    }
}

fn text(object: &Map<String, Json>, name: &str) -> Option<String> {
    match field(object, name) {
        None => Some(String::new()),
        Some(value) => value.as_str().map(str::to_owned),
    }
}

/// A whole number, or a string with one.
fn whole<T: std::str::FromStr + Default>(object: &Map<String, Json>, name: &str) -> Option<T> {
    match field(object, name) {
        None => Some(T::default()),
        Some(Json::String(digits)) => digits.parse().ok(),
        Some(Json::Number(number)) => number.to_string().parse().ok(),
        Some(_) => None,
    }
}

/// A number, or the name of an enum value.
fn choice(object: &Map<String, Json>, name: &str, names: &[&str]) -> Option<i32> {
    match field(object, name) {
        Some(Json::String(word)) if !word.starts_with(|first: char| first.is_ascii_digit()) => {
            names.iter().position(|known| known == word).and_then(|index| i32::try_from(index).ok())
        }
        _ => whole(object, name),
    }
}

fn hex_id(object: &Map<String, Json>, name: &str) -> Option<Vec<u8>> {
    let digits = text(object, name)?;
    if !digits.is_ascii() || digits.len() % 2 != 0 {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

fn resource_spans(object: &Map<String, Json>) -> Option<ResourceSpans> {
    Some(ResourceSpans {
        resource: message(object, "resource", |resource| {
            Some(Resource { attributes: list(resource, "attributes", key_value)? })
        })?,
        scope_spans: list(object, "scopeSpans", |scope| {
            Some(ScopeSpans { spans: list(scope, "spans", span)? })
        })?,
    })
}

fn span(object: &Map<String, Json>) -> Option<Span> {
    /// The names of span kinds, by number.
    const KINDS: &[&str] = super::span::KINDS;
    /// The names of status codes, by number.
    const CODES: &[&str] = super::span::STATUS_CODES;
    Some(Span {
        trace_id: hex_id(object, "traceId")?,
        span_id: hex_id(object, "spanId")?,
        parent_span_id: hex_id(object, "parentSpanId")?,
        name: text(object, "name")?,
        kind: choice(object, "kind", KINDS)?,
        start_time_unix_nano: whole(object, "startTimeUnixNano")?,
        end_time_unix_nano: whole(object, "endTimeUnixNano")?,
        attributes: list(object, "attributes", key_value)?,
        events: list(object, "events", |event| {
            Some(Event {
                time_unix_nano: whole(event, "timeUnixNano")?,
                name: text(event, "name")?,
                attributes: list(event, "attributes", key_value)?,
            })
        })?,
        links: list(object, "links", |link| {
            Some(Link {
                trace_id: hex_id(link, "traceId")?,
                span_id: hex_id(link, "spanId")?,
                attributes: list(link, "attributes", key_value)?,
            })
        })?,
        status: message(object, "status", |status| {
            Some(Status { message: text(status, "message")?, code: choice(status, "code", CODES)? })
        })?,
    })
}

fn key_value(object: &Map<String, Json>) -> Option<KeyValue> {
    Some(KeyValue { key: text(object, "key")?, value: message(object, "value", any_value)? })
}

fn any_value(object: &Map<String, Json>) -> Option<AnyValue> {
    use any_value::Value;
    let value = if let Some(value) = field(object, "stringValue") {
        Some(Value::String(value.as_str()?.to_owned()))
    } else if let Some(value) = field(object, "boolValue") {
        Some(Value::Bool(value.as_bool()?))
    } else if field(object, "intValue").is_some() {
        Some(Value::Int(whole(object, "intValue")?))
    } else if let Some(value) = field(object, "doubleValue") {
        Some(Value::Double(match value {
            Json::String(word) => match word.as_str() {
                "Infinity" => f64::INFINITY,
                "-Infinity" => f64::NEG_INFINITY,
                word => word.parse().ok()?,
            },
            number => number.as_f64()?,
        }))
    } else if let Some(value) = field(object, "arrayValue") {
        Some(Value::Array(ArrayValue { values: list(value.as_object()?, "values", any_value)? }))
    } else if let Some(value) = field(object, "kvlistValue") {
        Some(Value::Map(KeyValueList { values: list(value.as_object()?, "values", key_value)? }))
    } else if let Some(value) = field(object, "bytesValue") {
        Some(Value::Bytes(BASE64_STANDARD.decode(value.as_str()?).ok()?))
    } else {
        None
    };
    Some(AnyValue { value })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_encodings_give_the_same_message() {
        let body = json!({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}]},
            "scopeSpans": [{"scope": {"name": "lib"}, "spans": [{
                "traceId": "000102030405060708090a0b0c0d0e0f", "spanId": "00000000000000a1", "name": "n", "kind": "SPAN_KIND_SERVER",
                "startTimeUnixNano": "17", "endTimeUnixNano": 18, "status": {"code": 2, "message": "m"},
                "attributes": [{"key": "l", "value": {"arrayValue": {"values": [{"intValue": "-1"}, {"doubleValue": 0.5}, {}]}}},
                    {"key": "m", "value": {"kvlistValue": {"values": [{"key": "b", "value": {"bytesValue": "AAE="}}]}}}],
                "links": [{"traceId": "00", "spanId": "01"}], "events": [{"name": "e", "time_unix_nano": 5}]}]}]}]});
        let message = ExportTraceRequest::from_json(body.to_string().as_bytes()).unwrap();
        let span = &message.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!((span.kind, span.trace_id[15], span.events[0].time_unix_nano), (2, 15, 5));
        assert_eq!(span.status, Some(Status { message: "m".to_owned(), code: 2 }));
        assert_eq!(ExportTraceRequest::from_protobuf(&message.encode_to_vec()).unwrap(), message);
    }

    #[test]
    fn wrong_bodies_are_nothing() {
        for body in [
            r#"[]"#,
            r#"{"resourceSpans": 1}"#,
            r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xx"}]}]}]}"#,
            r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "012"}]}]}]}"#,
            r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"kind": "NOPE"}]}]}]}"#,
        ] {
            assert!(ExportTraceRequest::from_json(body.as_bytes()).is_none(), "{body}");
        }
        assert!(ExportTraceRequest::from_protobuf(b"\xff\xff").is_none());
    }
}
