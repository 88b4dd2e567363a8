//! The tables `trace_info`, `trace_tags` and `trace_request_metadata`.

use std::collections::HashMap;

use super::{Row, Session, Statement, chunks, tag};
use crate::error::Result;
use crate::trace::{Analytics, Deletion, NAME_TAG, TraceInfo, analytics};

/// Columns of `trace_info t`, as [`info`] reads them.
pub(crate) const COLUMNS: &str = "t.request_id, t.experiment_id, t.timestamp_ms, t.execution_time_ms, t.status, \
     t.client_request_id, t.request_preview, t.response_preview, t.trace_name, t.session_id, t.input_tokens, \
     t.output_tokens, t.total_tokens, t.cache_read_input_tokens, t.cache_creation_input_tokens, \
     t.cache_creation_input_tokens_above_1hr, t.input_cost, t.output_cost, t.total_cost";

/// A trace without tags, metadata and assessments.
pub(crate) fn info(row: &Row) -> Result<TraceInfo> {
    let mut tokens = [None; 6];
    for (index, slot) in tokens.iter_mut().enumerate() {
        *slot = row.int_or_null(10 + index)?;
    }
    let costs = [row.real_or_null(16)?, row.real_or_null(17)?, row.real_or_null(18)?];
    Ok(TraceInfo {
        id: row.text(0)?,
        experiment_id: row.int(1)?,
        request_time: row.int(2)?,
        duration: row.int_or_null(3)?,
        state: row.text(4)?,
        client_request_id: row.text_or_null(5)?,
        request_preview: row.text_or_null(6)?,
        response_preview: row.text_or_null(7)?,
        name: row.text_or_null(8)?,
        analytics: Analytics { session: row.text_or_null(9)?, tokens, costs },
        metadata: Vec::new(),
        tags: Vec::new(),
        assessments: Vec::new(),
    })
}

/// A trace without tags, metadata and assessments.
pub(crate) async fn by_id(session: &mut Session, id: &str) -> Result<Option<TraceInfo>> {
    let sql = format!("SELECT {COLUMNS} FROM trace_info t WHERE t.request_id = $1");
    session.row(Statement::new(&sql).bind(id)).await?.as_ref().map(info).transpose()
}

