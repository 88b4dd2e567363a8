//! The tables `experiments` and `experiment_tags`.

use super::{Row, Session, Statement};
use crate::error::Result;
use crate::experiment::Experiment;
use crate::search::experiments::ExperimentSearch;

const COLUMNS: &str = "SELECT e.experiment_id, e.name, e.artifact_location, e.lifecycle_stage, e.creation_time, \
                       e.last_update_time FROM experiments e";

fn experiment(row: &Row) -> Result<Experiment> {
    Ok(Experiment {
        id: row.int(0)?,
        name: row.text(1)?,
        artifact_location: row.text_or_null(2)?,
        lifecycle_stage: row.text_or_null(3)?.unwrap_or_default(),
        creation_time: row.int_or_null(4)?,
        last_update_time: row.int_or_null(5)?,
        tags: Vec::new(),
    })
}

/// How many experiments there are, deleted ones too.
pub(crate) async fn count(session: &mut Session) -> Result<i64> {
    session.row(Statement::new("SELECT COUNT(*) FROM experiments")).await?.map_or(Ok(0), |row| row.int(0))
}

/// Adds an experiment and gives its id back, unless its name or id is taken. Without `id` it gets the next free one.
pub(crate) async fn insert(
    session: &mut Session,
    id: Option<i64>,
    name: &str,
    location: Option<&str>,
    now: i64,
) -> Result<Option<i64>> {
    let (column, place) = if id.is_some() { (", experiment_id", ", $5") } else { ("", "") };
    let mut statement = Statement::new(&format!(
        "INSERT INTO experiments (name, artifact_location, creation_time, last_update_time, lifecycle_stage, workspace{column}) \
         VALUES ($1, $2, $3, $4, 'active', 'default'{place}) ON CONFLICT DO NOTHING RETURNING experiment_id"
    ))
    .bind(name)
    .bind(location)
    .bind(now)
    .bind(now);
    if let Some(id) = id {
        statement = statement.bind(id);
    }
    session.row(statement).await?.map(|row| row.int(0)).transpose()
}

pub(crate) async fn set_location(session: &mut Session, id: i64, location: &str) -> Result<()> {
    let sql = "UPDATE experiments SET artifact_location = $2 WHERE experiment_id = $1";
    session.run(Statement::new(sql).bind(id).bind(location)).await.map(drop)
}

pub(crate) async fn rename(session: &mut Session, id: i64, name: &str, now: i64) -> Result<()> {
    let sql = "UPDATE experiments SET name = $2, last_update_time = $3 WHERE experiment_id = $1";
    session.run(Statement::new(sql).bind(id).bind(name).bind(now)).await.map(drop)
}

pub(crate) async fn set_stage(session: &mut Session, id: i64, stage: &str, now: i64) -> Result<()> {
    let sql = "UPDATE experiments SET lifecycle_stage = $2, last_update_time = $3 WHERE experiment_id = $1";
    session.run(Statement::new(sql).bind(id).bind(stage).bind(now)).await.map(drop)
}

/// One experiment with its tags. A transaction that writes keeps it in its stage.
pub(crate) async fn by_id(session: &mut Session, id: i64) -> Result<Option<Experiment>> {
    one(session, Statement::new(&format!("{COLUMNS} WHERE e.experiment_id = $1")).bind(id).for_share()).await
}

/// One experiment of which this transaction is going to change the row.
pub(crate) async fn by_id_to_change(session: &mut Session, id: i64) -> Result<Option<Experiment>> {
    one(session, Statement::new(&format!("{COLUMNS} WHERE e.experiment_id = $1")).bind(id).for_update()).await
}

/// One experiment with its tags.
pub(crate) async fn by_name(session: &mut Session, name: &str) -> Result<Option<Experiment>> {
    let sql = format!("{COLUMNS} WHERE e.workspace = 'default' AND e.name = $1");
    one(session, Statement::new(&sql).bind(name)).await
}

async fn one(session: &mut Session, statement: Statement) -> Result<Option<Experiment>> {
    let Some(row) = session.row(statement).await? else { return Ok(None) };
    let mut found = experiment(&row)?;
    found.tags = tags(session, found.id).await?;
    Ok(Some(found))
}

/// The experiments that a search gives, without their tags.
pub(crate) async fn search(session: &mut Session, search: &ExperimentSearch) -> Result<Vec<Experiment>> {
    session.rows(search.statement(COLUMNS)?).await?.iter().map(experiment).collect()
}

/// The tags of an experiment in the order of the keys.
pub(crate) async fn tags(session: &mut Session, id: i64) -> Result<Vec<(String, String)>> {
    let sql = "SELECT key, value FROM experiment_tags WHERE experiment_id = $1 ORDER BY key COLLATE BINARY";
    let rows = session.rows(Statement::new(sql).bind(id)).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text_or_null(1)?.unwrap_or_default()))).collect()
}

pub(crate) async fn set_tag(session: &mut Session, id: i64, key: &str, value: &str) -> Result<()> {
    let sql = "INSERT INTO experiment_tags (experiment_id, key, value) VALUES ($1, $2, $3) \
               ON CONFLICT (key, experiment_id) DO UPDATE SET value = excluded.value";
    session.run(Statement::new(sql).bind(id).bind(key).bind(value)).await.map(drop)
}

/// Whether there was one.
pub(crate) async fn delete_tag(session: &mut Session, id: i64, key: &str) -> Result<bool> {
    let sql = "DELETE FROM experiment_tags WHERE experiment_id = $1 AND key = $2";
    Ok(session.run(Statement::new(sql).bind(id).bind(key)).await? > 0)
}
