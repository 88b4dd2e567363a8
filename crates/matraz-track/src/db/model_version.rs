//! The tables `model_versions` and `model_version_tags`.

use std::collections::HashMap;

use super::{Row, Session, Statement};
use crate::error::Result;
use crate::model_version::ModelVersion;

/// The stage of a version that is deleted; the row stays, so that its number is not given again.
pub(crate) const DELETED: &str = "Deleted_Internal";

/// How many names go into one `IN` list.
const NAMES_AT_ONCE: usize = 500;

/// The columns that [`version`] reads, qualified by the alias `v`.
pub(crate) const COLUMNS: &str = "v.name, v.version, v.creation_time, v.last_updated_time, v.description, v.user_id, \
    v.current_stage, v.source, v.run_id, v.run_link, v.status, v.status_message, v.storage_location";

/// A version without tags and aliases.
pub(crate) fn version(row: &Row) -> Result<ModelVersion> {
    Ok(ModelVersion {
        name: row.text(0)?,
        version: row.int(1)?,
        creation_time: row.int_or_null(2)?,
        last_updated_time: row.int_or_null(3)?,
        description: row.text_or_null(4)?,
        user_id: row.text_or_null(5)?,
        current_stage: row.text_or_null(6)?.unwrap_or_default(),
        source: row.text_or_null(7)?,
        run_id: row.text_or_null(8)?,
        run_link: row.text_or_null(9)?,
        status: row.text_or_null(10)?,
        status_message: row.text_or_null(11)?,
        storage_location: row.text_or_null(12)?,
        tags: Vec::new(),
        aliases: Vec::new(),
    })
}

/// One version with tags and aliases, unless it is deleted.
pub(crate) async fn by_number(
    session: &mut Session,
    name: &str,
    number: i64,
) -> Result<Option<ModelVersion>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM model_versions v \
         WHERE v.workspace = 'default' AND v.name = $1 AND v.version = $2 AND v.current_stage != '{DELETED}'"
    );
    let Some(row) = session.row(Statement::new(&sql).bind(name).bind(number)).await? else { return Ok(None) };
    let mut found = version(&row)?;
    found.tags = tags(session, name, number).await?;
    let sql = "SELECT alias FROM registered_model_aliases WHERE workspace = 'default' AND name = $1 AND version = $2 ORDER BY alias COLLATE BINARY";
    for row in session.rows(Statement::new(sql).bind(name).bind(number)).await? {
        found.aliases.push(row.text(0)?);
    }
    Ok(Some(found))
}

/// The highest version of every stage of some models, with tags; stages in the order of the first version in them.
pub(crate) async fn latest(session: &mut Session, names: &[String]) -> Result<Vec<ModelVersion>> {
    let mut statement = Statement::built("SELECT ");
    statement
        .push(COLUMNS)
        .push(
            " FROM model_versions v JOIN (SELECT name, MIN(version) AS lowest, MAX(version) AS highest FROM model_versions \
             WHERE workspace = 'default' AND current_stage != 'Deleted_Internal' AND name IN ",
        )
        .push_list(names)
        .push(
            " GROUP BY name, current_stage) s ON v.name = s.name AND v.version = s.highest \
             WHERE v.workspace = 'default' ORDER BY v.name COLLATE BINARY, s.lowest",
        );
    let rows = session.rows(statement).await?;
    let mut versions: Vec<ModelVersion> = rows.iter().map(version).collect::<Result<_>>()?;
    fill_tags(session, &mut versions).await?;
    Ok(versions)
}

/// Adds tags to versions, with one statement for hundreds of models.
pub(crate) async fn fill_tags(session: &mut Session, versions: &mut [ModelVersion]) -> Result<()> {
    let places: HashMap<(String, i64), usize> = versions
        .iter()
        .enumerate()
        .map(|(place, version)| ((version.name.clone(), version.version), place))
        .collect();
    let mut names: Vec<String> = versions.iter().map(|version| version.name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    for names in names.chunks(NAMES_AT_ONCE) {
        let mut statement = Statement::built(
            "SELECT name, version, key, value FROM model_version_tags WHERE workspace = 'default' AND name IN ",
        );
        statement.push_list(names).push(" ORDER BY key COLLATE BINARY");
        for row in session.rows(statement).await? {
            if let Some(place) = places.get(&(row.text(0)?, row.int(1)?)) {
                versions[*place].tags.push((row.text(2)?, row.text_or_null(3)?.unwrap_or_default()));
            }
        }
    }
    Ok(())
}

/// The tags of one version.
pub(crate) async fn tags(session: &mut Session, name: &str, number: i64) -> Result<Vec<(String, String)>> {
    let sql = "SELECT key, value FROM model_version_tags WHERE workspace = 'default' AND name = $1 AND version = $2 ORDER BY key COLLATE BINARY";
    let rows = session.rows(Statement::new(sql).bind(name).bind(number)).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text_or_null(1)?.unwrap_or_default()))).collect()
}

