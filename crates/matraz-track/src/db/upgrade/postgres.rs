//! The upgrade of a PostgreSQL database.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sqlx::PgPool;

use super::{Backup, Old, Upgraded, check, fill, free_name, place};
use crate::db::{Head, PostgresUri, Session, Statement, StoreUri, postgres};
use crate::error::{Error, Result};

/// The schema in which the new tables are made.
const NEW: &str = "matraz_upgrade";

pub(super) async fn upgrade(address: &PostgresUri, to: Head, backup: &Backup) -> Result<Upgraded> {
    let pool = postgres::connect(address, postgres::Pool { connections: 2, recycle: None }).await?;
    let done = upgrade_with(&pool, address, to, backup).await;
    pool.close().await;
    done
}

async fn upgrade_with(pool: &PgPool, address: &PostgresUri, to: Head, backup: &Backup) -> Result<Upgraded> {
    let store = StoreUri::Postgres(address.clone());
    let revision = postgres::revision_in(&mut *pool.acquire().await?, &store).await?;
    let Some(from) = revision else {
        crate::db::Db::open(&store, to).await?.close().await;
        return Ok(Upgraded { from: None, to, backup: None });
    };
    if !check(&from, to, &store)? {
        return Ok(Upgraded { from: Some(from), to, backup: None });
    }
    let copy = match backup {
        Backup::No => None,
        Backup::In(folder) => Some(dump(address, folder, &from).await?),
    };
    let mut session = Session::postgres(pool.begin().await?, true);
    let old = lock(&mut session, &store, &from).await?;
    session.script(&format!("CREATE SCHEMA {NEW}; SET LOCAL search_path = {NEW}")).await?;
    // Keys and indexes come when the rows are there: that is faster, and tables may be filled in any order.
    let (tables, constraints) = to.postgres_in_two();
    session.script(tables).await?;
    let new = columns(&mut session, NEW).await?;
    fill(&mut session, &old, &new, to).await?;
    counters(&mut session, &old).await?;
    session.script(constraints).await?;
    exchange(&mut session, &old, &new).await?;
    session.commit().await?;
    Ok(Upgraded { from: Some(from), to, backup: copy })
}

/// Locks the old tables against everybody and lists them.
async fn lock(session: &mut Session, store: &StoreUri, from: &str) -> Result<Old> {
    let row = session.row(Statement::new("SELECT current_schema()::text")).await?;
    let schema = row.map(|row| row.text(0)).transpose()?.unwrap_or_default();
    let schema = schema.replace('"', "\"\"");
    session.script(&format!("LOCK TABLE \"{schema}\".alembic_version IN ACCESS EXCLUSIVE MODE")).await?;
    let row = session.row(Statement::new("SELECT version_num FROM alembic_version")).await?;
    if row.map(|row| row.text(0)).transpose()?.as_deref() != Some(from) {
        return Err(Error::Conflict { store: store.clone() });
    }
    let known = mlflow_tables();
    let mut tables = columns(session, &schema).await?;
    tables.retain(|table, _| known.contains(&table.as_str()));
    let names: Vec<String> = tables.keys().map(|table| format!("\"{schema}\".\"{table}\"")).collect();
    session.script(&format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names.join(", "))).await?;
    let from = place(from).unwrap_or_default();
    Ok(Old { tables, prefix: format!("\"{schema}\".\""), from, store: store.clone() })
}

/// The tables of the newest schema; no revision takes one away.
fn mlflow_tables() -> Vec<&'static str> {
    let names = Head::Mlflow318.postgres().lines().filter_map(|line| line.strip_prefix("CREATE TABLE "));
    names.map(|rest| rest.trim_end_matches([' ', '('])).collect()
}

