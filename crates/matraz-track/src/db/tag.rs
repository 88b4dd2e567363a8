//! The table `tags`.

use std::collections::{BTreeMap, HashMap};

use super::{Session, Statement, chunks};
use crate::error::Result;

pub(crate) async fn set(session: &mut Session, run_id: &str, key: &str, value: &str) -> Result<()> {
    let sql = "INSERT INTO tags (run_uuid, key, value) VALUES ($1, $2, $3) \
               ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value";
    session.run(Statement::new(sql).bind(run_id).bind(key).bind(value)).await.map(drop)
}

/// Sets many tags at once. Of a repeated key the last value counts.
pub(crate) async fn set_all(session: &mut Session, run_id: &str, tags: &[(String, String)]) -> Result<()> {
    let mut unique: BTreeMap<&str, &str> = BTreeMap::new();
    for (key, value) in tags {
        unique.insert(key, value);
    }
    let pairs: Vec<(&str, &str)> = unique.into_iter().collect();
    insert_pairs(
        session,
        "tags",
        run_id,
        &pairs,
        " ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value",
    )
    .await
    .map(drop)
}

/// Adds rows to one of the tables `tags` and `params`, and counts those that were added or changed.
pub(super) async fn insert_pairs(
    session: &mut Session,
    table: &str,
    run_id: &str,
    pairs: &[(&str, &str)],
    on_conflict: &str,
) -> Result<u64> {
    let mut count = 0;
    for chunk in pairs.chunks(100) {
        let mut statement = Statement::built(&format!("INSERT INTO {table} (run_uuid, key, value) VALUES "));
        for (index, (key, value)) in chunk.iter().enumerate() {
            statement.push(if index == 0 { "" } else { ", " }).push_list([run_id, key, value]);
        }
        statement.push(on_conflict);
        count += session.run(statement).await?;
    }
    Ok(count)
}

/// Whether there was one.
pub(crate) async fn delete(session: &mut Session, run_id: &str, key: &str) -> Result<bool> {
    let sql = "DELETE FROM tags WHERE run_uuid = $1 AND key = $2";
    Ok(session.run(Statement::new(sql).bind(run_id).bind(key)).await? > 0)
}

pub(crate) async fn get(session: &mut Session, run_id: &str, key: &str) -> Result<Option<String>> {
    let sql = "SELECT value FROM tags WHERE run_uuid = $1 AND key = $2";
    match session.row(Statement::new(sql).bind(run_id).bind(key)).await? {
        Some(row) => row.text_or_null(0),
        None => Ok(None),
    }
}

/// The tags of runs, each list in the order of the keys.
pub(crate) async fn of_runs(
    session: &mut Session,
    ids: &[String],
) -> Result<HashMap<String, Vec<(String, String)>>> {
    pairs_of_runs(session, "tags", ids).await
}

/// Keys with values of one of the tables `tags` and `params`.
pub(super) async fn pairs_of_runs(
    session: &mut Session,
    table: &str,
    ids: &[String],
) -> Result<HashMap<String, Vec<(String, String)>>> {
    let mut pairs: HashMap<String, Vec<(String, String)>> = HashMap::new();
    for chunk in chunks(ids) {
        let mut statement =
            Statement::built(&format!("SELECT run_uuid, key, value FROM {table} WHERE run_uuid IN "));
        statement.push_list(chunk).push(" ORDER BY key COLLATE BINARY");
        for row in session.rows(statement).await? {
            let pair = (row.text(1)?, row.text_or_null(2)?.unwrap_or_default());
            pairs.entry(row.text(0)?).or_default().push(pair);
        }
    }
    Ok(pairs)
}
