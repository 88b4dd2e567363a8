//! The database: opening it, transactions over it, and the SQL of every entity (one file each).
//!
//! SQL is written once for SQLite and PostgreSQL: `$1` placeholders, `ON CONFLICT`, no dialect functions. Texts
//! are put in order with [`BINARY`], rows are locked with [`Statement::for_share`] and [`Statement::for_update`]. What
//! differs between the drivers is kept in [`Db`], [`Session`] and [`statement::Row`].

pub(crate) mod access;
pub(crate) mod assessment;
pub(crate) mod association;
pub(crate) mod dataset;
pub(crate) mod evaluation_dataset;
pub(crate) mod experiment;
pub(crate) mod gc;
pub(crate) mod journal;
pub(crate) mod logged_model;
pub(crate) mod metric;
pub(crate) mod model_version;
pub(crate) mod own;
mod owners;
pub(crate) mod param;
pub mod postgres;
pub(crate) mod registered_model;
pub(crate) mod role;
pub(crate) mod run;
pub mod schema;
pub(crate) mod scorer;
pub(crate) mod span;
pub mod sqlite;
pub mod statement;
pub(crate) mod tag;
pub(crate) mod trace;
pub mod upgrade;
pub mod uri;
pub(crate) mod user;
pub(crate) mod webhook;

use crate::error::Result;
pub use postgres::{Pool, Postgres};
pub use schema::Head;
pub use sqlite::Sqlite;
pub use statement::{Arg, Insert, Row, Statement};
pub use uri::{PostgresUri, StoreUri};

/// Follows a text column in `ORDER BY` (and in comparisons by `<`): by bytes on every database.
pub(crate) const BINARY: &str = " COLLATE BINARY";

/// Between a text and a regular expression.
pub(crate) const MATCHES: &str = " REGEXP ";

/// An open tracking store.
#[derive(Clone, Debug)]
pub enum Db {
    /// A file of MLflow's SQLite schema.
    Sqlite(Sqlite),
    /// A PostgreSQL database of MLflow's schema.
    Postgres(Postgres),
}

impl Db {
    /// Opens the store; a file that does not exist or is empty, and a database without tables, gets the schema of
    /// `new_head`.
    ///
    /// # Errors
    /// A database of another program, or of another schema revision, is refused and left as it was.
    pub async fn open(uri: &StoreUri, new_head: Head) -> Result<Self> {
        Self::open_with(uri, new_head, Pool::default()).await
    }

    /// Like [`open`](Self::open), with as many connections to a database server as `pool` says.
    pub async fn open_with(uri: &StoreUri, new_head: Head, pool: Pool) -> Result<Self> {
        match uri {
            StoreUri::Sqlite(path) => Ok(Self::Sqlite(Sqlite::open(path, new_head).await?)),
            StoreUri::Postgres(uri) => Ok(Self::Postgres(Postgres::open(uri, new_head, pool).await?)),
            StoreUri::Folder(path) => Ok(Self::Sqlite(Sqlite::open_folder(path, new_head).await?)),
        }
    }

    /// Starts a transaction that only reads: everything read through it is of one moment.
    pub async fn read(&self) -> Result<Session> {
        match self {
            Self::Sqlite(sqlite) => sqlite.read().await,
            Self::Postgres(postgres) => postgres.read().await,
        }
    }

    /// Starts a transaction that writes. Nothing is kept without [`Session::commit`]. With SQLite there is one writer at a
    /// time; with PostgreSQL others write at the same time and must be kept off by locks on rows.
    pub async fn write(&self) -> Result<Session> {
        match self {
            Self::Sqlite(sqlite) => sqlite.write().await,
            Self::Postgres(postgres) => postgres.write().await,
        }
    }

    /// Whether nothing can be written.
    pub fn is_read_only(&self) -> bool {
        match self {
            Self::Sqlite(sqlite) => sqlite.is_read_only(),
            Self::Postgres(_) => false,
        }
    }

    /// Waits for what is under way and closes every connection, so that no side file stays.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            Self::Postgres(postgres) => postgres.close().await,
        }
    }
}

/// A transaction. Dropping it undoes what was not committed.
pub struct Session {
    inner: Inner,
    /// In whose name changes go into the journal; `None` keeps them out of it.
    who: Option<String>,
}