/// The tables of a schema with the columns that can be written.
async fn columns(session: &mut Session, schema: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let sql = "SELECT c.table_name::text, c.column_name::text FROM information_schema.columns c \
               JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
               WHERE c.table_schema = $1 AND c.is_generated = 'NEVER' AND t.table_type = 'BASE TABLE' \
               ORDER BY c.table_name, c.ordinal_position";
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in session.rows(Statement::built(sql).bind(schema)).await? {
        found.entry(row.text(0)?).or_default().push(row.text(1)?);
    }
    Ok(found)
}

/// Lets the counters go on where the old ones stand.
async fn counters(session: &mut Session, old: &Old) -> Result<()> {
    for (table, counter) in [
        ("experiments", "experiments_experiment_id_seq"),
        ("sql_assessment_daily_rollups", "sql_assessment_daily_rollups_id_seq"),
        ("sql_span_cost_daily_rollups", "sql_span_cost_daily_rollups_id_seq"),
        ("sql_trace_metric_daily_rollups", "sql_trace_metric_daily_rollups_id_seq"),
    ] {
        if old.tables.contains_key(table) {
            let sql = format!(
                "SELECT setval('{NEW}.{counter}'::regclass, last_value, is_called) FROM {}",
                old.table(counter)
            );
            session.rows(Statement::built(&sql)).await?;
        }
    }
    Ok(())
}

/// Puts the new tables in the place of the old ones, with the rights that others have on them.
async fn exchange(session: &mut Session, old: &Old, new: &BTreeMap<String, Vec<String>>) -> Result<()> {
    let schema = old.prefix.trim_end_matches(".\"").to_owned();
    let mut grants = Vec::new();
    for table in old.tables.keys() {
        let sql = "SELECT format('GRANT %s ON %I TO %I', privilege_type, table_name, grantee) \
                   FROM information_schema.role_table_grants \
                   WHERE quote_ident(table_schema) = $1 AND table_name = $2 AND grantee != current_user AND grantee != 'PUBLIC'";
        let plain = schema.trim_matches('"');
        for row in session.rows(Statement::built(sql).bind(plain).bind(table)).await? {
            grants.push(row.text(0)?);
        }
    }
    let names: Vec<String> = old.tables.keys().map(|table| old.table(table)).collect();
    session.script(&format!("DROP TABLE {}", names.join(", "))).await?;
    let function = "prevent_secrets_aad_mutation()";
    session.script(&format!("DROP FUNCTION IF EXISTS {schema}.{function}")).await?;
    session.script(&format!("ALTER FUNCTION {NEW}.{function} SET SCHEMA {schema}")).await?;
    for table in new.keys() {
        session.script(&format!("ALTER TABLE {NEW}.\"{table}\" SET SCHEMA {schema}")).await?;
    }
    session.script(&format!("SET LOCAL search_path = {schema}; DROP SCHEMA {NEW}")).await?;
    for grant in grants {
        session.script(&grant).await?;
    }
    Ok(())
}

/// Writes a copy with `pg_dump`, which `pg_restore` reads.
async fn dump(address: &PostgresUri, folder: &Path, from: &str) -> Result<PathBuf> {
    let failed = |why: String| Error::NoBackup { store: StoreUri::Postgres(address.clone()), why };
    let name = address.options().ok().and_then(|options| options.get_database().map(str::to_owned));
    let copy = free_name(folder, &format!("{}.{from}", name.as_deref().unwrap_or("mlflow")), "dump");
    let mut command = tokio::process::Command::new("pg_dump");
    command.arg("--format=custom").arg("--file").arg(&copy).arg("--dbname").arg(address.without_password());
    // Other users of the machine see the arguments, and not the environment.
    if let Some(password) = address.password() {
        command.env("PGPASSWORD", password);
    }
    let output = command.stdin(Stdio::null()).output().await.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => failed("the program pg_dump is not installed".to_owned()),
        _ => failed(format!("pg_dump cannot be started: {error}")),
    })?;
    if !output.status.success() {
        return Err(failed(format!("pg_dump: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    Ok(copy)
}
