//! Spans: as they arrive, as the JSON text that the store keeps, and as answers show them.
//!
//! The stored text is that of MLflow: ids in base64, attributes as JSON texts of their values, so that `LIKE` filters
//! over it find the same as there.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use matraz_base::value::python_float;
use serde_json::{Map, Value as Json, json};

use super::otlp::{self, AnyValue, any_value};
use super::translate;
use crate::python;

/// The attribute with the id of the trace.
pub(crate) const REQUEST_ID: &str = "mlflow.traceRequestId";
/// The attribute with the kind of work, as `LLM`.
pub(crate) const SPAN_TYPE: &str = "mlflow.spanType";
/// The attribute with what went in.
pub(crate) const INPUTS: &str = "mlflow.spanInputs";
/// The attribute with what came out.
pub(crate) const OUTPUTS: &str = "mlflow.spanOutputs";
/// The attribute with counts of tokens.
pub(crate) const USAGE: &str = "mlflow.chat.tokenUsage";
/// The attribute with costs.
pub(crate) const COST: &str = "mlflow.llm.cost";
/// The attribute with the name of a language model.
pub(crate) const MODEL: &str = "mlflow.llm.model";
/// The attribute with its provider.
pub(crate) const PROVIDER: &str = "mlflow.llm.provider";

/// Names of the kinds of a span, by number.
pub(crate) const KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
/// Names of the codes of a status, by number.
pub(crate) const STATUS_CODES: &[&str] = &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

/// A span that arrived.
#[derive(Clone, Debug)]
pub struct Span {
    /// `tr-` and 32 digits.
    pub trace_id: String,
    /// 16 digits.
    pub span_id: String,
    /// Nothing for the root.
    pub parent_id: Option<String>,
    /// For people.
    pub name: String,
    /// Of [`KINDS`].
    kind: &'static str,
    /// Nanoseconds since 1970.
    pub start_ns: i64,
    /// Nanoseconds since 1970; 0 while it runs.
    pub end_ns: i64,
    /// Of [`STATUS_CODES`].
    status_code: &'static str,
    status_message: String,
    /// Names with JSON texts of the values.
    pub attributes: Map<String, Json>,
    events: Vec<Json>,
    links: Vec<Json>,
    /// Names with values of what made the span.
    pub resource: Vec<(String, Json)>,
}

impl Span {
    /// Reads a span off the wire; nothing when an id is missing or too long.
    pub fn from_otlp(span: &otlp::Span, resource: Option<&otlp::Resource>) -> Option<Self> {
        let trace_id = format!("tr-{}", hex_id(&span.trace_id, 16)?);
        let parent_id = match span.parent_span_id.as_slice() {
            [] => None,
            bytes => Some(hex_id(bytes, 8)?),
        };
        let mut attributes = Map::new();
        for attribute in &span.attributes {
            let text = once_encoded(dump(attribute.value.as_ref()));
            attributes.insert(attribute.key.clone(), Json::String(text));
        }
        attributes.insert(REQUEST_ID.to_owned(), Json::String(format!("\"{trace_id}\"")));
        let status = span.status.clone().unwrap_or_default();
        Some(Self {
            span_id: hex_id(&span.span_id, 8)?,
            parent_id,
            name: span.name.clone(),
            kind: by_number(KINDS, span.kind.max(1)).unwrap_or(KINDS[1]),
            start_ns: i64::try_from(span.start_time_unix_nano).ok()?,
            end_ns: i64::try_from(span.end_time_unix_nano).ok()?,
            status_code: by_number(STATUS_CODES, status.code).unwrap_or(STATUS_CODES[0]),
            status_message: if status.code == 2 { status.message } else { String::new() },
            attributes,
            events: span.events.iter().map(event).collect(),
            links: span.links.iter().filter_map(link).collect(),
            resource: resource.map(|resource| pairs(&resource.attributes)).unwrap_or_default(),
            trace_id,
        })
    }

