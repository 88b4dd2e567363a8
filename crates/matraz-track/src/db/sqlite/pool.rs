//! Connections to an SQLite file, and transactions on them.
//!
//! A statement runs on the thread that asks for it: most take microseconds, which is less than it takes to hand them to
//! another thread and to wake up again. Those that may take longer tell the runtime first, so that it goes on with
//! other requests on another thread.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::db::statement::{Arg, Insert, Row, SqliteRow, Statement};
use crate::error::{DriverError, Error, Result};

/// How long a connection waits for a lock of another program, as MLflow does.
const LOCK_WAIT: Duration = Duration::from_secs(20);

/// How long a request waits for its turn on a connection.
const TURN_WAIT: Duration = Duration::from_secs(60);

/// How many statements a connection keeps prepared.
const KEPT_STATEMENTS: usize = 128;

/// How a file is opened.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    path: PathBuf,
    flags: OpenFlags,
    /// Nobody writes to the file, and there is no log beside it.
    immutable: bool,
    pragmas: Vec<(&'static str, &'static str)>,
}

impl Options {
    /// Opened for reading and writing; it must be there.
    pub(crate) fn new(path: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self { path: path.to_path_buf(), flags, immutable: false, pragmas: Vec::new() }
    }

    /// Makes the file when it is not there.
    pub(crate) fn create(mut self) -> Self {
        self.flags |= OpenFlags::SQLITE_OPEN_CREATE;
        self
    }

    /// Opened for reading only.
    pub(crate) fn read_only(mut self, immutable: bool) -> Self {
        self.flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        self.immutable = immutable;
        self
    }

    /// Sets a pragma of every connection.
    pub(crate) fn pragma(mut self, name: &'static str, value: &'static str) -> Self {
        self.pragmas.push((name, value));
        self
    }

    /// Opens a connection.
    pub(crate) fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = if self.immutable {
            let name = percent_encode(self.path.as_os_str().as_encoded_bytes(), NON_ALPHANUMERIC);
            let uri = format!("file:{name}?immutable=1");
            Connection::open_with_flags(uri, self.flags | OpenFlags::SQLITE_OPEN_URI)?
        } else {
            Connection::open_with_flags(&self.path, self.flags)?
        };
        connection.busy_timeout(LOCK_WAIT)?;
        connection.set_prepared_statement_cache_capacity(KEPT_STATEMENTS);
        for (name, value) in &self.pragmas {
            connection.pragma_update(None, name, value)?;
        }
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        connection.create_scalar_function("regexp", 2, flags, |context| {
            let expression = context.get_or_create_aux(0, |value| {
                regex::Regex::new(value.as_str()?)
                    .map_err(|error| Box::new(error) as Box<dyn std::error::Error + Send + Sync>)
            })?;
            Ok(context.get_raw(1).as_str_or_null()?.map(|text| expression.is_match(text)))
        })?;
        Ok(connection)
    }
}

/// A number of connections, of which each serves one transaction at a time.
#[derive(Debug)]
pub(crate) struct Pool {
    options: Options,
    size: u32,
    turns: Arc<Semaphore>,
    free: Mutex<Vec<Connection>>,
}

impl Pool {
    /// A pool that opens its connections when they are asked for.
    pub(crate) fn new(options: Options, size: u32) -> Arc<Self> {
        let turns = Arc::new(Semaphore::new(size as usize));
        Arc::new(Self { options, size, turns, free: Mutex::new(Vec::new()) })
    }

    /// A pool with one connection open, which shows that the file can be opened.
    pub(crate) fn open(options: Options, size: u32) -> rusqlite::Result<Arc<Self>> {
        let first = options.connect()?;
        let pool = Self::new(options, size);
        pool.free().push(first);
        Ok(pool)
    }

