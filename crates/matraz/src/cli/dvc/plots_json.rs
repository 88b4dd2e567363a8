//! Charts as JSON, in the shape that DVC prints and other programs read.

use std::path::{Path, PathBuf};

use matraz_base::{Map, Value};
use matraz_data::compare::plots::{Chart, Drawing, Image, Moment, Vega};
use matraz_data::{Error, Result};

use super::python_error::encoded;

/// The charts and what went wrong. `split` leaves data and labels out of the specifications and gives them beside. Pictures
/// are named by their place in `folder`; `cwd` is what paths in errors are relative to.
pub fn value(charts: &[Chart], moments: &[Moment], split: bool, folder: &Path, cwd: &Path) -> Result<Value> {
    let mut errors = Vec::new();
    let mut data = Map::new();
    let mut failed = |entries: &[(&str, &str)], error: &Error| {
        let mut entry: Map =
            entries.iter().map(|(key, text)| ((*key).to_owned(), Value::Str((*text).to_owned()))).collect();
        entry.extend(encoded(error, cwd));
        if let (Error::NotText { .. }, Some(Value::Str(message))) = (error, entry.get_mut("msg")) {
            // Of plots DVC spells the encoding so.
            *message = message.replace("utf-8", "utf8");
        }
        errors.push(Value::Map(entry));
    };
    for chart in charts {
        let drawn = match &chart.drawing {
            Drawing::Vega(vega) => specification(vega, split)?,
            Drawing::Pictures(images) => images.iter().map(|image| picture(image, folder)).collect(),
        };
        data.insert(chart.name.clone(), Value::List(drawn));
        for (revision, source) in &chart.unread {
            let moment = moments.iter().find(|moment| moment.revision == *revision);
            if let Some(Err(error)) = moment.and_then(|moment| moment.sources.get(source)) {
                failed(&[("name", &chart.name), ("rev", revision), ("source", source)], error);
            }
        }
        for (revision, error) in &chart.unfit {
            failed(&[("name", &chart.name), ("rev", revision)], error);
        }
    }
    for moment in moments {
        if let Err(error) = &moment.definitions {
            failed(&[("rev", &moment.revision)], error);
        }
    }
    let mut all = Map::new();
    if !errors.is_empty() {
        all.insert("errors".into(), Value::List(errors));
    }
    if !data.is_empty() {
        all.insert("data".into(), Value::Map(data));
    }
    Ok(Value::Map(all))
}

fn specification(vega: &Vega, split: bool) -> Result<Vec<Value>> {
    if vega.rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut entry = Map::new();
    entry.insert("type".into(), Value::Str("vega".into()));
    entry.insert("revisions".into(), Value::List(vega.revisions.iter().cloned().map(Value::Str).collect()));
    if split {
        let (content, anchors) = vega.split()?;
        entry.insert("content".into(), content);
        entry.insert("anchor_definitions".into(), Value::Map(anchors));
    } else {
        entry.insert("content".into(), vega.filled()?);
    }
    Ok(vec![Value::Map(entry)])
}

fn picture(image: &Image, folder: &Path) -> Value {
    let url: PathBuf = folder.join(image.file_name());
    let entries = [
        ("type", Value::Str("image".into())),
        ("revisions", Value::List(vec![Value::Str(image.revision.clone())])),
        ("url", Value::Str(url.to_string_lossy().into_owned())),
    ];
    Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
