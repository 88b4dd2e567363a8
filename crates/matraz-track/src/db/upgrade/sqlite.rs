//! The upgrade of an SQLite file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Backup, Old, Upgraded, check, fill, free_name, place};
use crate::db::sqlite::{Options, Pool};
use crate::db::{Head, Session, Statement, StoreUri};
use crate::error::{Error, Result};

/// What the old tables are called while the new ones are filled.
const OLD: &str = "matraz_old_";

pub(super) async fn upgrade(path: &Path, to: Head, backup: &Backup) -> Result<Upgraded> {
    let store = StoreUri::Sqlite(path.to_path_buf());
    let Some(from) = crate::db::sqlite::revision(path).await? else {
        crate::db::Db::open(&store, to).await?.close().await;
        return Ok(Upgraded { from: None, to, backup: None });
    };
    if !check(&from, to, &store)? {
        return Ok(Upgraded { from: Some(from), to, backup: None });
    }
    // Foreign keys name the new tables, not the renamed ones.
    let options = Options::new(path).pragma("foreign_keys", "false").pragma("legacy_alter_table", "true");
    let done = upgrade_with(&options, path, &store, &from, to, backup).await;
    Ok(Upgraded { backup: done?, from: Some(from), to })
}

async fn upgrade_with(
    options: &Options,
    path: &Path,
    store: &StoreUri,
    from: &str,
    to: Head,
    backup: &Backup,
) -> Result<Option<PathBuf>> {
    let pool = Pool::open(options.clone(), 1)
        .map_err(|source| Error::Open { store: store.clone(), source: source.into() })?;
    let mut session = Session::sqlite(pool.write().await?);
    // Another process may have been quicker.
    let row = session.row(Statement::new("SELECT version_num FROM alembic_version")).await?;
    if row.map(|row| row.text(0)).transpose()?.as_deref() != Some(from) {
        return Err(Error::Conflict { store: store.clone() });
    }
    let copy = match backup {
        Backup::No => None,
        Backup::In(_) => Some(back_up(options, path, from)?),
    };
    let old = put_aside(&mut session, store, from).await?;
    session.script(to.sqlite()).await?;
    let new = columns(&mut session, old.tables.keys()).await?;
    fill(&mut session, &old, &new, to).await?;
    for table in old.tables.keys() {
        session.run(Statement::built(&format!("DROP TABLE {}", old.table(table)))).await?;
    }
    session.commit().await?;
    Ok(copy)
}

/// Writes a copy beside the file while the write lock is held: a snapshot by SQLite itself, so that what is in a
/// write-ahead log is in it too.
fn back_up(options: &Options, path: &Path, from: &str) -> Result<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let stem = path.file_name().unwrap_or_default().to_string_lossy();
    let copy = free_name(folder, &format!("{stem}.{from}"), "backup");
    options.connect()?.execute("VACUUM INTO ?", [copy.display().to_string()])?;
    Ok(copy)
}

/// Renames the tables of MLflow and takes their indexes and triggers away, whose names the new ones need.
async fn put_aside(session: &mut Session, store: &StoreUri, from: &str) -> Result<Old> {
    let known = mlflow_tables();
    let rows = session
        .rows(Statement::new(
            "SELECT type, name, tbl_name FROM sqlite_master WHERE sql IS NOT NULL AND type IN ('table', 'index', 'trigger')",
        ))
        .await?;
    let mut tables = Vec::new();
    for row in rows {
        let (kind, name, table) = (row.text(0)?, row.text(1)?, row.text(2)?);
        if !known.contains(&table.as_str()) {
            continue;
        }
        match kind.as_str() {
            "table" => tables.push(name),
            // Names come from the file, and may hold anything.
            _ => {
                let sql = format!("DROP {kind} \"{}\"", name.replace('"', "\"\""));
                session.run(Statement::built(&sql)).await?;
            }
        }
    }
    let tables = columns(session, tables.iter()).await?;
    for table in tables.keys() {
        let sql = format!("ALTER TABLE \"{table}\" RENAME TO \"{OLD}{table}\"");
        session.run(Statement::built(&sql)).await?;
    }
    let from = place(from).unwrap_or_default();
    Ok(Old { tables, prefix: format!("\"{OLD}"), from, store: store.clone() })
}

/// The tables of the newest schema; no revision takes one away.
fn mlflow_tables() -> Vec<&'static str> {
    let names = Head::Mlflow318.sqlite().lines().filter_map(|line| line.strip_prefix("CREATE TABLE "));
    names.map(|rest| rest.trim_end_matches([' ', '(']).trim_matches('"')).collect()
}

/// The columns of tables that can be written.
async fn columns(
    session: &mut Session,
    tables: impl Iterator<Item = &String>,
) -> Result<BTreeMap<String, Vec<String>>> {
    let mut found = BTreeMap::new();
    for table in tables {
        // `hidden` is 2 or 3 for columns that are computed.
        let sql = "SELECT name FROM pragma_table_xinfo($1) WHERE hidden = 0 ORDER BY cid";
        let rows = session.rows(Statement::built(sql).bind(table)).await?;
        let names: Result<Vec<String>> = rows.iter().map(|row| row.text(0)).collect();
        found.insert(table.clone(), names?);
    }
    Ok(found)
}