    /// `OK`, `ERROR` or `UNSET`.
    pub fn status(&self) -> &'static str {
        self.status_code.trim_start_matches("STATUS_CODE_")
    }

    /// Fills in what other conventions than MLflow's say about inputs, outputs, tokens and models.
    pub(crate) fn translate(&mut self) {
        translate::complete(&mut self.attributes, &self.events);
    }

    /// The kind of work, as `LLM`.
    pub fn span_type(&self) -> Option<String> {
        let text = self.attributes.get(SPAN_TYPE)?.as_str()?;
        Some(serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_owned()))
    }

    /// An attribute as text, without the quotes of JSON.
    pub(crate) fn plain(&self, key: &str) -> Option<String> {
        let text = self.attributes.get(key)?.as_str()?;
        Some(serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_owned()))
    }

    /// The text that the store keeps.
    pub(crate) fn content(&self) -> String {
        python::unicode_json(&json!({
            "trace_id": base64_of_hex(self.trace_id.trim_start_matches("tr-")),
            "span_id": base64_of_hex(&self.span_id),
            "parent_span_id": self.parent_id.as_deref().map(base64_of_hex),
            "name": self.name,
            "kind": self.kind,
            "start_time_unix_nano": self.start_ns,
            "end_time_unix_nano": self.end_ns,
            "events": self.events,
            "status": {"code": self.status_code, "message": self.status_message},
            "attributes": self.attributes,
            "links": self.links,
        }))
    }
}

fn by_number(names: &'static [&'static str], number: i32) -> Option<&'static str> {
    usize::try_from(number).ok().and_then(|index| names.get(index)).copied()
}

/// An id as hexadecimal digits, filled up with zeros; nothing when it is empty or too long.
fn hex_id(bytes: &[u8], length: usize) -> Option<String> {
    let significant = bytes.iter().position(|byte| *byte != 0).map_or(&[][..], |at| &bytes[at..]);
    if bytes.is_empty() || significant.len() > length {
        return None;
    }
    let digits: String = significant.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{digits:0>width$}", width = length * 2))
}

/// The bytes of hexadecimal digits in base64.
pub(crate) fn base64_of_hex(digits: &str) -> String {
    let bytes: Vec<u8> = (0..digits.len() / 2)
        .filter_map(|at| u8::from_str_radix(digits.get(at * 2..at * 2 + 2)?, 16).ok())
        .collect();
    BASE64_STANDARD.encode(bytes)
}

fn event(event: &otlp::Event) -> Json {
    let attributes: Map<String, Json> = pairs(&event.attributes).into_iter().collect();
    json!({"name": event.name, "time_unix_nano": event.time_unix_nano, "attributes": attributes})
}

fn link(link: &otlp::Link) -> Option<Json> {
    let attributes: Map<String, Json> = pairs(&link.attributes).into_iter().collect();
    Some(json!({
        "trace_id": format!("tr-{}", hex_id(&link.trace_id, 16)?),
        "span_id": hex_id(&link.span_id, 8)?,
        "attributes": if attributes.is_empty() { Json::Null } else { Json::Object(attributes) },
    }))
}

fn pairs(attributes: &[otlp::KeyValue]) -> Vec<(String, Json)> {
    attributes.iter().map(|pair| (pair.key.clone(), value(pair.value.as_ref()))).collect()
}

/// A value as JSON; bytes as Python shows them, NaN as null.
fn value(any: Option<&AnyValue>) -> Json {
    match any.and_then(|any| any.value.as_ref()) {
        None => Json::Null,
        Some(any_value::Value::String(text)) => Json::from(text.as_str()),
        Some(any_value::Value::Bool(flag)) => Json::from(*flag),
        Some(any_value::Value::Int(number)) => Json::from(*number),
        Some(any_value::Value::Double(number)) => Json::from(*number),
        Some(any_value::Value::Bytes(bytes)) => Json::from(python::bytes(bytes)),
        Some(any_value::Value::Array(list)) => list.values.iter().map(|item| value(Some(item))).collect(),
        Some(any_value::Value::Map(map)) => Json::Object(pairs(&map.values).into_iter().collect()),
    }
}

