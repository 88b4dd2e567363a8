//! The table `spans`.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::{Session, Statement, chunks};
use crate::error::Result;
use crate::trace::analytics::{finite, object};
use crate::trace::span::{COST, MODEL, PROVIDER, Span};

/// The longest name of a model or provider, in characters.
const MAX_MODEL: usize = 500;

/// Adds a span or writes over the one with its id.
pub(crate) async fn put(session: &mut Session, experiment_id: i64, span: &Span) -> Result<()> {
    let sql = "INSERT INTO spans (trace_id, experiment_id, span_id, parent_span_id, name, type, status, \
               start_time_unix_nano, end_time_unix_nano, content, input_cost, output_cost, total_cost, model_name, \
               model_provider) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
               ON CONFLICT (trace_id, span_id) DO UPDATE SET experiment_id = excluded.experiment_id, \
               parent_span_id = excluded.parent_span_id, name = excluded.name, type = excluded.type, \
               status = excluded.status, start_time_unix_nano = excluded.start_time_unix_nano, \
               end_time_unix_nano = excluded.end_time_unix_nano, content = excluded.content, \
               input_cost = excluded.input_cost, output_cost = excluded.output_cost, \
               total_cost = excluded.total_cost, model_name = excluded.model_name, \
               model_provider = excluded.model_provider";
    let costs = span.attributes.get(COST).and_then(Json::as_str).map(object).unwrap_or_default();
    let cost = |name: &str| costs.get(name).and_then(finite);
    let bounded = |key: &str| span.plain(key).map(|name| name.chars().take(MAX_MODEL).collect::<String>());
    let statement = Statement::new(sql)
        .bind(&span.trace_id)
        .bind(experiment_id)
        .bind(&span.span_id)
        .bind(span.parent_id.clone())
        .bind(&span.name)
        .bind(span.span_type())
        .bind(span.status())
        .bind(span.start_ns)
        .bind(span.end_ns)
        .bind(span.content())
        .bind(cost("input_cost"))
        .bind(cost("output_cost"))
        .bind(cost("total_cost"))
        .bind(bounded(MODEL))
        .bind(bounded(PROVIDER));
    session.run(statement).await.map(drop)
}

/// The texts of the spans of traces: root first, then by start.
pub(crate) async fn contents(session: &mut Session, ids: &[String]) -> Result<HashMap<String, Vec<String>>> {
    let mut contents: HashMap<String, Vec<String>> = HashMap::new();
    for chunk in chunks(ids) {
        let mut statement =
            Statement::built("SELECT trace_id, content FROM spans WHERE content != '' AND trace_id IN ");
        statement.push_list(chunk).push(
            " ORDER BY CASE WHEN parent_span_id IS NULL THEN 0 ELSE 1 END, start_time_unix_nano, span_id",
        );
        for row in session.rows(statement).await? {
            contents.entry(row.text(0)?).or_default().push(row.text(1)?);
        }
    }
    Ok(contents)
}

/// Ids, parents and texts of the spans of a trace.
pub(crate) async fn tree(
    session: &mut Session,
    trace_id: &str,
) -> Result<Vec<(String, Option<String>, String)>> {
    let sql = "SELECT span_id, parent_span_id, content FROM spans WHERE trace_id = $1";
    let rows = session.rows(Statement::new(sql).bind(trace_id)).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text_or_null(1)?, row.text(2)?))).collect()
}
