//! PostgreSQL: a pool of connections, all of which read and write.
//!
//! Transactions that read see one moment (`REPEATABLE READ`). Transactions that write run at `READ COMMITTED` and lock
//! the row of the run, experiment or model that they belong to before they decide anything by it (see
//! [`Statement::for_share`] and [`Statement::for_update`]), so that several servers can share one database.

use std::borrow::Cow;
use std::time::Duration;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgPool, PgPoolOptions, PgTypeInfo, Postgres as Driver};
use sqlx::{AssertSqlSafe, PgConnection};

use super::schema::Head;
use super::statement::Lock;
use super::{Arg, PostgresUri, Session, Statement, StoreUri};
use crate::error::{Error, Result};

/// The connections of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// How many there are at most; PostgreSQL allows 100 in all unless it is told otherwise.
    pub connections: u32,
    /// The age at which one is made anew; `None` keeps them, as far as the driver does.
    pub recycle: Option<Duration>,
}

impl Default for Pool {
    fn default() -> Self {
        Self { connections: 20, recycle: None }
    }
}

/// How long a request waits for a connection, and through a restart of the database.
const TURN_WAIT: Duration = Duration::from_secs(20);

/// What every connection is set to. A lock is waited for as long as with SQLite.
const SETTINGS: [(&str, &str); 2] =
    [("lock_timeout", "20s"), ("idle_in_transaction_session_timeout", "300s")];

/// The key of the advisory lock under which a new database is filled: "matraz" in ASCII.
const CREATION_LOCK: i64 = 0x6d61_7472_617a;

/// An open PostgreSQL store.
#[derive(Clone, Debug)]
pub struct Postgres {
    pool: PgPool,
}

impl Postgres {
    /// Opens the database; one without tables gets the schema of `new_head`.
    pub(crate) async fn open(uri: &PostgresUri, new_head: Head, pool: Pool) -> Result<Self> {
        let pool = connect(uri, pool).await?;
        let done = prepare(&pool, uri, new_head).await;
        if done.is_err() {
            pool.close().await;
        }
        done.map(|()| Self { pool })
    }

    pub(crate) async fn read(&self) -> Result<Session> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        Ok(Session::postgres(self.pool.begin_with(begin).await?, false))
    }

    pub(crate) async fn write(&self) -> Result<Session> {
        Ok(Session::postgres(self.pool.begin().await?, true))
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Opens connections to a database, one at once to see whether it can be reached.
pub(crate) async fn connect(uri: &PostgresUri, size: Pool) -> Result<PgPool> {
    let refused =
        |fault: sqlx::Error| Error::Open { store: StoreUri::Postgres(uri.clone()), source: fault.into() };
    let options = uri.options().map_err(refused)?.options(SETTINGS);
    let mut pool = PgPoolOptions::new().max_connections(size.connections).acquire_timeout(TURN_WAIT);
    if let Some(age) = size.recycle {
        pool = pool.max_lifetime(age);
    }
    // The first connection is made outside of the pool, which would try until its time is over.
    let first = sqlx::ConnectOptions::connect(&options).await.map_err(refused)?;
    sqlx::Connection::close(first).await.map_err(refused)?;
    Ok(pool.connect_lazy_with(options))
}

/// Checks the revision of the database, or fills it when it is empty.
async fn prepare(pool: &PgPool, uri: &PostgresUri, new_head: Head) -> Result<()> {
    let store = StoreUri::Postgres(uri.clone());
    let mut connection = pool.acquire().await?;
    if let Some(revision) = revision_in(&mut connection, &store).await? {
        return Head::of_revision(&revision, &store).map(drop);
    }
    drop(connection);
    let mut transaction = pool.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(CREATION_LOCK).execute(&mut *transaction).await?;
    // Another server may have been quicker.
    match revision_in(&mut transaction, &store).await? {
        Some(revision) => Head::of_revision(&revision, &store).map(drop),
        None => {
            sqlx::raw_sql(new_head.postgres()).execute(&mut *transaction).await?;
            Ok(transaction.commit().await?)
        }
    }
}

/// The Alembic revision of a database, `None` when it holds no table at all.
pub(crate) async fn revision_in(connection: &mut PgConnection, store: &StoreUri) -> Result<Option<String>> {
    let foreign = |found: &str| Error::ForeignStore { store: store.clone(), found: found.to_owned() };
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()")
            .fetch_all(&mut *connection)
            .await?;
    if tables.is_empty() {
        return Ok(None);
    }
    for needed in ["alembic_version", "experiments", "runs"] {
        if !tables.iter().any(|table| table == needed) {
            return Err(foreign(&format!("it has tables, but no table '{needed}'")));
        }
    }
    let revision: Option<String> =
        sqlx::query_scalar("SELECT version_num FROM alembic_version").fetch_optional(connection).await?;
    revision.map(Some).ok_or_else(|| foreign("its table 'alembic_version' is empty"))
}

/// The driver's form of a statement. Locks are taken in transactions that write.
pub(crate) fn query(statement: Statement, writes: bool) -> sqlx::query::Query<'static, Driver, PgArguments> {
    let mut sql = statement.sql;
    if let Cow::Owned(translated) = translated(&sql) {
        sql = translated;
    }
    match statement.lock {
        Some(Lock::Share) if writes => sql.push_str(" FOR SHARE"),
        Some(Lock::Update) if writes => sql.push_str(" FOR NO KEY UPDATE"),
        _ => {}
    }
    // Text of a statement is ours; values from outside are bound.
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(statement.keep);
    for arg in statement.args {
        query = match arg {
            Arg::Text(value) => query.bind(Text(value)),
            // A backslash in a pattern would take the next letter as it is.
            Arg::Pattern(value) => query.bind(value.replace('\\', "\\\\")),
            Arg::Int(value) => query.bind(value),
            Arg::Real(value) => query.bind(value),
            Arg::Bool(value) => query.bind(value),
        };
    }
    query
}

/// SQLite orders texts by their bytes when nothing else is said, and calls that `BINARY`; here it is called `"C"`. The
/// operator of regular expressions has another name too.
fn translated(sql: &str) -> Cow<'_, str> {
    if sql.contains(super::BINARY) || sql.contains(super::MATCHES) {
        return Cow::Owned(sql.replace(super::BINARY, " COLLATE \"C\"").replace(super::MATCHES, " ~ "));
    }
    Cow::Borrowed(sql)
}

/// A text whose type the database infers: it goes into columns of text and of JSON alike.
struct Text(Option<String>);

impl sqlx::Type<Driver> for Text {
    fn type_info() -> PgTypeInfo {
        // 0 is "unspecified" in the protocol.
        PgTypeInfo::with_oid(sqlx::postgres::types::Oid(0))
    }
}

impl sqlx::Encode<'_, Driver> for Text {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> std::result::Result<IsNull, BoxDynError> {
        match &self.0 {
            Some(text) => {
                buffer.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_calls_otherwise() {
        assert_eq!(
            translated("SELECT a REGEXP $1 ORDER BY a COLLATE BINARY, b"),
            "SELECT a ~ $1 ORDER BY a COLLATE \"C\", b"
        );
        assert!(matches!(translated("SELECT 1 ORDER BY a"), Cow::Borrowed(_)));
    }
}