/// The JSON text of a value.
fn dump(any: Option<&AnyValue>) -> String {
    match any.and_then(|any| any.value.as_ref()) {
        Some(any_value::Value::Double(number)) if !number.is_finite() => match python_float(*number).as_str()
        {
            "nan" => "NaN".to_owned(),
            "inf" => "Infinity".to_owned(),
            _ => "-Infinity".to_owned(),
        },
        _ => python::unicode_json(&value(any)),
    }
}

/// MLflow's clients send attributes as JSON texts already: a text that holds JSON of a string, list or object is taken
/// as it is.
fn once_encoded(text: String) -> String {
    match serde_json::from_str::<Json>(&text) {
        Ok(Json::String(inner)) => match serde_json::from_str::<Json>(&inner) {
            Ok(Json::String(_) | Json::Array(_) | Json::Object(_)) => inner,
            _ => text,
        },
        _ => text,
    }
}

/// A stored span as answers of `traces/get` show it.
pub(crate) fn shown(content: &str) -> Json {
    let Ok(Json::Object(span)) = serde_json::from_str::<Json>(content) else { return json!({}) };
    let mut shown = Map::new();
    let text = |name: &str| span.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
    for name in ["trace_id", "span_id", "parent_span_id", "name", "kind"] {
        if let Some(text) = text(name) {
            shown.insert(name.to_owned(), Json::from(text));
        }
    }
    shown.entry("kind").or_insert_with(|| Json::from(KINDS[1]));
    for name in ["start_time_unix_nano", "end_time_unix_nano"] {
        let number = span.get(name).and_then(|time| time.as_i64().or_else(|| time.as_str()?.parse().ok()));
        if let Some(number) = number.filter(|number| *number != 0) {
            shown.insert(name.to_owned(), Json::from(number));
        }
    }
    let attributes = span.get("attributes").and_then(Json::as_object).cloned().unwrap_or_default();
    let parsed = attributes.into_iter().map(|(key, text)| {
        let value = match text.as_str().map(serde_json::from_str::<Json>) {
            Some(Ok(value)) => value,
            _ => text,
        };
        (key, value)
    });
    shown.insert("attributes".to_owned(), key_values(parsed));
    let empty = Vec::new();
    let lists = |name: &str| span.get(name).and_then(Json::as_array).unwrap_or(&empty).iter();
    let fields = |item: &Json| item.get("attributes").and_then(Json::as_object).cloned().unwrap_or_default();
    let events: Vec<Json> = lists("events")
        .map(|event| {
            let mut shown = json!({"time_unix_nano": event["time_unix_nano"], "name": event["name"]});
            let attributes = fields(event);
            if !attributes.is_empty() {
                shown["attributes"] = key_values(attributes.into_iter());
            }
            shown
        })
        .collect();
    if !events.is_empty() {
        shown.insert("events".to_owned(), Json::Array(events));
    }
    let links: Vec<Json> = lists("links")
        .map(|link| {
            let id =
                |name: &str| link[name].as_str().unwrap_or_default().trim_start_matches("tr-").to_owned();
            let mut shown =
                json!({"trace_id": base64_of_hex(&id("trace_id")), "span_id": base64_of_hex(&id("span_id"))});
            let attributes = fields(link);
            if !attributes.is_empty() {
                shown["attributes"] = key_values(attributes.into_iter());
            }
            shown
        })
        .collect();
    if !links.is_empty() {
        shown.insert("links".to_owned(), Json::Array(links));
    }
    let mut status = Map::new();
    let stored = span.get("status");
    let part = |name: &str| stored.and_then(|status| status.get(name)).and_then(Json::as_str);
    if let Some(message) = part("message").filter(|message| !message.is_empty()) {
        status.insert("message".to_owned(), Json::from(message));
    }
    if let Some(code) = part("code").filter(|code| *code != STATUS_CODES[0]) {
        status.insert("code".to_owned(), Json::from(code));
    }
    shown.insert("status".to_owned(), Json::Object(status));
    Json::Object(shown)
}

