//! Experiments with their runs, data sets and logged models.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value as Json;

use super::Import;
use super::files::{META, folders, keyed, name_of, number, text, text_or};
use crate::db::Arg;
use crate::error::Result;
use crate::metric::{Metric, write};
use crate::service::new_id;

/// Folders in an experiment that hold no run.
const RESERVED: [&str; 5] = ["tags", "datasets", "traces", "models", ".trash"];

/// Copies an experiment, all but its traces.
pub(super) async fn experiment(import: &mut Import, folder: &Path, id: i64) -> Result<()> {
    let Some(meta) = import.document(&folder.join(META)) else { return Ok(()) };
    let row = vec![
        ("experiment_id", id.into()),
        ("name", text_or(&meta, "name", &format!("experiment_{id}"))),
        ("artifact_location", text(&meta, "artifact_location").into()),
        ("lifecycle_stage", text_or(&meta, "lifecycle_stage", "active")),
        ("creation_time", number(&meta, "creation_time").into()),
        ("last_update_time", number(&meta, "last_update_time").into()),
        ("workspace", "default".into()),
    ];
    import.add("experiments", "experiments", row).await?;
    for (key, value) in import.pairs(&folder.join("tags")) {
        let row = vec![("key", key.into()), ("value", value.into()), ("experiment_id", id.into())];
        import.add("experiment_tags", "experiment_tags", row).await?;
    }
    let datasets = datasets(import, folder, id).await?;
    for path in folders(folder) {
        if !RESERVED.contains(&name_of(&path).as_str()) && path.join(META).is_file() {
            run(import, &path, id, &datasets).await?;
        }
    }
    for path in folders(&folder.join("models")) {
        logged_model(import, &path, id).await?;
    }
    Ok(())
}

/// The name that the database has for a status, which files keep as a number.
fn status(meta: &Json) -> String {
    match number(meta, "status") {
        Some(2) => "SCHEDULED".to_owned(),
        Some(3) => "FINISHED".to_owned(),
        Some(4) => "FAILED".to_owned(),
        Some(5) => "KILLED".to_owned(),
        Some(_) => "RUNNING".to_owned(),
        None => text(meta, "status").unwrap_or_else(|| "RUNNING".to_owned()),
    }
}

async fn run(
    import: &mut Import,
    folder: &Path,
    experiment: i64,
    datasets: &HashMap<String, String>,
) -> Result<()> {
    let Some(meta) = import.document(&folder.join(META)) else { return Ok(()) };
    let Some(id) = text(&meta, "run_uuid").or_else(|| text(&meta, "run_id")) else {
        import.skip(folder, "its meta.yaml has no run_id");
        return Ok(());
    };
    let source_type = meta.get("source_type").and_then(Json::as_str).unwrap_or("LOCAL");
    let row = vec![
        ("run_uuid", Arg::from(&id)),
        ("name", text(&meta, "run_name").or_else(|| text(&meta, "name")).into()),
        ("source_type", source_type.into()),
        ("source_name", text_or(&meta, "source_name", "")),
        ("entry_point_name", text_or(&meta, "entry_point_name", "")),
        ("user_id", text(&meta, "user_id").into()),
        ("status", status(&meta).into()),
        ("start_time", number(&meta, "start_time").into()),
        ("end_time", number(&meta, "end_time").into()),
        ("deleted_time", number(&meta, "deleted_time").into()),
        ("source_version", text_or(&meta, "source_version", "")),
        ("lifecycle_stage", text_or(&meta, "lifecycle_stage", "active")),
        ("artifact_uri", text(&meta, "artifact_uri").into()),
        ("experiment_id", experiment.into()),
    ];
    import.add("runs", "runs", row).await?;
    for table in ["params", "tags"] {
        for (key, value) in import.pairs(&folder.join(table)) {
            let row = vec![("key", key.into()), ("value", value.into()), ("run_uuid", Arg::from(&id))];
            import.add(table, table, row).await?;
        }
    }
    for (key, path) in keyed(&folder.join("metrics")) {
        let Some(lines) = import.text(&path) else { continue };
        let mut points = Vec::new();
        for line in lines.lines() {
            match point(&key, line) {
                Some(point) => points.push(point),
                None => import.skip(&path, format!("'{line}' is not a point of a metric")),
            }
        }
        for points in points.chunks(1000) {
            write(&mut import.session, &id, experiment, points).await?;
        }
        *import.done.counts.entry("metrics").or_default() += points.len() as u64;
    }
    inputs(import, folder, &id, datasets).await?;
    for path in folders(&folder.join("outputs")) {
        let Some(meta) = import.document(&path.join(META)) else { continue };
        let step = number(&meta, "step").unwrap_or_default();
        let output = (("RUN_OUTPUT", id.as_str()), ("MODEL_OUTPUT", name_of(&path)), step);
        link(import, "outputs", output).await?;
    }
    Ok(())
}

/// `time value [step …]`.
fn point(key: &str, line: &str) -> Option<Metric> {
    let mut words = line.split_ascii_whitespace();
    let timestamp = words.next()?.parse().ok()?;
    let value = words.next()?.parse().ok()?;
    let step = words.next().map_or(Ok(0), str::parse).ok()?;
    Some(Metric { key: key.to_owned(), value, timestamp, step, ..Metric::default() })
}

