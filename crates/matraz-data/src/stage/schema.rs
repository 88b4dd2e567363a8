//! The schema of `dvc.yaml`: which keys may stand where, and what their values must be. It is checked on the file as
//! written, before templates are resolved.

use matraz_base::Value;
use matraz_base::yaml::{Key, Node, NodeKind};

use super::document::Document;
use super::dvc_yaml::scalar_text;
use super::output::PlotProps;
use crate::Result;

const TOP_KEYS: [&str; 7] = ["vars", "stages", "params", "metrics", "plots", "artifacts", "datasets"];
const STAGE_KEYS: [&str; 14] = [
    "cmd",
    "wdir",
    "deps",
    "params",
    "outs",
    "metrics",
    "plots",
    "vars",
    "frozen",
    "always_changed",
    "desc",
    "meta",
    "matrix",
    "foreach",
];
const OUTPUT_KEYS: [&str; 9] =
    ["cache", "persist", "remote", "push", "desc", "type", "labels", "meta", "checkpoint"];
const PLOT_KEYS: [&str; 6] = ["x", "y", "x_label", "y_label", "title", "template"];
const ARTIFACT_KEYS: [&str; 5] = ["path", "type", "desc", "labels", "meta"];

/// Refuses what the schema does not know or what has the wrong type. Nothing is resolved yet.
pub(super) fn check(document: &Document, root: &Node) -> Result<()> {
    let entries = document.map(root, "a pipeline file")?;
    document.only_keys(entries, &TOP_KEYS, "a pipeline file")?;
    for (key, node) in entries {
        match key.text.as_str() {
            "stages" => {
                for (name, definition) in document.map(node, "`stages`")? {
                    check_stage(document, document.key(name, "the name of a stage")?, definition)?;
                }
            }
            "params" | "metrics" => {
                document.strings(node, &format!("an entry of `{}`", key.text))?;
            }
            "plots" => {
                for item in document.list(node, "`plots`")? {
                    check_plot(document, item)?;
                }
            }
            "vars" => check_vars(document, node)?,
            "artifacts" => {
                for (name, artifact) in document.map(node, "`artifacts`")? {
                    document.key(name, "the name of an artifact")?;
                    let entries = document.map(artifact, "an artifact")?;
                    let place = format!("artifact `{}`", name.text);
                    document.only_keys(entries, &ARTIFACT_KEYS, &place)?;
                    if artifact.get("path").is_none() {
                        return Err(document.error(name.span, format!("{place} has no `path`")));
                    }
                    check_annotations(document, entries)?;
                }
            }
            _ => {
                for dataset in document.list(node, "`datasets`")? {
                    document.map(dataset, "a dataset")?;
                }
            }
        }
    }
    Ok(())
}

fn check_stage(document: &Document, name: &str, definition: &Node) -> Result<()> {
    let place = format!("stage `{name}`");
    let entries = document.map(definition, &place)?;
    if definition.get("foreach").is_some() || definition.get("do").is_some() {
        document.only_keys(entries, &["foreach", "do"], &format!("group `{name}`"))?;
        for key in ["foreach", "do"] {
            if definition.get(key).is_none() {
                return Err(document.error(definition.span, format!("group `{name}` has no `{key}`")));
            }
        }
        if let Some(items) = definition.get("foreach")
            && matches!(&items.kind, NodeKind::Scalar(value) if value.as_str().is_none())
        {
            return Err(document.wrong_type(items, "`foreach`", "a list, a mapping or `${…}`"));
        }
        if let Some(body) = definition.get("do") {
            check_stage_body(document, &place, body)?;
        }
        return Ok(());
    }
    check_stage_body(document, &place, definition)
}

