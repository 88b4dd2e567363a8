//! The tables `registered_models`, `registered_model_tags` and `registered_model_aliases`.

use std::collections::HashMap;

use super::{Row, Session, Statement};
use crate::error::Result;
use crate::registered_model::RegisteredModel;

/// The columns that [`model`] reads, qualified by the alias `m`.
pub(crate) const COLUMNS: &str = "m.name, m.creation_time, m.last_updated_time, m.description";

/// How many names go into one `IN` list.
const NAMES_AT_ONCE: usize = 500;

/// A model without its tags, aliases and versions.
pub(crate) fn model(row: &Row) -> Result<RegisteredModel> {
    Ok(RegisteredModel {
        name: row.text(0)?,
        creation_time: row.int_or_null(1)?,
        last_updated_time: row.int_or_null(2)?,
        description: row.text_or_null(3)?,
        latest_versions: Vec::new(),
        tags: Vec::new(),
        aliases: Vec::new(),
    })
}

/// One model with its tags, aliases and latest versions.
pub(crate) async fn by_name(session: &mut Session, name: &str) -> Result<Option<RegisteredModel>> {
    let sql =
        format!("SELECT {COLUMNS} FROM registered_models m WHERE m.workspace = 'default' AND m.name = $1");
    let Some(row) = session.row(Statement::new(&sql).bind(name)).await? else { return Ok(None) };
    let mut found = vec![model(&row)?];
    fill(session, &mut found).await?;
    Ok(found.pop())
}

/// Adds tags, aliases and latest versions to models, with a few statements for hundreds of them.
pub(crate) async fn fill(session: &mut Session, models: &mut [RegisteredModel]) -> Result<()> {
    for models in models.chunks_mut(NAMES_AT_ONCE) {
        let names: Vec<String> = models.iter().map(|model| model.name.clone()).collect();
        let places: HashMap<&str, usize> =
            names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        let select = |sql: &str, order: &str| {
            let mut statement = Statement::built(sql);
            statement
                .push(" WHERE workspace = 'default' AND name IN ")
                .push_list(&names)
                .push(" ORDER BY ")
                .push(order);
            statement
        };
        for row in session
            .rows(select("SELECT name, key, value FROM registered_model_tags", "key COLLATE BINARY"))
            .await?
        {
            if let Some(place) = places.get(row.text(0)?.as_str()) {
                models[*place].tags.push((row.text(1)?, row.text_or_null(2)?.unwrap_or_default()));
            }
        }
        for row in session
            .rows(select("SELECT name, alias, version FROM registered_model_aliases", "alias COLLATE BINARY"))
            .await?
        {
            if let Some(place) = places.get(row.text(0)?.as_str()) {
                models[*place].aliases.push((row.text(1)?, row.int(2)?));
            }
        }
        for version in super::model_version::latest(session, &names).await? {
            if let Some(place) = places.get(version.name.as_str()) {
                models[*place].latest_versions.push(version);
            }
        }
    }
    Ok(())
}

/// Whether there is a model of this name. A transaction that writes keeps others from changing it or its versions.
pub(crate) async fn exists(session: &mut Session, name: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM registered_models WHERE workspace = 'default' AND name = $1";
    Ok(session.row(Statement::new(sql).bind(name).for_update()).await?.is_some())
}

/// Whether the name was free.
pub(crate) async fn insert(session: &mut Session, name: &str, description: &str, now: i64) -> Result<bool> {
    let sql = "INSERT INTO registered_models (name, creation_time, last_updated_time, description, workspace) \
               VALUES ($1, $2, $2, $3, 'default') ON CONFLICT DO NOTHING";
    Ok(session.run(Statement::new(sql).bind(name).bind(now).bind(description)).await? > 0)
}

