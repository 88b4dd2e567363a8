//! What a request says of the things that it is about.

use axum::RequestExt as _;
use axum::body::{Body, Bytes};
use axum::extract::{RawPathParams, Request};
use axum::http::{HeaderMap, Method};
use serde_json::{Map, Value};

use crate::api::{fields_of_body, pairs_of_query};
use crate::auth::policy::Needs;
use crate::error::{Error, Result};

/// The largest body in which the gate looks for the things that a request is about, in bytes.
const MAX_BODY: usize = 64 << 20;

/// Fields whose inner names belong to the user; no thing is named below them.
const VERBATIM: &[&str] = &["tags", "trace_metadata", "value", "metadata"];

/// What a request tells about the things it is about: parameters of the path, of the query and of a JSON body. A handler
/// reads some of these; the gate looks at all of them, so that none can say one thing here and another there.
pub(super) struct Told {
    pairs: Vec<(String, String)>,
    pub(super) body: Map<String, Value>,
    pub(super) header_experiment: Option<String>,
    pub(super) header_run: Option<String>,
}

impl Told {
    pub(super) async fn of(request: &mut Request, needs: Needs) -> Result<Self> {
        let mut pairs = Vec::new();
        if let Ok(path) = request.extract_parts::<RawPathParams>().await {
            pairs.extend(path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        pairs.extend(pairs_of_query(request.uri().query().unwrap_or("")));
        let header_experiment = header_of(request.headers(), "x-mlflow-experiment-id");
        let header_run = header_of(request.headers(), "x-mlflow-run-id");
        let of_files = matches!(
            needs,
            Needs::File(_)
                | Needs::RunInQuery(_)
                | Needs::VersionInQuery
                | Needs::Spans
                | Needs::User
                | Needs::Admin
        );
        let body = if of_files {
            Map::new()
        } else {
            let body = std::mem::take(request.body_mut());
            let bytes: Bytes =
                axum::body::to_bytes(body, MAX_BODY).await.map_err(|error| Error::unreadable_body(&error))?;
            // GET with parameters has a body that nobody reads.
            let unread = *request.method() == Method::GET
                && request.uri().query().is_some_and(|query| !query.is_empty());
            let fields = if unread { Map::new() } else { fields_of_body(&bytes, VERBATIM)? };
            *request.body_mut() = Body::from(bytes);
            fields
        };
        Ok(Self { pairs, body, header_experiment, header_run })
    }

    /// Every value under one of these names.
    pub(super) fn all(&self, names: &[&str]) -> Vec<String> {
        let mut values: Vec<String> = self
            .pairs
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()))
            .map(|(_, value)| value.clone())
            .collect();
        for name in names {
            match self.body.get(*name) {
                Some(Value::Array(items)) => values.extend(items.iter().filter_map(text)),
                Some(value) => values.extend(text(value)),
                None => {}
            }
        }
        values.sort_unstable();
        values.dedup();
        values.retain(|value| !value.is_empty());
        values
    }

    /// Like [`all`](Self::all), of something that must be there.
    pub(super) fn some(&self, names: &[&str]) -> Result<Vec<String>> {
        let values = self.all(names);
        if values.is_empty() { Err(Error::required(names.first().unwrap_or(&""))) } else { Ok(values) }
    }

    /// Every value of a field of the members of a list in the body.
    pub(super) fn within(&self, list: &str, field: &str) -> Vec<String> {
        let items = self.body.get(list).and_then(Value::as_array);
        items
            .into_iter()
            .flatten()
            .filter_map(|item| text(item.get(field)?))
            .filter(|id| !id.is_empty())
            .collect()
    }
}

fn header_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
