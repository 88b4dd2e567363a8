//! The tables `metrics`, `latest_metrics` and `logged_model_metrics`.

use std::collections::HashMap;

use super::{Row, Session, Statement, chunks};
use crate::error::Result;
use crate::metric::{Metric, Places};

/// How many rows one INSERT carries. Larger ones gain nothing.
const ROWS_AT_ONCE: usize = 200;

/// Columns value, timestamp, step and is_nan from `at` on.
fn point(row: &Row, key: &str, at: usize) -> Result<Metric> {
    let value = if row.flag(at + 3)? { f64::NAN } else { row.real(at)? };
    Ok(Metric {
        key: key.to_owned(),
        value,
        timestamp: row.int_or_null(at + 1)?.unwrap_or_default(),
        step: row.int(at + 2)?,
        ..Metric::default()
    })
}

/// Adds points to the history. A point that is there already is passed over.
pub(crate) async fn insert(session: &mut Session, run_id: &str, metrics: &[Metric]) -> Result<()> {
    for chunk in metrics.chunks(ROWS_AT_ONCE) {
        let mut statement =
            Statement::built("INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan) VALUES ");
        statement.keep = matches!(chunk.len(), 1 | ROWS_AT_ONCE);
        push_rows(&mut statement, run_id, chunk.iter());
        statement.push(" ON CONFLICT DO NOTHING");
        session.run(statement).await?;
    }
    Ok(())
}

/// Makes points the latest of their keys where they are later than what is there. One point per key.
pub(crate) async fn advance_latest(session: &mut Session, run_id: &str, latest: &[&Metric]) -> Result<()> {
    for chunk in latest.chunks(ROWS_AT_ONCE) {
        let mut statement = Statement::built(
            "INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan) VALUES ",
        );
        statement.keep = matches!(chunk.len(), 1 | ROWS_AT_ONCE);
        push_rows(&mut statement, run_id, chunk.iter().copied());
        statement.push(
            " ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value, timestamp = excluded.timestamp, \
             step = excluded.step, is_nan = excluded.is_nan \
             WHERE (excluded.step, excluded.timestamp, excluded.value) \
             > (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)",
        );
        session.run(statement).await?;
    }
    Ok(())
}

fn push_rows<'m>(statement: &mut Statement, run_id: &str, metrics: impl Iterator<Item = &'m Metric>) {
    for (index, metric) in metrics.enumerate() {
        let stored = metric.stored();
        statement.push(if index == 0 { "(" } else { ", (" });
        statement
            .push_bind(run_id)
            .push(", ")
            .push_bind(&metric.key)
            .push(", ")
            .push_bind(stored.value)
            .push(", ");
        statement
            .push_bind(metric.timestamp)
            .push(", ")
            .push_bind(metric.step)
            .push(", ")
            .push_bind(stored.is_nan);
        statement.push(")");
    }
}

/// Adds points to the logged models that they name.
pub(crate) async fn insert_of_models(
    session: &mut Session,
    run_id: &str,
    experiment_id: i64,
    metrics: &[&Metric],
) -> Result<()> {
    for metric in metrics {
        let sql = "INSERT INTO logged_model_metrics (model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, \
                   experiment_id, run_id, dataset_name, dataset_digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                   ON CONFLICT DO NOTHING";
        let statement = Statement::new(sql)
            .bind(metric.model_id.as_deref())
            .bind(&metric.key)
            .bind(metric.timestamp)
            .bind(metric.step)
            .bind(metric.stored().value)
            .bind(experiment_id)
            .bind(run_id)
            .bind(metric.dataset_name.as_deref())
            .bind(metric.dataset_digest.as_deref());
        session.run(statement).await?;
    }
    Ok(())
}

/// The latest points of runs, each list in the order of the keys.
pub(crate) async fn latest(session: &mut Session, ids: &[String]) -> Result<HashMap<String, Vec<Metric>>> {
    let mut metrics: HashMap<String, Vec<Metric>> = HashMap::new();
    for chunk in chunks(ids) {
        let sql =
            "SELECT run_uuid, key, value, timestamp, step, is_nan FROM latest_metrics WHERE run_uuid IN ";
        let mut statement = Statement::built(sql);
        statement.push_list(chunk).push(" ORDER BY key COLLATE BINARY");
        for row in session.rows(statement).await? {
            metrics.entry(row.text(0)?).or_default().push(point(&row, &row.text(1)?, 2)?);
        }
    }
    Ok(metrics)
}

/// A series in the order of time, step and value. `limit` -1 is none.
pub(crate) async fn history(
    session: &mut Session,
    run_id: &str,
    key: &str,
    limit: i64,
    offset: i64,
) -> Result<Vec<Metric>> {
    let mut statement = Statement::built(
        "SELECT value, timestamp, step, is_nan FROM metrics WHERE run_uuid = $1 AND key = $2 \
         ORDER BY timestamp, step, value",
    )
    .bind(run_id)
    .bind(key);
    let limit = if limit < 0 { i64::MAX } else { limit };
    statement.push(" LIMIT ").push_bind(limit).push(" OFFSET ").push_bind(offset);
    session.rows(statement).await?.iter().map(|row| point(row, key, 0)).collect()
}

fn push_range(statement: &mut Statement, run_id: &str, key: &str, steps: Option<(i64, i64)>) {
    statement.push("run_uuid = ").push_bind(run_id).push(" AND key = ").push_bind(key);
    if let Some((first, last)) = steps {
        statement.push(" AND step >= ").push_bind(first).push(" AND step <= ").push_bind(last);
    }
}

/// How many points a series has between two steps.
pub(crate) async fn count(
    session: &mut Session,
    run_id: &str,
    key: &str,
    steps: Option<(i64, i64)>,
) -> Result<i64> {
    let mut statement = Statement::built("SELECT COUNT(*) FROM metrics WHERE ");
    push_range(&mut statement, run_id, key, steps);
    session.row(statement).await?.map_or(Ok(0), |row| row.int(0))
}

/// The points at some places of a series in the order of step, time and value.
pub(crate) async fn places(
    session: &mut Session,
    run_id: &str,
    key: &str,
    steps: Option<(i64, i64)>,
    places: &Places,
) -> Result<Vec<Metric>> {
    let mut statement = Statement::built(
        "SELECT value, timestamp, step, is_nan FROM (SELECT value, timestamp, step, is_nan, \
         ROW_NUMBER() OVER (ORDER BY step, timestamp, value, is_nan) AS place FROM metrics WHERE ",
    );
    push_range(&mut statement, run_id, key, steps);
    statement.push(") numbered WHERE place = ").push_bind(places.last);
    let Places { large, large_size, small_size, end, .. } = *places;
    statement.push(" OR (place < ").push_bind(end).push(" AND place <= ").push_bind(large);
    statement.push(" AND (place - 1) % ").push_bind(large_size).push(" = 0)");
    statement.push(" OR (place < ").push_bind(end).push(" AND place > ").push_bind(large);
    statement.push(" AND (place - 1 - ").push_bind(large).push(") % ").push_bind(small_size).push(" = 0)");
    statement.push(" ORDER BY place");
    session.rows(statement).await?.iter().map(|row| point(row, key, 0)).collect()
}
