//! The tables `metrics`, `latest_metrics` and `logged_model_metrics`.

use std::collections::HashMap;

use super::owners::Owners;
use super::{Arg, Insert, Row, Session, Statement, chunks};
use crate::error::Result;
use crate::metric::{Metric, Places};

/// Columns value, timestamp, step and is_nan from `at` on.
fn point(row: &Row, key: String, at: usize) -> Result<Metric> {
    let value = if row.flag(at + 3)? { f64::NAN } else { row.real(at)? };
    Ok(Metric {
        key,
        value,
        timestamp: row.int_or_null(at + 1)?.unwrap_or_default(),
        step: row.int(at + 2)?,
        ..Metric::default()
    })
}

/// Adds points to the history. A point that is there already is passed over.
pub(crate) async fn insert(session: &mut Session, run_id: &str, metrics: &[Metric]) -> Result<()> {
    let insert = Insert {
        into: "metrics (run_uuid, key, value, timestamp, step, is_nan)",
        columns: 6,
        on_conflict: " ON CONFLICT DO NOTHING",
    };
    session.insert(&insert, rows(run_id, metrics.iter())).await.map(drop)
}

/// Makes points the latest of their keys where they are later than what is there. One point per key.
pub(crate) async fn advance_latest(session: &mut Session, run_id: &str, latest: &[&Metric]) -> Result<()> {
    let insert = Insert {
        into: "latest_metrics (run_uuid, key, value, timestamp, step, is_nan)",
        columns: 6,
        on_conflict: " ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value, \
                      timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan \
                      WHERE (excluded.step, excluded.timestamp, excluded.value) \
                      > (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)",
    };
    session.insert(&insert, rows(run_id, latest.iter().copied())).await.map(drop)
}

fn rows<'m>(run_id: &str, metrics: impl ExactSizeIterator<Item = &'m Metric>) -> Vec<Arg> {
    let mut values = Vec::with_capacity(metrics.len() * 6);
    for metric in metrics {
        let stored = metric.stored();
        values.extend([
            Arg::from(run_id),
            Arg::from(&metric.key),
            Arg::from(stored.value),
            Arg::from(metric.timestamp),
            Arg::from(metric.step),
            Arg::from(stored.is_nan),
        ]);
    }
    values
}

/// Adds points to the logged models that they name.
pub(crate) async fn insert_of_models(
    session: &mut Session,
    run_id: &str,
    experiment_id: i64,
    metrics: &[&Metric],
) -> Result<()> {
    let insert = Insert {
        into: "logged_model_metrics (model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, \
               experiment_id, run_id, dataset_name, dataset_digest)",
        columns: 9,
        on_conflict: " ON CONFLICT DO NOTHING",
    };
    let mut values = Vec::with_capacity(metrics.len() * 9);
    for metric in metrics {
        values.extend([
            Arg::from(metric.model_id.as_deref()),
            Arg::from(&metric.key),
            Arg::from(metric.timestamp),
            Arg::from(metric.step),
            Arg::from(metric.stored().value),
            Arg::from(experiment_id),
            Arg::from(run_id),
            Arg::from(metric.dataset_name.as_deref()),
            Arg::from(metric.dataset_digest.as_deref()),
        ]);
    }
    session.insert(&insert, values).await.map(drop)
}

/// The latest points of runs, each list in the order of the keys.
pub(crate) async fn latest(session: &mut Session, ids: &[String]) -> Result<HashMap<String, Vec<Metric>>> {
    let mut metrics: HashMap<String, Vec<Metric>> = HashMap::new();
    for chunk in chunks(ids) {
        let sql =
            "SELECT run_uuid, key, value, timestamp, step, is_nan FROM latest_metrics WHERE run_uuid IN ";
        let mut statement = Statement::built(sql);
        statement.push_list(chunk);
        let mut owners = Owners::default();
        session.each(statement, |row| owners.push(row, point(row, row.text(1)?, 2)?)).await?;
        owners.give(&mut metrics);
    }
    metrics.values_mut().for_each(|list| list.sort_unstable_by(|a, b| a.key.cmp(&b.key)));
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
    let mut statement = Statement::built("SELECT value, timestamp, step, is_nan FROM metrics WHERE ");
    push_range(&mut statement, run_id, key, None);
    let limit = if limit < 0 { i64::MAX } else { limit };
    statement
        .push(" ORDER BY timestamp, step, value LIMIT ")
        .push_bind(limit)
        .push(" OFFSET ")
        .push_bind(offset);
    series(session, statement, key).await
}

/// The points of one series.
async fn series(session: &mut Session, statement: Statement, key: &str) -> Result<Vec<Metric>> {
    let mut points = Vec::new();
    session
        .each(statement, |row| {
            points.push(point(row, key.to_owned(), 0)?);
            Ok(())
        })
        .await?;
    Ok(points)
}

/// The condition on a series. Steps are always bounded: without that SQLite takes another index, and walks through the
/// points that all runs have of the key.
fn push_range(statement: &mut Statement, run_id: &str, key: &str, steps: Option<(i64, i64)>) {
    let (first, last) = steps.unwrap_or((i64::MIN, i64::MAX));
    statement.push("run_uuid = ").push_bind(run_id).push(" AND key = ").push_bind(key);
    statement.push(" AND step >= ").push_bind(first).push(" AND step <= ").push_bind(last);
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
    series(session, statement, key).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Db, Head, StoreUri};

    #[tokio::test]
    async fn a_series_is_found_by_its_run() {
        let folder = tempfile::tempdir().unwrap();
        let store = StoreUri::Sqlite(folder.path().join("x.db"));
        let db = Db::open(&store, Head::default()).await.unwrap();
        let mut statement =
            Statement::built("EXPLAIN QUERY PLAN SELECT value, timestamp, step, is_nan FROM metrics WHERE ");
        push_range(&mut statement, "r", "k", None);
        statement.push(" ORDER BY timestamp, step, value");
        let plan = db.read().await.unwrap().rows(statement).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.text(3).unwrap()).collect();
        assert!(plan[0].contains("(run_uuid=? AND key=? AND step>? AND step<?)"), "{plan:?}");
    }
}
