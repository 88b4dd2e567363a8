//! Messages on the wire by the rules of protobuf's JSON form, as MLflow's servers and clients speak it.
//!
//! Names are taken in `snake_case` and in `camelCase`, unknown names are passed over, `null` is like absent, an
//! int64 may be a number or a string, a double may also be `"NaN"`, `"Infinity"` or `"-Infinity"`. A body that is not
//! JSON counts as an empty one. Answers are indented by two spaces; what is not set is left out.

use axum::extract::{FromRequest, Request as HttpRequest};
use axum::http::{Method, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::query::read_query;
pub use super::scalar::{Choice, Double, Int64};
use crate::error::{Error, Result, SEE_DOCS};

/// The largest body that is read, in bytes; a batch of the largest allowed values stays far below.
pub(super) const MAX_BODY: usize = 64 << 20;

/// A request message.
pub trait Message: DeserializeOwned {
    /// The fields that must be there and not be `""`, in the order in which they are checked; `list[].field` means
    /// the field of every element of a list, `outer.inner` a field of a nested message.
    const REQUIRED: &'static [&'static str] = &[];
    /// Fields, by their `snake_case` names in any depth, whose content has names of the client's own: they are kept as
    /// they are.
    const VERBATIM: &'static [&'static str] = &[];

    /// Reads the usual form of a long message straight from its text. `None` sends it the general way, which also says what
    /// is wrong with it.
    fn straight(_body: &[u8]) -> Option<Self> {
        None
    }
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
            .map_err(|error| Error::unreadable_body(&error))?;
        read_body(&body).map(Self)
    }
}

/// Reads a message from the bytes of a body.
pub fn read_body<M: Message>(body: &[u8]) -> Result<M> {
    if let Some(message) = M::straight(body) {
        return Ok(message);
    }
    read_message(fields_of_body(body, M::VERBATIM)?)
}

/// The fields of a body, with their `snake_case` names but below those that are `verbatim`; none of a body that is not
/// JSON.
pub(crate) fn fields_of_body(body: &[u8], verbatim: &[&str]) -> Result<Map<String, Value>> {
    let mut value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    if let Value::String(inner) = &value {
        // Old clients encode twice.
        value = serde_json::from_str(inner).unwrap_or(Value::Null);
    }
    match value {
        Value::Object(fields) => proto_names(fields, verbatim),
        Value::Null => Ok(Map::new()),
        _ => Err(Error::invalid(format!("The body of the request must be a JSON object.{SEE_DOCS}"))),
    }
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

/// The error for a value of the wrong type, with the value as it was sent.
pub(super) fn wrong_value(fields: &Value, path: &str, reason: &str) -> Error {
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
    // What was found is said by the value itself.
    let reason = match reason.split_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}").replace("a sequence", "a list"),
        None => reason.to_owned(),
    };
    let hint = python_type(at);
    Error::invalid(format!(
        "Invalid value {at} for parameter '{path}' supplied: {reason}. Hint: Value was of type '{hint}'.{SEE_DOCS}"
    ))
}

/// How MLflow calls the type of a value.
fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
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
            None => name != "run_id" || fields.get("run_uuid").is_none_or(|value| value.as_str() == Some("")),
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
fn proto_names(fields: Map<String, Value>, verbatim: &[&str]) -> Result<Map<String, Value>> {
    let mut named = Map::with_capacity(fields.len());
    for (name, value) in fields {
        let snake = snake_case(&name);
        let value = if verbatim.contains(&snake.as_str()) { value } else { proto_value(value, verbatim)? };
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

fn proto_value(value: Value, verbatim: &[&str]) -> Result<Value> {
    match value {
        Value::Object(fields) => Ok(Value::Object(proto_names(fields, verbatim)?)),
        Value::Array(items) => {
            let items = items.into_iter().map(|item| proto_value(item, verbatim));
            Ok(Value::Array(items.collect::<Result<_>>()?))
        }
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

/// A successful answer without spaces and line ends: MLflow answers so where answers are long.
pub struct Compact<T>(pub T);

impl<T: Serialize> IntoResponse for Compact<T> {
    fn into_response(self) -> Response {
        match serde_json::to_string(&self.0) {
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
            (
                r#"{"run_id": 5}"#,
                "Invalid value 5 for parameter 'run_id' supplied: expected a string. Hint: Value was of type 'int'.",
            ),
            (r#"{"run_uuid": ""}"#, "Missing value for required parameter 'run_id'."),
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
}