/// Traces in the order of the ids, without tags, metadata and assessments.
pub(crate) async fn by_ids(session: &mut Session, ids: &[String]) -> Result<Vec<TraceInfo>> {
    let mut found: HashMap<String, TraceInfo> = HashMap::new();
    for chunk in chunks(ids) {
        let mut statement =
            Statement::built(&format!("SELECT {COLUMNS} FROM trace_info t WHERE t.request_id IN "));
        statement.push_list(chunk);
        for row in session.rows(statement).await? {
            let info = info(&row)?;
            found.insert(info.id.clone(), info);
        }
    }
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// Reads tags, metadata and assessments.
pub(crate) async fn fill(session: &mut Session, infos: &mut [TraceInfo]) -> Result<()> {
    let ids: Vec<String> = infos.iter().map(|info| info.id.clone()).collect();
    let mut tags = tag::pairs(session, "trace_tags", "request_id", &ids).await?;
    let mut metadata = tag::pairs(session, "trace_request_metadata", "request_id", &ids).await?;
    let mut assessments = super::assessment::of_traces(session, &ids).await?;
    for info in infos {
        info.tags = tags.remove(&info.id).unwrap_or_default();
        info.tags.retain(|(key, _)| key != NAME_TAG);
        info.metadata = metadata.remove(&info.id).unwrap_or_default();
        info.metadata.retain(|(key, _)| !analytics::is_promoted(key));
        info.assessments = assessments.remove(&info.id).unwrap_or_default();
    }
    Ok(())
}

/// Adds the row of a trace or writes over it.
pub(crate) async fn write(session: &mut Session, info: &TraceInfo) -> Result<()> {
    let sql = "INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, execution_time_ms, status, \
               client_request_id, request_preview, response_preview, trace_name, session_id, input_tokens, \
               output_tokens, total_tokens, cache_read_input_tokens, cache_creation_input_tokens, \
               cache_creation_input_tokens_above_1hr, input_cost, output_cost, total_cost) VALUES \
               ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) \
               ON CONFLICT (request_id) DO UPDATE SET timestamp_ms = excluded.timestamp_ms, \
               execution_time_ms = excluded.execution_time_ms, status = excluded.status, \
               client_request_id = excluded.client_request_id, request_preview = excluded.request_preview, \
               response_preview = excluded.response_preview, trace_name = excluded.trace_name, \
               session_id = excluded.session_id, input_tokens = excluded.input_tokens, \
               output_tokens = excluded.output_tokens, total_tokens = excluded.total_tokens, \
               cache_read_input_tokens = excluded.cache_read_input_tokens, \
               cache_creation_input_tokens = excluded.cache_creation_input_tokens, \
               cache_creation_input_tokens_above_1hr = excluded.cache_creation_input_tokens_above_1hr, \
               input_cost = excluded.input_cost, output_cost = excluded.output_cost, total_cost = excluded.total_cost";
    let mut statement = Statement::new(sql)
        .bind(&info.id)
        .bind(info.experiment_id)
        .bind(info.request_time)
        .bind(info.duration)
        .bind(&info.state)
        .bind(info.client_request_id.clone())
        .bind(info.request_preview.clone())
        .bind(info.response_preview.clone())
        .bind(info.name.clone())
        .bind(info.analytics.session.clone());
    for count in info.analytics.tokens {
        statement = statement.bind(count);
    }
    for cost in info.analytics.costs {
        statement = statement.bind(cost);
    }
    session.run(statement).await.map(drop)
}

pub(crate) async fn set_name(session: &mut Session, id: &str, name: Option<&str>) -> Result<()> {
    let sql = "UPDATE trace_info SET trace_name = $2 WHERE request_id = $1";
    session.run(Statement::new(sql).bind(id).bind(name)).await.map(drop)
}

/// Counts that spans were written, by which MLflow sees that an archived copy is old.
pub(crate) async fn count_up(session: &mut Session, id: &str) -> Result<()> {
    let sql = "UPDATE trace_info SET db_payload_generation = db_payload_generation + 1 WHERE request_id = $1";
    session.run(Statement::new(sql).bind(id)).await.map(drop)
}

pub(crate) async fn set_tags(session: &mut Session, id: &str, tags: &[(String, String)]) -> Result<()> {
    set_pairs(session, "trace_tags", id, tags).await
}

pub(crate) async fn set_metadata(
    session: &mut Session,
    id: &str,
    metadata: &[(String, String)],
) -> Result<()> {
    set_pairs(session, "trace_request_metadata", id, metadata).await
}

async fn set_pairs(session: &mut Session, table: &str, id: &str, pairs: &[(String, String)]) -> Result<()> {
    let sql = format!(
        "INSERT INTO {table} (request_id, key, value) VALUES ($1, $2, $3) \
         ON CONFLICT (key, request_id) DO UPDATE SET value = excluded.value"
    );
    for (key, value) in pairs {
        session.run(Statement::new(&sql).bind(id).bind(key).bind(value)).await?;
    }
    Ok(())
}

/// Whether there was one.
pub(crate) async fn delete_tag(session: &mut Session, id: &str, key: &str) -> Result<bool> {
    let sql = "DELETE FROM trace_tags WHERE request_id = $1 AND key = $2";
    Ok(session.run(Statement::new(sql).bind(id).bind(key)).await? > 0)
}

/// Deletes traces with all that belongs to them and says how many.
pub(crate) async fn delete(session: &mut Session, experiment_id: i64, which: &Deletion) -> Result<u64> {
    let mut ids = Vec::new();
    for chunk in which.ids.chunks(500).chain(which.ids.is_empty().then_some(&[][..])) {
        let mut statement = Statement::built("SELECT request_id FROM trace_info WHERE experiment_id = ");
        statement.push_bind(experiment_id);
        if !chunk.is_empty() {
            statement.push(" AND request_id IN ").push_list(chunk);
        }
        if let Some(latest) = which.max_timestamp {
            statement.push(" AND timestamp_ms <= ").push_bind(latest);
        }
        statement.push(" ORDER BY timestamp_ms, request_id");
        if let Some(most) = which.max_traces {
            statement.push(" LIMIT ").push_bind(most);
        }
        for row in session.rows(statement).await? {
            ids.push(row.text(0)?);
        }
    }
    let mut deleted = 0;
    for chunk in chunks(&ids) {
        let mut items =
            Statement::built("DELETE FROM review_queue_items WHERE item_type = 'trace' AND item_id IN ");
        items.push_list(chunk);
        session.run(items).await?;
        let mut traces = Statement::built("DELETE FROM trace_info WHERE request_id IN ");
        traces.push_list(chunk);
        deleted += session.run(traces).await?;
    }
    Ok(deleted)
}
