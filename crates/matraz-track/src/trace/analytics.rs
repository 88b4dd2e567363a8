//! Session, tokens and costs of a trace: columns in the store, JSON texts in the metadata that clients see.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json};

use crate::error::Result;
use crate::name::check_length;
use crate::python;

/// The metadata key of the session.
pub(crate) const SESSION: &str = "mlflow.trace.session";
/// The metadata key of the counts of tokens.
pub(crate) const TOKEN_USAGE: &str = "mlflow.trace.tokenUsage";
/// The metadata key of the costs.
pub(crate) const COSTS: &str = "mlflow.trace.cost";
/// The longest id of a session, in characters.
const MAX_SESSION: usize = 250;

/// The counts of tokens; columns have the same names.
pub(crate) const TOKENS: [&str; 6] = [
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_input_tokens_above_1hr",
];
/// The costs in US dollars; columns have the same names.
pub(crate) const COST_NAMES: [&str; 3] = ["input_cost", "output_cost", "total_cost"];

/// What is known about a trace beside its times.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Analytics {
    /// The conversation that the trace belongs to.
    pub session: Option<String>,
    /// In the order of [`TOKENS`].
    pub tokens: [Option<i64>; 6],
    /// In the order of [`COST_NAMES`].
    pub costs: [Option<f64>; 3],
}

impl Analytics {
    /// Takes what the metadata says out of it; what it does not say stays as it was.
    pub(crate) fn take(&mut self, metadata: &mut Vec<(String, String)>) -> Result<()> {
        for (key, text) in metadata.iter() {
            match key.as_str() {
                SESSION => self.session = Some(checked_session(text)?),
                TOKEN_USAGE => self.set_tokens(&object(text)),
                COSTS => self.set_costs(&object(text)),
                _ => {}
            }
        }
        metadata.retain(|(key, _)| !is_promoted(key));
        Ok(())
    }

    /// Takes the counts that are there.
    pub(crate) fn set_tokens(&mut self, usage: &Map<String, Json>) {
        for (slot, name) in self.tokens.iter_mut().zip(TOKENS) {
            if let Some(value) = usage.get(name) {
                *slot = token_count(value);
            }
        }
    }

    /// Takes the costs that are there.
    pub(crate) fn set_costs(&mut self, costs: &Map<String, Json>) {
        for (slot, name) in self.costs.iter_mut().zip(COST_NAMES) {
            if let Some(value) = costs.get(name) {
                *slot = finite(value);
            }
        }
    }

    /// The same as metadata.
    pub(crate) fn metadata(&self) -> Vec<(String, String)> {
        let mut metadata = Vec::new();
        if let Some(session) = &self.session {
            metadata.push((SESSION.to_owned(), session.clone()));
        }
        let tokens: Map<String, Json> = TOKENS
            .iter()
            .zip(self.tokens)
            .filter_map(|(name, count)| Some(((*name).to_owned(), Json::from(count?))))
            .collect();
        if !tokens.is_empty() {
            metadata.push((TOKEN_USAGE.to_owned(), python::json(&Json::Object(tokens))));
        }
        let costs: Map<String, Json> = COST_NAMES
            .iter()
            .zip(self.costs)
            .filter_map(|(name, cost)| Some(((*name).to_owned(), Json::from(cost?))))
            .collect();
        if !costs.is_empty() {
            metadata.push((COSTS.to_owned(), python::json(&Json::Object(costs))));
        }
        metadata
    }
}

/// Whether a metadata key is kept in columns.
pub(crate) fn is_promoted(key: &str) -> bool {
    matches!(key, SESSION | TOKEN_USAGE | COSTS)
}

/// The id of a session, when it is not too long.
pub(crate) fn checked_session(text: &str) -> Result<String> {
    check_length("Session ID", MAX_SESSION, text)?;
    Ok(text.to_owned())
}

