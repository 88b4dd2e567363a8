//! The table `params`.

use std::collections::HashMap;

use super::{Insert, Session, Statement, tag};
use crate::error::Result;

pub(crate) async fn get(session: &mut Session, run_id: &str, key: &str) -> Result<Option<String>> {
    let sql = "SELECT value FROM params WHERE run_uuid = $1 AND key = $2";
    session.row(Statement::new(sql).bind(run_id).bind(key)).await?.map(|row| row.text(0)).transpose()
}

/// How many were added: those that were not there yet, whatever their values.
pub(crate) async fn insert(session: &mut Session, run_id: &str, params: &[(String, String)]) -> Result<u64> {
    let pairs: Vec<(&str, &str)> = params.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let insert =
        Insert { into: "params (run_uuid, key, value)", columns: 3, on_conflict: " ON CONFLICT DO NOTHING" };
    session.insert(&insert, tag::rows(run_id, &pairs)).await
}

/// The params of runs, each list in the order of the keys.
pub(crate) async fn of_runs(
    session: &mut Session,
    ids: &[String],
) -> Result<HashMap<String, Vec<(String, String)>>> {
    tag::pairs(session, "params", "run_uuid", ids).await
}