/// Named values in OpenTelemetry's JSON.
fn key_values(pairs: impl Iterator<Item = (String, Json)>) -> Json {
    pairs
        .map(|(key, value)| match any(value) {
            Some(value) => json!({"key": key, "value": value}),
            None => json!({"key": key}),
        })
        .collect()
}

fn any(value: Json) -> Option<Json> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(flag) => json!({"bool_value": flag}),
        Json::String(text) => json!({"string_value": text}),
        Json::Number(number) => match number.as_i64() {
            Some(number) => json!({"int_value": number}),
            None => json!({"double_value": number}),
        },
        Json::Array(items) => {
            let items: Vec<Json> =
                items.into_iter().map(|item| any(item).unwrap_or_else(|| json!({}))).collect();
            if items.is_empty() {
                json!({"array_value": {}})
            } else {
                json!({"array_value": {"values": items}})
            }
        }
        Json::Object(fields) if fields.is_empty() => json!({"kvlist_value": {}}),
        Json::Object(fields) => json!({"kvlist_value": {"values": key_values(fields.into_iter())}}),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(key: &str, value: any_value::Value) -> otlp::KeyValue {
        otlp::KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
    }

    #[test]
    fn the_stored_text_is_mlflows() {
        use any_value::Value;
        let wire = otlp::Span {
            trace_id: vec![0x92, 0x45],
            span_id: vec![0xa1],
            name: "root ü".to_owned(),
            kind: 2,
            start_time_unix_nano: 5,
            attributes: vec![
                attribute("mlflow.spanInputs", Value::String("{\"q\": \"hé\"}".to_owned())),
                attribute("i", Value::Int(5)),
                attribute("plain", Value::String("text".to_owned())),
                attribute("num", Value::String("1".to_owned())),
                attribute("by", Value::Bytes(vec![0, 1])),
                attribute("nan", Value::Double(f64::NAN)),
            ],
            ..otlp::Span::default()
        };
        let span = Span::from_otlp(&wire, None).unwrap();
        assert_eq!(
            span.content(),
            r#"{"trace_id": "AAAAAAAAAAAAAAAAAACSRQ==", "span_id": "AAAAAAAAAKE=", "parent_span_id": null, "name": "root ü", "#
                .to_owned()
                + r#""kind": "SPAN_KIND_SERVER", "start_time_unix_nano": 5, "end_time_unix_nano": 0, "events": [], "#
                + r#""status": {"code": "STATUS_CODE_UNSET", "message": ""}, "attributes": {"mlflow.spanInputs": "{\"q\": \"hé\"}", "#
                + r#""i": "5", "plain": "\"text\"", "num": "\"1\"", "by": "\"b'\\\\x00\\\\x01'\"", "nan": "NaN", "#
                + r#""mlflow.traceRequestId": "\"tr-00000000000000000000000000009245\""}, "links": []}"#
        );
        let shown = shown(&span.content());
        assert_eq!(
            shown["attributes"][0]["value"]["kvlist_value"]["values"][0]["value"]["string_value"],
            "hé"
        );
        assert_eq!(shown["attributes"][1]["value"]["int_value"], 5);
        assert_eq!((&shown["status"], shown.get("end_time_unix_nano")), (&json!({}), None));
    }

    #[test]
    fn ids_must_be_there() {
        let wire = otlp::Span { trace_id: vec![1], ..otlp::Span::default() };
        assert!(Span::from_otlp(&wire, None).is_none());
        assert!(hex_id(&[1; 17], 16).is_none());
        assert_eq!(hex_id(&[0; 20], 8).as_deref(), Some("0000000000000000"));
    }
}
