//! The tracking store that a command of MLflow's grammar works on.

use matraz_base::{Explain, Failure, Kind, Place, Value};
use matraz_loop::Tracker;
use matraz_track::client::{Client, ClientError};
use serde_json::Value as Json;

use crate::app::App;
use crate::names::Grammar;
use crate::printer::python_json;
use crate::project::Project;

/// An open store, asked with MLflow's own REST messages.
pub struct Store {
    tracker: Tracker,
    grammar: Grammar,
}

/// What the store refused. MLflow's programs end with 1 then; 2 is kept for a faulty command line.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Refused(ClientError);

impl Explain for Refused {
    fn kind(&self) -> Kind {
        match self.0.kind() {
            Kind::Usage => Kind::Failed,
            other => other,
        }
    }

    fn hint(&self) -> Option<String> {
        self.0.hint()
    }

    fn place(&self) -> Option<&Place> {
        self.0.place()
    }
}

impl Store {
    /// The store of the environment, of the project, or `sqlite:///mlflow.db`. In MLflow's grammar a store that is
    /// not there is made, as MLflow does; in ours only by a command that `writes`.
    pub fn open(app: &App, writes: bool) -> Result<Self, Failure> {
        let project = Project::here(app)?;
        let tracker = match app.grammar {
            Grammar::Mlflow => Tracker::open(project.target)?,
            _ if writes => Tracker::open(project.target)?,
            _ => project.tracker()?,
        };
        Ok(Self { tracker, grammar: app.grammar })
    }

    /// The address of the server; nothing for a store in a file.
    pub fn url(&self) -> Option<&str> {
        self.tracker.client().url()
    }

    /// GET with query parameters, below `/api/2.0/mlflow/`.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Json, Failure> {
        self.call(async |client| client.get(path, query).await)
    }

    /// POST with a body, below `/api/2.0/mlflow/`.
    pub fn post(&self, path: &str, body: &Json) -> Result<Json, Failure> {
        self.call(async |client| client.post(path, body).await)
    }

    /// Any call of the client, to its end.
    pub fn call<T>(&self, ask: impl AsyncFnOnce(&Client) -> Result<T, ClientError>) -> Result<T, Failure> {
        let answer = self.tracker.wait(ask(self.tracker.client()));
        answer.map_err(|error| match self.grammar {
            Grammar::Mlflow => Refused(error).into(),
            _ => error.into(),
        })
    }

    /// Every item of a search, page by page. `list` is the field of the answer that holds the items.
    pub fn search(&self, path: &str, body: &Json, list: &str, most: usize) -> Result<Vec<Json>, Failure> {
        let mut body = body.clone();
        let mut found = Vec::new();
        loop {
            let mut page = self.post(path, &body)?;
            if let Some(Json::Array(items)) = page.get_mut(list).map(Json::take) {
                found.extend(items);
            }
            match page.get("next_page_token").and_then(Json::as_str) {
                Some(token) if found.len() < most => body["page_token"] = token.into(),
                _ => break,
            }
        }
        found.truncate(most);
        Ok(found)
    }
}

/// Which lifecycle stages a listing shows.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub enum View {
    /// What is not deleted.
    #[default]
    #[value(name = "active_only")]
    Active,
    /// What is deleted.
    #[value(name = "deleted_only")]
    Deleted,
    /// Everything.
    #[value(name = "all")]
    All,
}

impl View {
    /// The name in messages.
    pub fn wire_name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE_ONLY",
            Self::Deleted => "DELETED_ONLY",
            Self::All => "ALL",
        }
    }
}

/// The text at a path of keys, empty when there is none.
pub fn text<'j>(json: &'j Json, path: &[&str]) -> &'j str {
    let found = path.iter().try_fold(json, |json, key| json.get(key));
    found.and_then(Json::as_str).unwrap_or_default()
}

/// `key`/`value` objects of a list as pairs.
pub fn pairs<'j>(json: &'j Json, path: &[&str]) -> Vec<(&'j str, &'j Json)> {
    let found = path.iter().try_fold(json, |json, key| json.get(key)).and_then(Json::as_array);
    let pair = |item: &'j Json| Some((item.get("key")?.as_str()?, item.get("value").unwrap_or(&Json::Null)));
    found.map(|items| items.iter().filter_map(pair).collect()).unwrap_or_default()
}

/// A table as MLflow prints it: a dashed rule below the headings, two spaces between columns, all padded.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(headings[column].chars().count() + 2)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ")
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut lines = vec![line(headings.to_vec()), rule.join("  ")];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

/// A value over several lines as Python's `json.dumps(…, indent=n)` writes it, NaN and infinities as bare words.
pub fn indented_json(value: &Value, indent: usize) -> String {
    let mut out = String::new();
    write_json(value, indent, 0, &mut out);
    out
}

fn write_json(value: &Value, indent: usize, depth: usize, out: &mut String) {
    let (open, close, items): (char, char, Vec<(Option<&String>, &Value)>) = match value {
        Value::List(items) if !items.is_empty() => {
            ('[', ']', items.iter().map(|item| (None, item)).collect())
        }
        Value::Map(fields) if !fields.is_empty() => {
            ('{', '}', fields.iter().map(|(key, item)| (Some(key), item)).collect())
        }
        Value::Float(x) if x.is_nan() => return out.push_str("NaN"),
        Value::Float(x) if x.is_infinite() => {
            return out.push_str(if *x > 0.0 { "Infinity" } else { "-Infinity" });
        }
        other => return out.push_str(&python_json(&other.to_json())),
    };
    out.push(open);
    for (index, (key, item)) in items.into_iter().enumerate() {
        out.push_str(if index > 0 { ",\n" } else { "\n" });
        out.push_str(&" ".repeat(indent * (depth + 1)));
        if let Some(key) = key {
            out.push_str(&python_json(&Json::from(key.as_str())));
            out.push_str(": ");
        }
        write_json(item, indent, depth + 1, out);
    }
    out.push('\n');
    out.push_str(&" ".repeat(indent * depth));
    out.push(close);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_are_padded_to_the_end() {
        let rows = vec![vec!["3".to_owned(), "lm-710e53".to_owned(), "mlflow-artifacts:/3".to_owned()]];
        let want = "Experiment Id    Name       Artifact Location  \n---------------  ---------  -------------------\n\
                    3                lm-710e53  mlflow-artifacts:/3";
        assert_eq!(table(&["Experiment Id", "Name", "Artifact Location"], &rows), want);
    }

    #[test]
    fn json_is_indented_as_python_does() {
        let mut value = Value::from(&json!({"a": [1, 2.0], "b": {}, "c": [], "é": null}));
        if let Value::Map(fields) = &mut value {
            fields.insert("n".to_owned(), Value::Float(f64::NAN));
        }
        let want = "{\n    \"a\": [\n        1,\n        2.0\n    ],\n    \"b\": {},\n    \"c\": [],\n    \"\\u00e9\": null,\n    \"n\": NaN\n}";
        assert_eq!(indented_json(&value, 4), want);
    }
}
