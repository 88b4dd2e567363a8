//! The tables that Matraz adds to MLflow's schema: users, roles, tokens and the journal.
//!
//! Their names begin with `matraz_`; MLflow passes tables over that it does not know, so it opens such a store as ever.
//! They are made when the first of them is written to. Ids come from counters, so that none comes back, and a counter's
//! row is the lock behind which writers of several servers wait for one another.

use super::{Session, Statement};
use crate::error::{Error, Result};

/// Each can be run again at any time.
const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS matraz_counters (name VARCHAR(64) PRIMARY KEY, value BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS matraz_users (id BIGINT PRIMARY KEY, username VARCHAR(255) NOT NULL UNIQUE, \
     password_hash TEXT NOT NULL, is_admin BOOLEAN NOT NULL, creation_time BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS matraz_roles (id BIGINT PRIMARY KEY, name VARCHAR(255) NOT NULL, \
     workspace VARCHAR(63) NOT NULL, description VARCHAR(1024), UNIQUE (workspace, name))",
    "CREATE TABLE IF NOT EXISTS matraz_role_permissions (id BIGINT PRIMARY KEY, \
     role_id BIGINT NOT NULL REFERENCES matraz_roles (id) ON DELETE CASCADE, resource_type VARCHAR(64) NOT NULL, \
     resource_pattern VARCHAR(500) NOT NULL, permission VARCHAR(64) NOT NULL, \
     UNIQUE (role_id, resource_type, resource_pattern))",
    "CREATE TABLE IF NOT EXISTS matraz_user_roles (id BIGINT PRIMARY KEY, \
     user_id BIGINT NOT NULL REFERENCES matraz_users (id) ON DELETE CASCADE, \
     role_id BIGINT NOT NULL REFERENCES matraz_roles (id) ON DELETE CASCADE, UNIQUE (user_id, role_id))",
    "CREATE TABLE IF NOT EXISTS matraz_tokens (id BIGINT PRIMARY KEY, \
     user_id BIGINT NOT NULL REFERENCES matraz_users (id) ON DELETE CASCADE, name VARCHAR(255) NOT NULL, \
     secret_hash VARCHAR(64) NOT NULL UNIQUE, creation_time BIGINT NOT NULL, expiration_time BIGINT, \
     revocation_time BIGINT, UNIQUE (user_id, name))",
    "CREATE TABLE IF NOT EXISTS matraz_journal (seq BIGINT PRIMARY KEY, time BIGINT NOT NULL, who VARCHAR(255) NOT NULL, \
     action VARCHAR(64) NOT NULL, kind VARCHAR(64) NOT NULL, name TEXT NOT NULL, state_before TEXT, state_after TEXT, \
     previous_hash VARCHAR(64) NOT NULL, hash VARCHAR(64) NOT NULL)",
];

/// The things that are counted, one row each in `matraz_counters`.
const COUNTERS: &[&str] = &["users", "roles", "role_permissions", "user_roles", "tokens", "journal"];

/// Makes the tables that are not there.
pub(crate) async fn make(session: &mut Session) -> Result<()> {
    for table in TABLES {
        session.run(Statement::new(table)).await?;
    }
    for name in COUNTERS {
        session
            .run(
                Statement::new(
                    "INSERT INTO matraz_counters (name, value) VALUES ($1, 0) ON CONFLICT (name) DO NOTHING",
                )
                .bind(*name),
            )
            .await?;
    }
    Ok(())
}

/// The next number of a counter, from 1. Until the transaction ends, others that count the same wait.
pub(crate) async fn next(session: &mut Session, counter: &str) -> Result<i64> {
    let counted =
        Statement::new("UPDATE matraz_counters SET value = value + 1 WHERE name = $1").bind(counter);
    session.run(counted).await?;
    let row = session
        .row(Statement::new("SELECT value FROM matraz_counters WHERE name = $1").bind(counter))
        .await?
        .ok_or_else(|| Error::Bug(format!("no counter '{counter}'")))?;
    row.int(0)
}
