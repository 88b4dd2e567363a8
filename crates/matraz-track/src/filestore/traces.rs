//! Traces with their assessments.

use std::path::Path;

use serde_json::Value as Json;

use super::Import;
use super::files::{files, folders, name_of, number, text, text_or};
use crate::db::Arg;
use crate::db::upgrade::analytics;
use crate::error::Result;
use crate::python;

const INFO: &str = "trace_info.yaml";

/// Copies the traces of an experiment.
pub(super) async fn of_experiment(import: &mut Import, folder: &Path, experiment: i64) -> Result<()> {
    for path in folders(&folder.join("traces")) {
        if path.join(INFO).is_file() {
            trace(import, &path, experiment).await?;
        }
    }
    Ok(())
}

async fn trace(import: &mut Import, folder: &Path, experiment: i64) -> Result<()> {
    let Some(meta) = import.document(&folder.join(INFO)) else { return Ok(()) };
    let id = text(&meta, "trace_id").or_else(|| text(&meta, "request_id")).unwrap_or_else(|| name_of(folder));
    let time = time_ms(&meta);
    let mut tags = import.pairs(&folder.join("tags"));
    let name = take(&mut tags, analytics::NAME_TAG).map(|name| analytics::cut(&name, 4096));
    let mut metadata = import.pairs(&folder.join("request_metadata"));
    let session = take(&mut metadata, analytics::SESSION).map(|session| analytics::cut(&session, 250));
    let usage = object(take(&mut metadata, analytics::TOKEN_USAGE));
    let cost = object(take(&mut metadata, analytics::COST));
    let took = number(&meta, "execution_time_ms").or_else(|| number(&meta, "execution_duration_ms"));
    let mut row = vec![
        ("request_id", Arg::from(&id)),
        ("experiment_id", experiment.into()),
        ("timestamp_ms", time.into()),
        ("execution_time_ms", took.into()),
        (
            "status",
            text(&meta, "status").or_else(|| text(&meta, "state")).unwrap_or_else(|| "OK".to_owned()).into(),
        ),
        ("client_request_id", text(&meta, "client_request_id").into()),
        ("request_preview", text(&meta, "request_preview").into()),
        ("response_preview", text(&meta, "response_preview").into()),
        ("trace_name", name.into()),
        ("session_id", session.into()),
    ];
    for column in analytics::TOKENS {
        row.push((column, usage.get(column).and_then(analytics::count).into()));
    }
    for column in analytics::COSTS {
        row.push((column, cost.get(column).and_then(analytics::number).into()));
    }
    import.add("traces", "trace_info", row).await?;
    for (kind, table, pairs) in
        [("trace_tags", "trace_tags", tags), ("trace_metadata", "trace_request_metadata", metadata)]
    {
        for (key, value) in pairs {
            let row = vec![("key", key.into()), ("value", value.into()), ("request_id", Arg::from(&id))];
            import.add(kind, table, row).await?;
        }
    }
    for path in files(&folder.join("assessments")) {
        if path.extension().is_some_and(|extension| extension == "yaml") {
            assessment(import, &path, &id, experiment, time).await?;
        }
    }
    Ok(())
}

async fn assessment(
    import: &mut Import,
    path: &Path,
    trace: &str,
    experiment: i64,
    trace_time: i64,
) -> Result<()> {
    let Some(meta) = import.document(path) else { return Ok(()) };
    let field = |name: &str| meta.get(name).filter(|value| !value.is_null());
    let (kind, inner) = match (field("feedback"), field("expectation")) {
        (Some(feedback), _) => ("feedback", feedback),
        (None, Some(expectation)) => ("expectation", expectation),
        (None, None) => {
            import.skip(path, "it is neither feedback nor an expectation");
            return Ok(());
        }
    };
    let value = python::json(inner.get("value").unwrap_or(&Json::Null));
    let as_json = |value: Option<&Json>| {
        value
            .filter(|value| !value.is_null() && !value.as_object().is_some_and(|map| map.is_empty()))
            .map(python::json)
    };
    let source = field("source").cloned().unwrap_or_default();
    let created = number(&meta, "create_time_ms").unwrap_or_default();
    let (amount, is_number) = analytics::aggregate(&value);
    let name = text(&meta, "assessment_name").or_else(|| text(&meta, "name")).unwrap_or_default();
    let id =
        text(&meta, "assessment_id").unwrap_or_else(|| name_of(path).trim_end_matches(".yaml").to_owned());
    let row = vec![
        ("assessment_id", id.into()),
        ("trace_id", trace.into()),
        ("experiment_id", experiment.into()),
        ("trace_timestamp_ms", trace_time.into()),
        ("name", name.into()),
        ("assessment_type", kind.into()),
        ("value", value.into()),
        ("error", as_json(inner.get("error")).into()),
        ("created_timestamp", created.into()),
        ("last_updated_timestamp", number(&meta, "last_update_time_ms").unwrap_or(created).into()),
        ("source_type", text_or(&source, "source_type", "CODE")),
        ("source_id", text(&source, "source_id").into()),
        ("run_id", text(&meta, "run_id").into()),
        ("span_id", text(&meta, "span_id").into()),
        ("rationale", text(&meta, "rationale").into()),
        ("overrides", text(&meta, "overrides").into()),
        ("valid", meta.get("valid").and_then(Json::as_bool).unwrap_or(true).into()),
        ("assessment_metadata", as_json(field("metadata")).into()),
        ("aggregate_value", amount.into()),
        ("is_numeric_value", is_number.into()),
    ];
    import.add("assessments", "assessments", row).await
}

/// Older traces have a number, newer ones a time as text.
fn time_ms(meta: &Json) -> i64 {
    let written = || {
        let text = text(meta, "request_time")?;
        let moment = text.parse::<jiff::Timestamp>().ok().map(|moment| moment.as_millisecond());
        moment.or_else(|| text.parse().ok())
    };
    number(meta, "timestamp_ms").or_else(written).unwrap_or_default()
}

fn take(pairs: &mut Vec<(String, String)>, key: &str) -> Option<String> {
    let at = pairs.iter().position(|(known, _)| known == key)?;
    Some(pairs.swap_remove(at).1)
}

fn object(text: Option<String>) -> Json {
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}