fn check_stage_body(document: &Document, place: &str, body: &Node) -> Result<()> {
    let entries = document.map(body, place)?;
    document.only_keys(entries, &STAGE_KEYS[..13], place)?;
    if body.get("cmd").is_none() {
        return Err(document.error(body.span, format!("{place} has no `cmd`")));
    }
    for (key, node) in entries {
        let what = format!("`{}` of {place}", key.text);
        match key.text.as_str() {
            "cmd" => match &node.kind {
                NodeKind::Scalar(Value::Str(_)) => {}
                // DVC takes `- false` for the command of that name.
                NodeKind::List(items) => {
                    for item in items {
                        scalar_text(document, item, "a command")?;
                    }
                }
                _ => return Err(document.wrong_type(node, &what, "a string or a list of strings")),
            },
            "wdir" | "desc" => {
                document.str(node, &what)?;
            }
            "deps" => {
                document.strings(node, &what)?;
            }
            "params" => {
                for item in document.list(node, &what)? {
                    check_params(document, item)?;
                }
            }
            "outs" | "metrics" | "plots" => {
                for item in document.list(node, &what)? {
                    check_output(document, item, key.text == "plots")?;
                }
            }
            "vars" => check_vars(document, node)?,
            "frozen" | "always_changed" => {
                document.bool(node, &what)?;
            }
            "matrix" => {
                for (axis, values) in document.map(node, &what)? {
                    document.key(axis, "the name of an axis")?;
                    if values.as_list().is_none() && values.as_str().is_none() {
                        return Err(document.wrong_type(values, "an axis of `matrix`", "a list or `${…}`"));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_params(document: &Document, item: &Node) -> Result<()> {
    match &item.kind {
        NodeKind::Scalar(Value::Str(_)) => Ok(()),
        NodeKind::Map(files) => files.iter().try_for_each(|(file, keys)| {
            document.key(file, "the name of a parameters file")?;
            if !keys.is_null() {
                document.strings(keys, "the parameters of a file")?;
            }
            Ok(())
        }),
        _ => Err(document.wrong_type(item, "an entry of `params`", "a string or a mapping")),
    }
}

fn check_output(document: &Document, item: &Node, plot: bool) -> Result<()> {
    if item.as_str().is_some() {
        return Ok(());
    }
    let entries =
        item.as_map().ok_or_else(|| document.wrong_type(item, "an output", "a string or a mapping"))?;
    for (path, flags) in entries {
        document.key(path, "the path of an output")?;
        let place = format!("output `{}`", path.text);
        let mut allowed = OUTPUT_KEYS.to_vec();
        if plot {
            allowed.extend(PlotProps::KEYS);
            if flags.as_list().is_some() {
                return Err(document.not_yet(flags.span, "a list of plots for one output"));
            }
        }
        let flags = document.map(flags, &place)?;
        document.only_keys(flags, &allowed, &place)?;
        check_annotations(document, flags)?;
        for (key, node) in flags {
            let what = format!("`{}` of {place}", key.text);
            match key.text.as_str() {
                "cache" | "persist" | "push" | "checkpoint" | "header" => {
                    document.bool(node, &what)?;
                }
                "remote" | "x" | "y" | "x_label" | "y_label" | "title" | "template" => {
                    document.str(node, &what)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn check_annotations(document: &Document, entries: &[(Key, Node)]) -> Result<()> {
    for (key, node) in entries {
        match key.text.as_str() {
            "desc" | "type" | "path" => {
                document.str(node, &format!("`{}`", key.text))?;
            }
            "labels" => {
                document.strings(node, "`labels`")?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_plot(document: &Document, item: &Node) -> Result<()> {
    if item.as_str().is_some() {
        return Ok(());
    }
    let entries =
        item.as_map().ok_or_else(|| document.wrong_type(item, "a plot", "a string or a mapping"))?;
    for (id, props) in entries {
        document.key(id, "the name of a plot")?;
        if props.is_null() {
            continue;
        }
        let place = format!("plot `{}`", id.text);
        let props = document.map(props, &place)?;
        document.only_keys(props, &PLOT_KEYS, &place)?;
        for (key, node) in props {
            let what = format!("`{}` of {place}", key.text);
            match (key.text.as_str(), &node.kind) {
                ("x" | "y", NodeKind::Map(files)) => {
                    for (file, columns) in files {
                        document.key(file, "the path of a plot's file")?;
                        if columns.as_str().is_none() {
                            if key.text == "x" {
                                return Err(document.wrong_type(columns, &what, "a column"));
                            }
                            document.strings(columns, &what)?;
                        }
                    }
                }
                ("y", NodeKind::List(_)) => {
                    document.strings(node, &what)?;
                }
                _ => {
                    document.str(node, &what)?;
                }
            }
        }
    }
    Ok(())
}

fn check_vars(document: &Document, node: &Node) -> Result<()> {
    for item in document.list(node, "`vars`")? {
        if item.as_str().is_none() && item.as_map().is_none() {
            return Err(document.wrong_type(item, "an entry of `vars`", "a file or a mapping"));
        }
    }
    Ok(())
}
