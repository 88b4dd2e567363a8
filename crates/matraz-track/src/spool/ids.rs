//! Ids that the spool gave while the server was away, and those that the server gave in their place.
//!
//! Ids of the spool are so long and so random that they are found wherever a client put them: in addresses, bodies, tags
//! and the model files that it wrote.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// What the server made of something that the spool made first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// The server's id.
    pub id: String,
    /// Where the server keeps its artifacts; of an experiment nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<String>,
}

/// The ids that differ, and the places of artifacts.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids(HashMap<String, Known>);

impl Ids {
    pub(super) fn insert(&mut self, local: &str, known: Known) {
        self.0.insert(bare(local).to_owned(), known);
    }

    pub(super) fn get(&self, local: &str) -> Option<&Known> {
        self.0.get(bare(local))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Known)> {
        self.0.iter()
    }

    /// The text with every id of the spool replaced by the server's.
    pub(super) fn translate(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let mut whole = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(from.len());
            let (word, after) = from.split_at(end);
            whole.push_str(before);
            match self.0.get(word).filter(|_| word.len() >= 18) {
                Some(known) => whole.push_str(bare(&known.id)),
                None => whole.push_str(word),
            }
            rest = after;
        }
        whole.push_str(rest);
        whole
    }

    /// The place of an artifact that a client names by its path behind the proxy, when the run or model in the path is
    /// one of the spool's.
    pub(super) fn artifact(&self, path: &str) -> Option<String> {
        let parts: Vec<&str> = path.split('/').collect();
        let at = parts.iter().position(|part| *part == "artifacts")?;
        let place = self.get(parts.get(at.checked_sub(1)?)?)?.artifacts.as_deref()?;
        let below = parts.get(at + 1..)?.join("/");
        Some(format!("{}/{below}", place.trim_end_matches('/')))
    }

    /// Where the files of a new version lie, when they are artifacts of a run or model of the spool.
    pub(super) fn source(&self, made: &[u8]) -> Option<String> {
        let made: Json = serde_json::from_slice(made).ok()?;
        let path = made.get("source")?.as_str()?.strip_prefix("mlflow-artifacts:/")?;
        self.artifact(path)
    }
}

/// The id of a logged model without its mark.
fn bare(id: &str) -> &str {
    id.strip_prefix("m-").unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_replaced_wherever_they_stand() {
        let (run, model, experiment) = ("a".repeat(32), format!("m-{}", "b".repeat(32)), "4".repeat(18));
        let mut ids = Ids::default();
        let place = || Some("s3://bucket/7/dd/artifacts".to_owned());
        ids.insert(&run, Known { id: "d".repeat(32), artifacts: place() });
        ids.insert(&model, Known { id: format!("m-{}", "e".repeat(32)), artifacts: None });
        ids.insert(&experiment, Known { id: "7".into(), artifacts: None });
        let text =
            format!("{{\"run_id\":\"{run}\",\"m\":\"{model}\",\"e\":\"{experiment}\",\"x\":\"{run}a é\"}}");
        let expected = format!(
            "{{\"run_id\":\"{}\",\"m\":\"m-{}\",\"e\":\"7\",\"x\":\"{run}a é\"}}",
            "d".repeat(32),
            "e".repeat(32)
        );
        assert_eq!(ids.translate(&text), expected);
        let file = format!("{experiment}/{run}/artifacts/model/artifacts/x y");
        assert_eq!(ids.artifact(&file).as_deref(), Some("s3://bucket/7/dd/artifacts/model/artifacts/x y"));
        assert_eq!(ids.artifact("0/other/artifacts/x"), None);
        let version =
            format!("{{\"name\":\"m\",\"source\":\"mlflow-artifacts:/{experiment}/{run}/artifacts/net\"}}");
        assert_eq!(ids.source(version.as_bytes()).as_deref(), Some("s3://bucket/7/dd/artifacts/net"));
    }
}