/// Copies the data sets of an experiment. The names of their folders lead to their ids.
async fn datasets(import: &mut Import, folder: &Path, experiment: i64) -> Result<HashMap<String, String>> {
    let mut ids = HashMap::new();
    for path in folders(&folder.join("datasets")) {
        let Some(meta) = import.document(&path.join(META)) else { continue };
        let id = match text(&meta, "dataset_uuid") {
            Some(id) => id,
            None => new_id()?,
        };
        let row = vec![
            ("dataset_uuid", Arg::from(&id)),
            ("experiment_id", experiment.into()),
            ("name", text_or(&meta, "name", "")),
            ("digest", text_or(&meta, "digest", "")),
            ("dataset_source_type", text_or(&meta, "source_type", "")),
            ("dataset_source", text_or(&meta, "source", "")),
            ("dataset_schema", text(&meta, "schema").into()),
            ("dataset_profile", text(&meta, "profile").into()),
        ];
        import.add("datasets", "datasets", row).await?;
        ids.insert(name_of(&path), id);
    }
    Ok(ids)
}

async fn inputs(
    import: &mut Import,
    folder: &Path,
    run: &str,
    datasets: &HashMap<String, String>,
) -> Result<()> {
    for path in folders(&folder.join("inputs")) {
        let Some(meta) = import.document(&path.join(META)) else { continue };
        let source = text(&meta, "source_id").unwrap_or_default();
        let id = match text(&meta, "source_type").as_deref() {
            None | Some("DATASET") => {
                let Some(dataset) = datasets.get(&source) else {
                    import.skip(&path, format!("there is no data set '{source}'"));
                    continue;
                };
                link(import, "inputs", (("DATASET", dataset), ("RUN", run.to_owned()), 0)).await?
            }
            Some("MODEL") => link(import, "inputs", (("RUN_INPUT", run), ("MODEL_INPUT", source), 0)).await?,
            Some(other) => {
                import.skip(&path, format!("inputs of the kind '{other}' are not known"));
                continue;
            }
        };
        for (name, value) in meta.get("tags").and_then(Json::as_object).into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let row = vec![("input_uuid", Arg::from(&id)), ("name", name.into()), ("value", value.into())];
            import.add("input_tags", "input_tags", row).await?;
        }
    }
    Ok(())
}

/// Notes that one thing went into another, under a new id.
async fn link(
    import: &mut Import,
    kind: &'static str,
    (source, destination, step): ((&str, &str), (&str, String), i64),
) -> Result<String> {
    let id = new_id()?;
    let row = vec![
        ("input_uuid", Arg::from(&id)),
        ("source_type", source.0.into()),
        ("source_id", source.1.into()),
        ("destination_type", destination.0.into()),
        ("destination_id", destination.1.into()),
        ("step", step.into()),
    ];
    import.add(kind, "inputs", row).await?;
    Ok(id)
}

async fn logged_model(import: &mut Import, folder: &Path, experiment: i64) -> Result<()> {
    let Some(meta) = import.document(&folder.join(META)) else { return Ok(()) };
    let id = text(&meta, "model_id").unwrap_or_else(|| name_of(folder));
    let status = match text(&meta, "status").as_deref() {
        Some("READY" | "2") => 2,
        Some("FAILED" | "3") => 3,
        _ => 1_i64,
    };
    let row = vec![
        ("model_id", Arg::from(&id)),
        ("experiment_id", experiment.into()),
        ("name", text_or(&meta, "name", "")),
        ("artifact_location", text_or(&meta, "artifact_location", "")),
        ("creation_timestamp_ms", number(&meta, "creation_timestamp").unwrap_or_default().into()),
        ("last_updated_timestamp_ms", number(&meta, "last_updated_timestamp").unwrap_or_default().into()),
        ("status", status.into()),
        ("lifecycle_stage", text_or(&meta, "lifecycle_stage", "active")),
        ("model_type", text(&meta, "model_type").into()),
        ("source_run_id", text(&meta, "source_run_id").into()),
        ("status_message", text(&meta, "status_message").into()),
    ];
    import.add("logged_models", "logged_models", row).await?;
    for (folder_name, kind, key_column, value_column) in [
        ("params", "logged_model_params", "param_key", "param_value"),
        ("tags", "logged_model_tags", "tag_key", "tag_value"),
    ] {
        for (key, value) in import.pairs(&folder.join(folder_name)) {
            let row = vec![
                ("model_id", Arg::from(&id)),
                ("experiment_id", experiment.into()),
                (key_column, key.into()),
                (value_column, value.into()),
            ];
            import.add(kind, kind, row).await?;
        }
    }
    for (key, path) in keyed(&folder.join("metrics")) {
        let Some(lines) = import.text(&path) else { continue };
        for line in lines.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let (run, dataset) = match words.as_slice() {
                [_, _, _, run] => (*run, None),
                [_, _, _, run, name, digest] => (*run, Some((*name, *digest))),
                _ => ("", None),
            };
            let Some(point) = point(&key, line).filter(|_| !run.is_empty()) else {
                import.skip(&path, format!("'{line}' is not a point of a model's metric"));
                continue;
            };
            let row = vec![
                ("model_id", Arg::from(&id)),
                ("metric_name", Arg::from(&key)),
                ("metric_timestamp_ms", point.timestamp.into()),
                ("metric_step", point.step.into()),
                ("metric_value", point.stored().value.into()),
                ("experiment_id", experiment.into()),
                ("run_id", run.into()),
                ("dataset_name", dataset.map(|(name, _)| name).into()),
                ("dataset_digest", dataset.map(|(_, digest)| digest).into()),
            ];
            import.add("logged_model_metrics", "logged_model_metrics", row).await?;
        }
    }
    Ok(())
}
