//! The table `assessments`.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::{Row, Session, Statement, chunks};
use crate::assessment::{Assessment, Kind};
use crate::error::{Error, Result};
use crate::python;

const COLUMNS: &str = "SELECT assessment_id, trace_id, name, assessment_type, value, error, created_timestamp, \
                       last_updated_timestamp, source_type, source_id, run_id, span_id, rationale, overrides, valid, \
                       assessment_metadata FROM assessments";

fn assessment(row: &Row) -> Result<Assessment> {
    let kind = row.text(3)?;
    let kind = Kind::by_name(&kind)
        .ok_or_else(|| Error::Bug(format!("an assessment has the unknown type '{kind}'")))?;
    let parse = |text: Option<String>| text.and_then(|text| serde_json::from_str::<Json>(&text).ok());
    let value = parse(row.text_or_null(4)?).unwrap_or(Json::Null);
    Ok(Assessment {
        id: row.text(0)?,
        trace_id: row.text(1)?,
        name: row.text(2)?,
        value: if kind == Kind::Issue {
            value.get("issue_name").cloned().unwrap_or(Json::Null)
        } else {
            value
        },
        kind,
        error: parse(row.text_or_null(5)?),
        created: row.int(6)?,
        updated: row.int(7)?,
        source_type: row.text(8)?,
        source_id: row.text_or_null(9)?,
        run_id: row.text_or_null(10)?,
        span_id: row.text_or_null(11)?,
        rationale: row.text_or_null(12)?,
        overrides: row.text_or_null(13)?,
        valid: row.flag(14)?,
        metadata: row.text_or_null(15)?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
    })
}

pub(crate) async fn by_id(session: &mut Session, id: &str) -> Result<Option<Assessment>> {
    let statement = Statement::new(&format!("{COLUMNS} WHERE assessment_id = $1")).bind(id);
    session.row(statement).await?.as_ref().map(assessment).transpose()
}

/// Adds an assessment or writes over the one with its id.
pub(crate) async fn write(
    session: &mut Session,
    assessment: &Assessment,
    experiment_id: i64,
    trace_time: i64,
) -> Result<()> {
    let sql = "INSERT INTO assessments (assessment_id, trace_id, name, assessment_type, value, error, created_timestamp, \
               last_updated_timestamp, source_type, source_id, run_id, span_id, rationale, overrides, valid, \
               assessment_metadata, experiment_id, trace_timestamp_ms, aggregate_value, is_numeric_value) VALUES \
               ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) \
               ON CONFLICT (assessment_id) DO UPDATE SET name = excluded.name, value = excluded.value, \
               error = excluded.error, last_updated_timestamp = excluded.last_updated_timestamp, \
               rationale = excluded.rationale, valid = excluded.valid, \
               assessment_metadata = excluded.assessment_metadata, experiment_id = excluded.experiment_id, \
               trace_timestamp_ms = excluded.trace_timestamp_ms, aggregate_value = excluded.aggregate_value, \
               is_numeric_value = excluded.is_numeric_value";
    let (aggregate, is_numeric) = assessment.aggregate();
    let metadata = (!assessment.metadata.is_empty()).then(|| python::json(&json!(assessment.metadata)));
    let statement = Statement::new(sql)
        .bind(&assessment.id)
        .bind(&assessment.trace_id)
        .bind(&assessment.name)
        .bind(assessment.kind.name())
        .bind(python::json(&assessment.stored_value()))
        .bind(assessment.error.as_ref().map(python::json))
        .bind(assessment.created)
        .bind(assessment.updated)
        .bind(&assessment.source_type)
        .bind(assessment.source_id.clone())
        .bind(assessment.run_id.clone())
        .bind(assessment.span_id.clone())
        .bind(assessment.rationale.clone())
        .bind(assessment.overrides.clone())
        .bind(assessment.valid)
        .bind(metadata)
        .bind(experiment_id)
        .bind(trace_time)
        .bind(aggregate)
        .bind(is_numeric);
    session.run(statement).await.map(drop)
}

/// Whether there was one.
pub(crate) async fn set_valid(session: &mut Session, trace_id: &str, id: &str, valid: bool) -> Result<bool> {
    let sql = "UPDATE assessments SET valid = $3 WHERE trace_id = $1 AND assessment_id = $2";
    Ok(session.run(Statement::new(sql).bind(trace_id).bind(id).bind(valid)).await? > 0)
}

pub(crate) async fn delete(session: &mut Session, id: &str) -> Result<()> {
    let sql = "DELETE FROM assessments WHERE assessment_id = $1";
    session.run(Statement::new(sql).bind(id)).await.map(drop)
}

/// Writes experiment and start of a trace to its assessments.
pub(crate) async fn move_to(
    session: &mut Session,
    trace_id: &str,
    experiment_id: i64,
    trace_time: i64,
) -> Result<()> {
    let sql = "UPDATE assessments SET experiment_id = $2, trace_timestamp_ms = $3 WHERE trace_id = $1";
    session.run(Statement::new(sql).bind(trace_id).bind(experiment_id).bind(trace_time)).await.map(drop)
}

/// The assessments of traces, oldest first.
pub(crate) async fn of_traces(
    session: &mut Session,
    ids: &[String],
) -> Result<HashMap<String, Vec<Assessment>>> {
    let mut found: HashMap<String, Vec<Assessment>> = HashMap::new();
    for chunk in chunks(ids) {
        let mut statement = Statement::built(COLUMNS);
        statement
            .push(" WHERE trace_id IN ")
            .push_list(chunk)
            .push(" ORDER BY created_timestamp, last_updated_timestamp, assessment_id");
        for row in session.rows(statement).await? {
            let assessment = assessment(&row)?;
            found.entry(assessment.trace_id.clone()).or_default().push(assessment);
        }
    }
    Ok(found)
}
