//! Groups of stages: `foreach` and `matrix`.

use matraz_base::yaml::{Node, NodeKind};
use matraz_base::{Map, Value};

use super::document::Document;
use super::template::{self, Context};
use crate::{Error, Result};

/// Most stages that one definition may make. More than that is a mistake, or an attempt to use up the memory.
const MOST_STAGES: usize = 100_000;

/// One stage to be, with the values that its templates may name.
pub struct Instance {
    /// Its name, `group@key` in a group.
    pub name: String,
    /// What the file says about it, not resolved.
    pub body: Node,
    /// The values for its templates.
    pub context: Context,
}

/// Whether the definition makes a group of stages.
pub fn is_group(definition: &Node) -> bool {
    definition.get("foreach").is_some() || definition.get("matrix").is_some()
}

/// The stages that the definition `name` makes: itself, or those of its group.
pub fn expand(
    document: &Document,
    context: &Context,
    name: &str,
    definition: &Node,
) -> Result<Vec<Instance>> {
    if let (Some(items), Some(body)) = (definition.get("foreach"), definition.get("do")) {
        return each(document, context, name, items, body);
    }
    if let Some(matrix) = definition.get("matrix") {
        return grid(document, context, name, matrix, definition);
    }
    refuse_unnameable(document, definition, name, name)?;
    Ok(vec![Instance { name: name.to_owned(), body: definition.clone(), context: context.clone() }])
}

fn each(
    document: &Document,
    context: &Context,
    group: &str,
    items: &Node,
    body: &Node,
) -> Result<Vec<Instance>> {
    let fault = |error: Error| error.in_template(format!("'stages.{group}.foreach'"), &document.path);
    let resolved = context.resolve(document, items, None).map_err(fault)?;
    let (entries, keyed): (Vec<(String, Value)>, bool) = match resolved.to_value() {
        Value::Map(map) => (map.into_iter().collect(), true),
        Value::List(list) if list.iter().any(is_composite) => {
            (list.into_iter().enumerate().map(|(n, item)| (n.to_string(), item)).collect(), false)
        }
        Value::List(list) => {
            let named = |(n, item): (usize, Value)| (key_text(&item, is_from_context(items, n)), item);
            (list.into_iter().enumerate().map(named).collect(), false)
        }
        _ => return Err(fault(document.wrong_type(&resolved, "`foreach`", "a list or a mapping"))),
    };
    // A value that stands twice in a list makes one stage.
    let entries: Map = entries.into_iter().collect();
    entries.keys().try_for_each(|key| refuse_unnameable(document, items, group, key))?;
    let origin = items.as_str().and_then(template::only_expression);
    Ok(entries
        .into_iter()
        .enumerate()
        .map(|(n, (key, item))| {
            let mut names = vec![("item".to_owned(), item)];
            if keyed {
                names.push(("key".to_owned(), Value::Str(key.clone())));
            }
            let mut context = context.with_reserved(names);
            if let Some(origin) = origin {
                let place = if keyed { key.clone() } else { n.to_string() };
                context.set_origin("item", &format!("{origin}.{place}"));
            }
            Instance { name: format!("{group}@{key}"), body: body.clone(), context }
        })
        .collect())
}

fn grid(
    document: &Document,
    context: &Context,
    group: &str,
    matrix: &Node,
    definition: &Node,
) -> Result<Vec<Instance>> {
    let mut combinations: Vec<(Vec<String>, Map)> = vec![(Vec::new(), Map::new())];
    for (axis, axis_node) in document.map(matrix, "`matrix`")? {
        let fault = |error: Error| error.in_template(format!("'stages.{group}.matrix'"), &document.path);
        let resolved = context.resolve(document, axis_node, None).map_err(fault)?;
        let values = match resolved.to_value() {
            Value::List(values) => values,
            _ => return Err(fault(document.wrong_type(&resolved, "an axis of `matrix`", "a list"))),
        };
        let count = combinations.len().saturating_mul(values.len());
        if count > MOST_STAGES {
            let message = format!("`matrix` makes more than {MOST_STAGES} stages");
            return Err(document.error(matrix.span, message));
        }
        let mut next = Vec::with_capacity(count);
        for (names, chosen) in &combinations {
            for (n, value) in values.iter().enumerate() {
                let name = match is_composite(value) {
                    true => format!("{}{n}", axis.text),
                    false => key_text(value, is_from_context(axis_node, n)),
                };
                let mut names = names.clone();
                names.push(name);
                let mut chosen = chosen.clone();
                chosen.insert(axis.text.clone(), value.clone());
                next.push((names, chosen));
            }
        }
        combinations = next;
    }
    let body = without(definition, "matrix");
    let stages: Map =
        combinations.into_iter().map(|(names, chosen)| (names.join("-"), Value::Map(chosen))).collect();
    stages.keys().try_for_each(|key| refuse_unnameable(document, matrix, group, key))?;
    Ok(stages
        .into_iter()
        .map(|(key, item)| {
            let names = [("key".to_owned(), Value::Str(key.clone())), ("item".to_owned(), item)];
            Instance {
                name: format!("{group}@{key}"),
                body: body.clone(),
                context: context.with_reserved(names),
            }
        })
        .collect())
}

fn without(definition: &Node, key: &str) -> Node {
    let mut node = definition.clone();
    if let NodeKind::Map(entries) = &mut node.kind {
        entries.retain(|(candidate, _)| candidate.text != key);
    }
    node
}

fn is_composite(value: &Value) -> bool {
    matches!(value, Value::List(_) | Value::Map(_))
}

/// The text of an item in the name of its stage. Truth is written as in YAML where it stands in the group itself, and as in
/// Python where it comes from a parameter.
fn key_text(value: &Value, from_context: bool) -> String {
    match value {
        Value::Bool(truth) if !from_context => truth.to_string(),
        other => other.to_string(),
    }
}

/// Whether the item `n` of a list, or the list itself, is written as `${…}`.
fn is_from_context(list: &Node, n: usize) -> bool {
    let node = list.as_list().map_or(Some(list), |items| items.get(n));
    node.and_then(Node::as_str).is_some_and(|text| template::only_expression(text).is_some())
}

/// An empty text names no stage, and what is behind the last `@` of a name is the item of a group.
fn refuse_unnameable(document: &Document, node: &Node, name: &str, text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(document.error(node.span, format!("`{name}` has a stage without a name")));
    }
    if text.contains('@') {
        let message = format!("`{text}` cannot name a stage: `@` stands between a group and its items");
        return Err(document.error(node.span, message));
    }
    Ok(())
}