/// The object in a JSON text; empty when there is none.
pub(crate) fn object(text: &str) -> Map<String, Json> {
    match serde_json::from_str(text) {
        Ok(Json::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn token_count(value: &Json) -> Option<i64> {
    match value {
        Json::Number(number) => number.as_i64().or_else(|| {
            let real = number.as_f64()?;
            (real.fract() == 0.0 && real.abs() < 9.2e18).then_some(real as i64)
        }),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A number that a cost can be.
pub(crate) fn finite(value: &Json) -> Option<f64> {
    let number = match value {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number: &f64| number.is_finite())
}

/// What one span says about tokens or costs.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span_id: String,
    pub(crate) parent_id: Option<String>,
    pub(crate) data: Option<Map<String, Json>>,
}

impl Node {
    /// From an attribute: a JSON text, or an object as old clients stored it.
    pub(crate) fn new(span_id: &str, parent_id: Option<&str>, attribute: Option<&Json>) -> Self {
        let data = match attribute {
            Some(Json::Object(fields)) => Some(fields.clone()),
            Some(Json::String(text)) => match serde_json::from_str(text) {
                Ok(Json::Object(fields)) => Some(fields),
                _ => None,
            },
            _ => None,
        };
        Self { span_id: span_id.to_owned(), parent_id: parent_id.map(str::to_owned), data }
    }
}

/// Sums over a tree of spans. A span below one that has numbers is not counted: the upper one has the sum already.
/// `always` are in the result even when no span names them; nothing at all without numbers.
pub(crate) fn sum(nodes: &[Node], always: &[&str], optional: &[&str]) -> Option<Map<String, Json>> {
    let with_data: HashSet<&str> =
        nodes.iter().filter(|node| node.data.is_some()).map(|node| node.span_id.as_str()).collect();
    let parents: HashMap<&str, Option<&str>> =
        nodes.iter().map(|node| (node.span_id.as_str(), node.parent_id.as_deref())).collect();
    let mut totals: Map<String, Json> = Map::new();
    let mut any = false;
    for node in nodes {
        let Some(data) = &node.data else { continue };
        if has_counted_ancestor(node, &parents, &with_data) {
            continue;
        }
        any = true;
        for name in always.iter().chain(optional) {
            if let Some(number) = data.get(*name).filter(|value| value.is_number()) {
                let sum = add(totals.get(*name), number);
                totals.insert((*name).to_owned(), sum);
            }
        }
    }
    if !any {
        return None;
    }
    for name in always {
        totals.entry(*name).or_insert_with(|| Json::from(0));
    }
    Some(totals)
}

fn has_counted_ancestor(
    node: &Node,
    parents: &HashMap<&str, Option<&str>>,
    with_data: &HashSet<&str>,
) -> bool {
    let mut at = node.parent_id.as_deref();
    // A chain of parents that leads back to itself ends after as many steps as there are spans.
    for _ in 0..parents.len() {
        match at {
            Some(parent) if with_data.contains(parent) => return true,
            Some(parent) => at = parents.get(parent).copied().flatten(),
            None => return false,
        }
    }
    false
}

fn add(sum: Option<&Json>, number: &Json) -> Json {
    let Some(sum) = sum else { return number.clone() };
    match (sum.as_i64(), number.as_i64()) {
        (Some(one), Some(other)) => Json::from(one.saturating_add(other)),
        _ => Json::from(sum.as_f64().unwrap_or_default() + number.as_f64().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_and_columns() {
        let mut metadata = vec![
            (SESSION.to_owned(), "s".to_owned()),
            (
                TOKEN_USAGE.to_owned(),
                r#"{"input_tokens": 3, "total_tokens": 7.0, "output_tokens": "x"}"#.to_owned(),
            ),
            (COSTS.to_owned(), r#"{"input_cost":0.5,"total_cost":1}"#.to_owned()),
            ("m".to_owned(), "1".to_owned()),
        ];
        let mut analytics = Analytics::default();
        analytics.take(&mut metadata).unwrap();
        assert_eq!(metadata, [("m".to_owned(), "1".to_owned())]);
        assert_eq!(
            analytics.metadata(),
            [
                (SESSION.to_owned(), "s".to_owned()),
                (TOKEN_USAGE.to_owned(), r#"{"input_tokens": 3, "total_tokens": 7}"#.to_owned()),
                (COSTS.to_owned(), r#"{"input_cost": 0.5, "total_cost": 1.0}"#.to_owned()),
            ]
        );
        assert!(analytics.take(&mut vec![(SESSION.to_owned(), "s".repeat(251))]).is_err());
    }

    #[test]
    fn sums_do_not_count_twice() {
        let node = |id: &str, parent: Option<&str>, count: i64| {
            let text = json!({"input_tokens": count}).to_string();
            Node::new(id, parent, (count > 0).then(|| Json::from(text)).as_ref())
        };
        let nodes = [
            node("root", None, 0),
            node("a", Some("root"), 5),
            node("b", Some("a"), 0),
            node("c", Some("b"), 5),
            node("d", Some("root"), 2),
            node("e", Some("elsewhere"), 1),
        ];
        let total = sum(&nodes, &TOKENS[..3], &TOKENS[3..]).unwrap();
        assert_eq!(Json::Object(total), json!({"input_tokens": 8, "output_tokens": 0, "total_tokens": 0}));
        assert!(sum(&nodes[..1], &TOKENS[..3], &[]).is_none());
        let round = [node("x", Some("y"), 0), node("y", Some("x"), 0), node("z", Some("x"), 4)];
        assert_eq!(sum(&round, &["input_tokens"], &[]).unwrap()["input_tokens"], 4);
    }
}