enum Inner {
    Sqlite(sqlite::Transaction),
    Postgres { transaction: sqlx::Transaction<'static, sqlx::Postgres>, writes: bool },
}

impl Session {
    pub(crate) fn sqlite(transaction: sqlite::Transaction) -> Self {
        Self { inner: Inner::Sqlite(transaction), who: None }
    }

    /// Enters changes into the journal in this name.
    #[must_use]
    pub(crate) fn in_name_of(mut self, who: &str) -> Self {
        self.who = Some(who.to_owned());
        self
    }

    /// In whose name changes go into the journal.
    pub(crate) fn who(&self) -> Option<&str> {
        self.who.as_deref()
    }

    pub(crate) fn postgres(transaction: sqlx::Transaction<'static, sqlx::Postgres>, writes: bool) -> Self {
        Self { inner: Inner::Postgres { transaction, writes }, who: None }
    }

    /// Whether the store is on PostgreSQL.
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.inner, Inner::Postgres { .. })
    }

    /// Runs a statement and says how many rows it changed.
    pub async fn run(&mut self, statement: Statement) -> Result<u64> {
        match &mut self.inner {
            Inner::Sqlite(transaction) => transaction.run(&statement),
            Inner::Postgres { transaction, writes } => {
                let query = postgres::query(statement, *writes);
                Ok(query.execute(&mut **transaction).await?.rows_affected())
            }
        }
    }

    /// Adds rows, whose values come one after the other, and counts those that were added or changed.
    pub(crate) async fn insert(&mut self, insert: &Insert, values: Vec<Arg>) -> Result<u64> {
        match &mut self.inner {
            Inner::Sqlite(transaction) => transaction.insert(insert, &values),
            Inner::Postgres { transaction, writes } => {
                let mut changed = 0;
                for statement in insert.statements(values) {
                    let query = postgres::query(statement, *writes);
                    changed += query.execute(&mut **transaction).await?.rows_affected();
                }
                Ok(changed)
            }
        }
    }

    /// Runs several statements that bind nothing. Never pass text that came from outside.
    pub(crate) async fn script(&mut self, sql: &str) -> Result<()> {
        match &mut self.inner {
            Inner::Sqlite(transaction) => transaction.script(sql),
            Inner::Postgres { transaction, .. } => {
                let script = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
                Ok(script.execute(&mut **transaction).await.map(drop)?)
            }
        }
    }

    /// Runs a statement and collects its rows.
    pub async fn rows(&mut self, statement: Statement) -> Result<Vec<Row>> {
        match &mut self.inner {
            Inner::Sqlite(transaction) => transaction.rows(&statement),
            Inner::Postgres { transaction, writes } => {
                let rows = postgres::query(statement, *writes).fetch_all(&mut **transaction).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// Runs a statement and shows its rows one by one.
    pub(crate) async fn each(
        &mut self,
        statement: Statement,
        mut visit: impl FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        match &mut self.inner {
            Inner::Sqlite(transaction) => transaction.each(&statement, visit),
            Inner::Postgres { transaction, writes } => {
                let rows = postgres::query(statement, *writes).fetch_all(&mut **transaction).await?;
                rows.into_iter().try_for_each(|row| visit(&Row::Postgres(row)))
            }
        }
    }

    /// Runs a statement that gives one row or none.
    pub async fn row(&mut self, statement: Statement) -> Result<Option<Row>> {
        match &mut self.inner {
            Inner::Sqlite(transaction) => Ok(transaction.rows(&statement)?.into_iter().next()),
            Inner::Postgres { transaction, writes } => {
                let query = postgres::query(statement, *writes);
                Ok(query.fetch_optional(&mut **transaction).await?.map(Row::Postgres))
            }
        }
    }

    /// Keeps what was written.
    pub async fn commit(self) -> Result<()> {
        match self.inner {
            Inner::Sqlite(transaction) => transaction.commit(),
            Inner::Postgres { transaction, .. } => Ok(transaction.commit().await?),
        }
    }
}

/// Parts of a list of ids that fit into one `IN`.
pub(crate) fn chunks(ids: &[String]) -> std::slice::Chunks<'_, String> {
    ids.chunks(500)
}
