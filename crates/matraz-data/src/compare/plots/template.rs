//! Vega-Lite templates: specifications with anchors (`<DVC_METRIC_DATA>`) in the place of what a chart fills in.

use std::path::{Path, PathBuf};

use matraz_base::{Map, Value};

use crate::stage::params::parse_json;
use crate::{Error, Result};

/// The template of plots that name none.
pub const DEFAULT: &str = "linear";

/// The templates that are always there, in the order of lists, with their text.
const BUILT_IN: [(&str, &str); 9] = [
    ("simple", include_str!("templates/simple.json")),
    ("linear", include_str!("templates/smooth.json")),
    ("confusion", include_str!("templates/confusion.json")),
    ("confusion_normalized", include_str!("templates/confusion_normalized.json")),
    ("scatter", include_str!("templates/scatter.json")),
    ("scatter_jitter", include_str!("templates/scatter_jitter.json")),
    ("smooth", include_str!("templates/smooth.json")),
    ("bar_horizontal_sorted", include_str!("templates/bar_horizontal_sorted.json")),
    ("bar_horizontal", include_str!("templates/bar_horizontal.json")),
];

/// The names of the built-in templates.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// The specification of a built-in template.
pub fn built_in(name: &str) -> Result<Value> {
    let unknown = || Error::NoBuiltInTemplate { name: name.to_owned() };
    let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
    parse_json(Path::new(name), text)
}

/// A specification that is being filled.
#[derive(Clone, Debug)]
pub struct Template {
    /// What it was asked for as.
    pub name: String,
    /// The specification.
    pub content: Value,
}

impl Template {
    /// The template of that name: a file in the project's `folder` of templates, with or without `.json`; a file by
    /// its path from `cwd`; or a built-in one.
    pub fn find(name: &str, folder: Option<&Path>, cwd: &Path) -> Result<Self> {
        let mut places: Vec<PathBuf> = Vec::new();
        if let Some(folder) = folder {
            places.push(folder.join(name));
            places.push(folder.join(name).with_extension("json"));
        }
        places.push(cwd.join(name));
        let owned = name.to_owned();
        if let Some(path) = places.iter().find(|path| path.is_file()) {
            let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
            return match parse_json(path, &text)? {
                content @ Value::Map(_) => Ok(Self { name: owned, content }),
                _ => Err(Error::BadTemplate { name: owned, reason: "it is not a JSON object".into() }),
            };
        }
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Ok(Self { content: parse_json(Path::new(name), text)?, name: owned }),
            None => Err(Error::NoTemplate { name: owned }),
        }
    }

    /// What stands for `name` in the specification.
    pub fn anchor(name: &str) -> String {
        format!("<DVC_METRIC_{}>", name.to_uppercase())
    }

    /// Whether the specification has an anchor as a whole value.
    pub fn has(&self, name: &str) -> bool {
        fn find(value: &Value, anchor: &str) -> bool {
            match value {
                Value::Str(text) => text == anchor,
                Value::Map(map) => map.values().any(|inner| match inner {
                    // Lists are searched where a mapping has them, not in other lists.
                    Value::List(items) => items.iter().any(|item| find(item, anchor)),
                    inner => find(inner, anchor),
                }),
                _ => false,
            }
        }
        find(&self.content, &Self::anchor(name))
    }

    /// Puts `value` in the place of an anchor; a text also where the anchor is a part of a text.
    pub fn fill(&mut self, name: &str, value: &Value) {
        fill(&mut self.content, &Self::anchor(name), value);
    }
}

fn fill(node: &mut Value, anchor: &str, value: &Value) {
    match node {
        Value::Map(map) => {
            for inner in map.values_mut() {
                match (&*inner, value) {
                    (Value::Str(text), _) if text == anchor => *inner = value.clone(),
                    (Value::Str(text), Value::Str(with)) if text.contains(anchor) => {
                        *inner = Value::Str(text.replace(anchor, with));
                    }
                    _ => fill(inner, anchor, value),
                }
            }
        }
        Value::List(items) => {
            for item in items {
                match item {
                    Value::Str(text) if text == anchor => *item = value.clone(),
                    item => fill(item, anchor, value),
                }
            }
        }
        _ => {}
    }
}

/// A mapping of literal entries.
pub(super) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_template_is_a_specification_with_data() {
        for name in names() {
            let template = Template { name: name.into(), content: built_in(name).unwrap() };
            for anchor in ["data", "title", "x", "y", "x_label", "y_label"] {
                assert!(template.has(anchor), "{name}: {anchor}");
            }
        }
    }

    #[test]
    fn anchors_are_filled_whole_and_in_texts() {
        let content = parse_json(
            Path::new("t"),
            r#"{"a": "<DVC_METRIC_X>", "b": ["<DVC_METRIC_X>", ["<DVC_METRIC_X> !"]], "c": {"d": "in <DVC_METRIC_X>"}}"#,
        );
        let mut template = Template { name: "t".into(), content: content.unwrap() };
        template.fill("x", &Value::Str("1".into()));
        assert_eq!(
            template.content.to_string(),
            "{'a': '1', 'b': ['1', ['<DVC_METRIC_X> !']], 'c': {'d': 'in 1'}}"
        );
    }
}