    fn free(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a transaction that reads what is there at its first statement.
    pub(crate) async fn read(self: &Arc<Self>) -> Result<Transaction> {
        let transaction = self.turn().await?;
        transaction.connection()?.execute_batch("BEGIN")?;
        Ok(transaction)
    }

    /// Starts a transaction that takes the write lock at once: one that reads first could not get it later. Waits while
    /// another program has it.
    pub(crate) async fn write(self: &Arc<Self>) -> Result<Transaction> {
        let transaction = self.turn().await?;
        let waits_until = Instant::now() + LOCK_WAIT;
        loop {
            let connection = transaction.connection()?;
            connection.busy_timeout(Duration::ZERO)?;
            let begun = connection.execute_batch("BEGIN IMMEDIATE");
            connection.busy_timeout(LOCK_WAIT)?;
            match begun.map_err(Error::from) {
                Ok(()) => return Ok(transaction),
                Err(Error::Busy(_)) if Instant::now() < waits_until => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn turn(self: &Arc<Self>) -> Result<Transaction> {
        let turn = match Arc::clone(&self.turns).try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => match tokio::time::timeout(TURN_WAIT, Arc::clone(&self.turns).acquire_owned()).await {
                Ok(Ok(turn)) => turn,
                Ok(Err(_)) => return Err(Error::Unavailable(DriverError::Closed)),
                Err(_) => return Err(Error::Busy(DriverError::NoTurn)),
            },
        };
        let kept = self.free().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => self.options.connect()?,
        };
        Ok(Transaction { connection: Some(connection), pool: Arc::clone(self), _turn: turn })
    }

    /// Waits for the transactions that are under way and closes the connections.
    pub(crate) async fn close(&self) {
        let all = tokio::time::timeout(TURN_WAIT, self.turns.acquire_many(self.size)).await;
        self.turns.close();
        self.free().clear();
        drop(all);
    }
}

/// A transaction. Dropping it undoes what was not committed.
pub(crate) struct Transaction {
    /// There until the end.
    connection: Option<Connection>,
    pool: Arc<Pool>,
    _turn: OwnedSemaphorePermit,
}

impl Transaction {
    /// The connection itself.
    pub(crate) fn connection(&self) -> Result<&Connection> {
        self.connection.as_ref().ok_or(Error::Unavailable(DriverError::Closed))
    }

    /// Runs a statement and says how many rows it changed.
    pub(crate) fn run(&mut self, statement: &Statement) -> Result<u64> {
        let connection = self.connection()?;
        unhurried(!statement.keep, || {
            each_row(connection, statement, |_| Ok(()))?;
            Ok(connection.changes())
        })
    }

    /// Runs a statement and collects its rows.
    pub(crate) fn rows(&mut self, statement: &Statement) -> Result<Vec<Row>> {
        let connection = self.connection()?;
        unhurried(!statement.keep, || {
            let mut rows = Vec::new();
            each_row(connection, statement, |row| {
                let mut taken = SqliteRow::with_columns(row.as_ref().column_count());
                taken.fill(row)?;
                rows.push(Row::Sqlite(taken));
                Ok(())
            })?;
            Ok(rows)
        })
    }

    /// Runs a statement and shows its rows one by one, in the memory of one row.
    pub(crate) fn each(
        &mut self,
        statement: &Statement,
        mut visit: impl FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        let connection = self.connection()?;
        unhurried(!statement.keep, || {
            let mut shown = Row::Sqlite(SqliteRow::with_columns(0));
            let mut visited = Ok(());
            each_row(connection, statement, |row| {
                if let (Row::Sqlite(taken), true) = (&mut shown, visited.is_ok()) {
                    taken.clear();
                    taken.fill(row)?;
                    visited = visit(&shown);
                }
                Ok(())
            })?;
            visited
        })
    }

    /// Adds rows one by one with one prepared statement.
    pub(crate) fn insert(&mut self, insert: &Insert, values: &[Arg]) -> Result<u64> {
        let connection = self.connection()?;
        let mut prepared = connection.prepare_cached(&insert.sql_of_one())?;
        let mut changed = 0;
        for row in values.chunks(insert.columns) {
            for (index, arg) in row.iter().enumerate() {
                bind(&mut prepared, index + 1, arg)?;
            }
            changed += prepared.raw_execute()? as u64;
        }
        Ok(changed)
    }

    /// Runs several statements that bind nothing.
    pub(crate) fn script(&mut self, sql: &str) -> Result<()> {
        let connection = self.connection()?;
        unhurried(true, || Ok(connection.execute_batch(sql)?))
    }

    /// Keeps what was written.
    pub(crate) fn commit(self) -> Result<()> {
        Ok(self.connection()?.execute_batch("COMMIT")?)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if !connection.is_autocommit() {
            // What fails here leaves a connection that is of no use any more.
            let _ = connection.execute_batch("ROLLBACK");
        }
        if connection.is_autocommit() && !self.pool.turns.is_closed() {
            self.pool.free().push(connection);
        }
    }
}

/// Does something that may take long, where the runtime can go on without this thread.
fn unhurried<T>(long: bool, work: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(runtime) if long && runtime.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(work)
        }
        _ => work(),
    }
}

fn each_row(
    connection: &Connection,
    statement: &Statement,
    mut each: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
) -> Result<()> {
    if statement.keep {
        let mut prepared = connection.prepare_cached(&statement.sql)?;
        return each_row_of(&mut prepared, statement, &mut each);
    }
    each_row_of(&mut connection.prepare(&statement.sql)?, statement, &mut each)
}

fn each_row_of(
    prepared: &mut rusqlite::Statement<'_>,
    statement: &Statement,
    each: &mut impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
) -> Result<()> {
    for place in 1..=prepared.parameter_count() {
        // `$3` is a name to SQLite: places are given in the order of first use.
        let number = prepared.parameter_name(place).and_then(|name| name.get(1..)?.parse::<usize>().ok());
        let arg = number.and_then(|number| statement.args.get(number.checked_sub(1)?));
        bind(prepared, place, arg.unwrap_or(&Arg::Text(None)))?;
    }
    let mut rows = prepared.raw_query();
    while let Some(row) = rows.next()? {
        each(row)?;
    }
    Ok(())
}

fn bind(prepared: &mut rusqlite::Statement<'_>, place: usize, arg: &Arg) -> Result<()> {
    Ok(match arg {
        Arg::Text(value) => prepared.raw_bind_parameter(place, value.as_deref()),
        Arg::Pattern(value) => prepared.raw_bind_parameter(place, value.as_str()),
        Arg::Int(value) => prepared.raw_bind_parameter(place, value),
        Arg::Real(value) => prepared.raw_bind_parameter(place, value),
        Arg::Bool(value) => prepared.raw_bind_parameter(place, value),
    }?)
}

impl SqliteRow {
    /// Adds the cells of a row.
    fn fill(&mut self, row: &rusqlite::Row<'_>) -> rusqlite::Result<()> {
        for column in 0..row.as_ref().column_count() {
            match row.get_ref(column)? {
                ValueRef::Null => self.push_null(),
                ValueRef::Integer(value) => self.push_int(value),
                ValueRef::Real(value) => self.push_real(value),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    self.push_text(&String::from_utf8_lossy(bytes))
                }
            }
        }
        Ok(())
    }
}
