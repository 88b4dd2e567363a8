//! The tables `experiments` and `experiment_tags`.

use super::{Row, Session, Statement};
use crate::error::Result;
use crate::experiment::Experiment;

const COLUMNS: &str = "SELECT experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time FROM experiments";

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
    match session.row(Statement::new("SELECT COUNT(*) FROM experiments")).await? {
        Some(row) => row.int(0),
        None => Ok(0),
    }
}

/// Adds an experiment and gives its id back.
pub(crate) async fn insert(
    session: &mut Session,
    id: Option<i64>,
    name: &str,
    location: Option<&str>,
    now: i64,
) -> Result<i64> {
    let (columns, first) = match id {
        Some(_) => ("experiment_id, ", "$5, "),
        None => ("", ""),
    };
    let mut statement = Statement::new(&format!(
        "INSERT INTO experiments ({columns}name, artifact_location, lifecycle_stage, creation_time, last_update_time, \
         workspace) VALUES ({first}$1, $2, 'active', $3, $4, 'default') RETURNING experiment_id"
    ))
    .bind(name)
    .bind(location)
    .bind(now)
    .bind(now);
    if let Some(id) = id {
        statement = statement.bind(id);
    }
    match session.row(statement).await? {
        Some(row) => row.int(0),
        None => Err(crate::Error::Bug("INSERT … RETURNING gave no row".to_owned())),
    }
}

/// One experiment with its tags.
pub(crate) async fn by_id(session: &mut Session, id: i64) -> Result<Option<Experiment>> {
    let found = session.row(Statement::new(&format!("{COLUMNS} WHERE experiment_id = $1")).bind(id)).await?;
    match found {
        None => Ok(None),
        Some(row) => {
            let mut found = experiment(&row)?;
            found.tags = tags(session, id).await?;
            Ok(Some(found))
        }
    }
}

/// The tags of an experiment.
pub(crate) async fn tags(session: &mut Session, id: i64) -> Result<Vec<(String, String)>> {
    let sql = "SELECT key, value FROM experiment_tags WHERE experiment_id = $1 ORDER BY key";
    let rows = session.rows(Statement::new(sql).bind(id)).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text_or_null(1)?.unwrap_or_default()))).collect()
}
