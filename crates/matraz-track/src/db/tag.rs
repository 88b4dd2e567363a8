//! The table `tags`.

use std::collections::{BTreeMap, HashMap};

use super::owners::Owners;
use super::{Arg, Insert, Session, Statement, chunks};
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
    let insert = Insert {
        into: "tags (run_uuid, key, value)",
        columns: 3,
        on_conflict: " ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value",
    };
    session.insert(&insert, rows(run_id, &pairs)).await.map(drop)
}

/// Rows of one of the tables `tags` and `params`.
pub(super) fn rows(run_id: &str, pairs: &[(&str, &str)]) -> Vec<Arg> {
    pairs.iter().flat_map(|&(key, value)| [run_id, key, value].map(Arg::from)).collect()
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
    pairs(session, "tags", "run_uuid", ids).await
}

/// Keys with values out of a table of such, by the column that names their owner; each list in the order of the keys.
pub(super) async fn pairs(
    session: &mut Session,
    table: &str,
    owner: &str,
    ids: &[String],
) -> Result<HashMap<String, Vec<(String, String)>>> {
    let mut pairs: HashMap<String, Vec<(String, String)>> = HashMap::new();
    for chunk in chunks(ids) {
        let mut statement =
            Statement::built(&format!("SELECT {owner}, key, value FROM {table} WHERE {owner} IN "));
        statement.push_list(chunk);
        let mut owners = Owners::default();
        session
            .each(statement, |row| owners.push(row, (row.text(1)?, row.text_or_null(2)?.unwrap_or_default())))
            .await?;
        owners.give(&mut pairs);
    }
    // Sorting many short lists takes less than having the database sort all rows, and is the same on every database.
    pairs.values_mut().for_each(|list| list.sort_unstable());
    Ok(pairs)
}