/// The highest number that was ever given under this name, 0 when none was.
pub(crate) async fn highest(session: &mut Session, name: &str) -> Result<i64> {
    let sql = "SELECT MAX(version) FROM model_versions WHERE workspace = 'default' AND name = $1";
    match session.row(Statement::new(sql).bind(name)).await? {
        Some(row) => Ok(row.int_or_null(0)?.unwrap_or(0)),
        None => Ok(0),
    }
}

pub(crate) async fn insert(session: &mut Session, version: &ModelVersion) -> Result<()> {
    let sql = "INSERT INTO model_versions (workspace, name, version, creation_time, last_updated_time, description, \
               current_stage, source, run_id, run_link, status, storage_location) \
               VALUES ('default', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let statement = Statement::new(sql)
        .bind(&version.name)
        .bind(version.version)
        .bind(version.creation_time)
        .bind(version.last_updated_time)
        .bind(version.description.as_deref())
        .bind(&version.current_stage)
        .bind(version.source.as_deref())
        .bind(version.run_id.as_deref())
        .bind(version.run_link.as_deref())
        .bind(version.status.as_deref())
        .bind(version.storage_location.as_deref());
    session.run(statement).await?;
    Ok(())
}

pub(crate) async fn set_description(
    session: &mut Session,
    name: &str,
    number: i64,
    description: Option<&str>,
    now: i64,
) -> Result<()> {
    let sql = "UPDATE model_versions SET description = $3, last_updated_time = $4 \
               WHERE workspace = 'default' AND name = $1 AND version = $2";
    session.run(Statement::new(sql).bind(name).bind(number).bind(description).bind(now)).await?;
    Ok(())
}

pub(crate) async fn set_stage(
    session: &mut Session,
    name: &str,
    number: i64,
    stage: &str,
    now: i64,
) -> Result<()> {
    let sql = "UPDATE model_versions SET current_stage = $3, last_updated_time = $4 \
               WHERE workspace = 'default' AND name = $1 AND version = $2";
    session.run(Statement::new(sql).bind(name).bind(number).bind(stage).bind(now)).await?;
    Ok(())
}

/// Archives every version in `stage` but one.
pub(crate) async fn archive(
    session: &mut Session,
    name: &str,
    stage: &str,
    but: i64,
    now: i64,
) -> Result<()> {
    let sql = "UPDATE model_versions SET current_stage = 'Archived', last_updated_time = $4 \
               WHERE workspace = 'default' AND name = $1 AND current_stage = $2 AND version != $3";
    session.run(Statement::new(sql).bind(name).bind(stage).bind(but).bind(now)).await?;
    Ok(())
}

/// Wipes what a deleted version tells, as MLflow does; tags stay in their table.
pub(crate) async fn mark_deleted(session: &mut Session, name: &str, number: i64, now: i64) -> Result<()> {
    let sql = format!(
        "UPDATE model_versions SET current_stage = '{DELETED}', last_updated_time = $3, description = NULL, user_id = NULL, \
         source = 'REDACTED-SOURCE-PATH', run_id = 'REDACTED-RUN-ID', run_link = 'REDACTED-RUN-LINK', status_message = NULL \
         WHERE workspace = 'default' AND name = $1 AND version = $2"
    );
    session.run(Statement::new(&sql).bind(name).bind(number).bind(now)).await?;
    Ok(())
}

pub(crate) async fn set_tag(
    session: &mut Session,
    name: &str,
    number: i64,
    key: &str,
    value: &str,
) -> Result<()> {
    let sql = "INSERT INTO model_version_tags (workspace, name, version, key, value) VALUES ('default', $1, $2, $3, $4) \
               ON CONFLICT (workspace, key, name, version) DO UPDATE SET value = excluded.value";
    session.run(Statement::new(sql).bind(name).bind(number).bind(key).bind(value)).await?;
    Ok(())
}

pub(crate) async fn delete_tag(session: &mut Session, name: &str, number: i64, key: &str) -> Result<()> {
    let sql = "DELETE FROM model_version_tags WHERE workspace = 'default' AND name = $1 AND version = $2 AND key = $3";
    session.run(Statement::new(sql).bind(name).bind(number).bind(key)).await?;
    Ok(())
}