pub(crate) async fn set_description(
    session: &mut Session,
    name: &str,
    description: &str,
    now: i64,
) -> Result<()> {
    let sql = "UPDATE registered_models SET description = $2, last_updated_time = $3 WHERE workspace = 'default' AND name = $1";
    session.run(Statement::new(sql).bind(name).bind(description).bind(now)).await?;
    Ok(())
}

/// Notes a change of the model or of its versions; false when there is no such model.
pub(crate) async fn touch(session: &mut Session, name: &str, now: i64) -> Result<bool> {
    let sql = "UPDATE registered_models SET last_updated_time = $2 WHERE workspace = 'default' AND name = $1";
    Ok(session.run(Statement::new(sql).bind(name).bind(now)).await? > 0)
}

/// Renames the row; foreign keys carry the name to versions, tags and aliases.
pub(crate) async fn rename(session: &mut Session, name: &str, new_name: &str, now: i64) -> Result<()> {
    let sql = "UPDATE registered_models SET name = $2, last_updated_time = $3 WHERE workspace = 'default' AND name = $1";
    session.run(Statement::new(sql).bind(name).bind(new_name).bind(now)).await?;
    let sql = "UPDATE model_versions SET last_updated_time = $2 WHERE workspace = 'default' AND name = $1";
    session.run(Statement::new(sql).bind(new_name).bind(now)).await?;
    Ok(())
}

/// Removes the model and everything under its name.
pub(crate) async fn delete(session: &mut Session, name: &str) -> Result<()> {
    for table in [
        "model_version_tags",
        "model_versions",
        "registered_model_tags",
        "registered_model_aliases",
        "registered_models",
    ] {
        let sql = format!("DELETE FROM {table} WHERE workspace = 'default' AND name = $1");
        session.run(Statement::new(&sql).bind(name)).await?;
    }
    Ok(())
}

pub(crate) async fn set_tag(session: &mut Session, name: &str, key: &str, value: &str) -> Result<()> {
    let sql = "INSERT INTO registered_model_tags (workspace, name, key, value) VALUES ('default', $1, $2, $3) \
               ON CONFLICT (workspace, key, name) DO UPDATE SET value = excluded.value";
    session.run(Statement::new(sql).bind(name).bind(key).bind(value)).await?;
    Ok(())
}

pub(crate) async fn delete_tag(session: &mut Session, name: &str, key: &str) -> Result<()> {
    let sql = "DELETE FROM registered_model_tags WHERE workspace = 'default' AND name = $1 AND key = $2";
    session.run(Statement::new(sql).bind(name).bind(key)).await?;
    Ok(())
}

pub(crate) async fn set_alias(session: &mut Session, name: &str, alias: &str, version: i64) -> Result<()> {
    let sql = "INSERT INTO registered_model_aliases (workspace, name, alias, version) VALUES ('default', $1, $2, $3) \
               ON CONFLICT (workspace, name, alias) DO UPDATE SET version = excluded.version";
    session.run(Statement::new(sql).bind(name).bind(alias).bind(version)).await?;
    Ok(())
}

pub(crate) async fn delete_alias(session: &mut Session, name: &str, alias: &str) -> Result<()> {
    let sql = "DELETE FROM registered_model_aliases WHERE workspace = 'default' AND name = $1 AND alias = $2";
    session.run(Statement::new(sql).bind(name).bind(alias)).await?;
    Ok(())
}

pub(crate) async fn delete_aliases_of(session: &mut Session, name: &str, version: i64) -> Result<()> {
    let sql =
        "DELETE FROM registered_model_aliases WHERE workspace = 'default' AND name = $1 AND version = $2";
    session.run(Statement::new(sql).bind(name).bind(version)).await?;
    Ok(())
}

pub(crate) async fn version_of_alias(session: &mut Session, name: &str, alias: &str) -> Result<Option<i64>> {
    let sql = "SELECT version FROM registered_model_aliases WHERE workspace = 'default' AND name = $1 AND alias = $2";
    session.row(Statement::new(sql).bind(name).bind(alias)).await?.map(|row| row.int(0)).transpose()
}
