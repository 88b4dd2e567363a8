//! One SQL statement with its bound values, and the rows that come back.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::error::{DriverError, Error, Result};

/// SQL text with `$1`, `$2` … placeholders and the values for them. Values from outside are only ever bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub(crate) sql: String,
    pub(crate) args: Vec<Arg>,
    /// Whether the prepared form is worth keeping: not for text made from a user's filter.
    pub(crate) keep: bool,
    /// What a SELECT does to its rows in a transaction that writes, where others write at the same time.
    pub(crate) lock: Option<Lock>,
}

/// How far rows are locked until the end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// They do not change.
    Share,
    /// Nobody else changes or locks them.
    Update,
}

/// A bound value.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// Text or NULL.
    Text(Option<String>),
    /// A 64-bit integer or NULL.
    Int(Option<i64>),
    /// A double or NULL.
    Real(Option<f64>),
    /// A truth value.
    Bool(bool),
    /// The right side of `LIKE`: `%` and `_` stand for other letters, and nothing takes that from them.
    Pattern(String),
}

impl Statement {
    /// A statement whose text is the same on every call.
    pub fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), args: Vec::new(), keep: true, lock: None }
    }

    /// A statement that is put together piece by piece with [`push`](Self::push) and [`push_bind`](Self::push_bind).
    pub fn built(sql: &str) -> Self {
        Self { keep: false, ..Self::new(sql) }
    }

    /// Keeps the rows of a SELECT from change until the transaction ends. Has no effect in transactions that only
    /// read, nor on SQLite, which has one writer at a time.
    #[must_use]
    pub fn for_share(mut self) -> Self {
        self.lock = Some(Lock::Share);
        self
    }

    /// Like [`for_share`](Self::for_share), for rows that this transaction is going to change.
    #[must_use]
    pub fn for_update(mut self) -> Self {
        self.lock = Some(Lock::Update);
        self
    }

    /// Binds the next placeholder.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Arg>) -> Self {
        self.args.push(value.into());
        self
    }

    /// Appends SQL text. Never pass text that came from outside.
    pub fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    /// Appends a placeholder bound to `value`.
    pub fn push_bind(&mut self, value: impl Into<Arg>) -> &mut Self {
        self.args.push(value.into());
        self.sql.push_str(&format!("${}", self.args.len()));
        self
    }

    /// Appends `($n, $n+1, …)`, for `IN` lists and rows of `VALUES`.
    pub fn push_list<A: Into<Arg>>(&mut self, values: impl IntoIterator<Item = A>) -> &mut Self {
        self.sql.push('(');
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.sql.push_str(", ");
            }
            self.push_bind(value);
        }
        self.sql.push(')');
        self
    }
}

impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<&String> for Arg {
    fn from(value: &String) -> Self {
        Self::Text(Some(value.clone()))
    }
}

impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<String>> for Arg {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<Option<&str>> for Arg {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Arg {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Arg {
    fn from(value: f64) -> Self {
        Self::Real(Some(value))
    }
}

impl From<Option<f64>> for Arg {
    fn from(value: Option<f64>) -> Self {
        Self::Real(value)
    }
}

impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// A row of a result; columns count from 0.
pub enum Row {
    /// From SQLite.
    Sqlite(SqliteRow),
    /// From PostgreSQL.
    Postgres(PgRow),
}

impl Row {
    /// Text that is never NULL.
    pub fn text(&self, column: usize) -> Result<String> {
        match self {
            Self::Sqlite(row) => row.text(column).ok_or_else(|| unexpected_null(column)),
            Self::Postgres(row) => Ok(row.try_get_unchecked(column)?),
        }
    }

    /// Whether a column holds this very text.
    pub fn is_text(&self, column: usize, text: &str) -> Result<bool> {
        match self {
            Self::Sqlite(row) => Ok(row.text_of(column) == Some(text)),
            Self::Postgres(row) => Ok(row.try_get_unchecked::<&str, _>(column)? == text),
        }
    }

    /// Text or NULL.
    pub fn text_or_null(&self, column: usize) -> Result<Option<String>> {
        match self {
            Self::Sqlite(row) => Ok(row.text(column)),
            Self::Postgres(row) => Ok(row.try_get_unchecked(column)?),
        }
    }

    /// An integer that is never NULL.
    pub fn int(&self, column: usize) -> Result<i64> {
        match self {
            Self::Sqlite(row) => row.int(column).ok_or_else(|| unexpected_null(column)),
            Self::Postgres(row) => Ok(row.try_get_unchecked(column)?),
        }
    }

    /// An integer or NULL.
    pub fn int_or_null(&self, column: usize) -> Result<Option<i64>> {
        match self {
            Self::Sqlite(row) => Ok(row.int(column)),
            Self::Postgres(row) => Ok(row.try_get_unchecked(column)?),
        }
    }

    /// A double that is never NULL.
    pub fn real(&self, column: usize) -> Result<f64> {
        match self {
            Self::Sqlite(row) => row.real(column).ok_or_else(|| unexpected_null(column)),
            Self::Postgres(row) => Ok(row.try_get_unchecked(column)?),
        }
    }

    /// A double or NULL.
    pub fn real_or_null(&self, column: usize) -> Result<Option<f64>> {
        match self {
            Self::Sqlite(row) => Ok(row.real(column)),
            Self::Postgres(row) => Ok(row.try_get_unchecked(column)?),
        }
    }

    /// A truth value that is never NULL.
    pub fn flag(&self, column: usize) -> Result<bool> {
        match self {
            Self::Sqlite(row) => {
                row.int(column).map(|value| value != 0).ok_or_else(|| unexpected_null(column))
            }
            Self::Postgres(row) => Ok(row.try_get_unchecked(column)?),
        }
    }
}

fn unexpected_null(column: usize) -> Error {
    Error::Database(DriverError::Null { column })
}

/// A row of SQLite, taken out of the database's own memory.
pub struct SqliteRow {
    cells: Vec<Cell>,
    /// The texts of all cells, one after the other.
    texts: String,
}

/// SQLite gives every value a type of its own, whatever the type of its column.
enum Cell {
    Null,
    Int(i64),
    Real(f64),
    /// From here on, up to there.
    Text(usize, usize),
}

impl SqliteRow {
    pub(crate) fn with_columns(count: usize) -> Self {
        Self { cells: Vec::with_capacity(count), texts: String::new() }
    }

    /// Makes place for another row.
    pub(crate) fn clear(&mut self) {
        self.cells.clear();
        self.texts.clear();
    }

    pub(crate) fn push_null(&mut self) {
        self.cells.push(Cell::Null);
    }

    pub(crate) fn push_int(&mut self, value: i64) {
        self.cells.push(Cell::Int(value));
    }

    pub(crate) fn push_real(&mut self, value: f64) {
        self.cells.push(Cell::Real(value));
    }

    pub(crate) fn push_text(&mut self, text: &str) {
        let start = self.texts.len();
        self.texts.push_str(text);
        self.cells.push(Cell::Text(start, self.texts.len()));
    }

    /// The text of a cell that was stored as one.
    fn text_of(&self, column: usize) -> Option<&str> {
        match self.cells.get(column)? {
            Cell::Text(start, end) => self.texts.get(*start..*end),
            _ => None,
        }
    }

    fn text(&self, column: usize) -> Option<String> {
        match self.cells.get(column)? {
            Cell::Null => None,
            Cell::Int(value) => Some(value.to_string()),
            Cell::Real(value) => Some(value.to_string()),
            Cell::Text(start, end) => self.texts.get(*start..*end).map(str::to_owned),
        }
    }

    fn int(&self, column: usize) -> Option<i64> {
        match self.cells.get(column)? {
            Cell::Null => None,
            Cell::Int(value) => Some(*value),
            Cell::Real(value) => Some(*value as i64),
            Cell::Text(start, end) => Some(self.texts.get(*start..*end)?.trim().parse().unwrap_or_default()),
        }
    }

    fn real(&self, column: usize) -> Option<f64> {
        match self.cells.get(column)? {
            Cell::Null => None,
            Cell::Int(value) => Some(*value as f64),
            Cell::Real(value) => Some(*value),
            Cell::Text(start, end) => Some(self.texts.get(*start..*end)?.trim().parse().unwrap_or_default()),
        }
    }
}

/// Rows to be added to a table.
pub struct Insert {
    /// The table and its columns, as `tags (run_uuid, key, value)`.
    pub into: &'static str,
    /// How many columns that are.
    pub columns: usize,
    /// What happens to a row that is there already: ` ON CONFLICT …`.
    pub on_conflict: &'static str,
}

/// How many rows one INSERT carries where statements are sent over a connection. Larger ones gain nothing.
const ROWS_AT_ONCE: usize = 200;

impl Insert {
    /// The statement for one row.
    pub(crate) fn sql_of_one(&self) -> String {
        let places = vec!["?"; self.columns].join(", ");
        format!("INSERT INTO {} VALUES ({places}){}", self.into, self.on_conflict)
    }

    /// Statements for many rows each; `values` holds the rows one after the other.
    pub(crate) fn statements(&self, values: Vec<Arg>) -> Vec<Statement> {
        let mut statements = Vec::new();
        let mut values = values.into_iter().peekable();
        while values.peek().is_some() {
            let mut statement = Statement::built(&format!("INSERT INTO {} VALUES ", self.into));
            let mut rows = 0;
            while rows < ROWS_AT_ONCE && values.peek().is_some() {
                statement.push(if rows == 0 { "" } else { ", " });
                statement.push_list(values.by_ref().take(self.columns));
                rows += 1;
            }
            statement.push(self.on_conflict);
            statement.keep = matches!(rows, 1 | ROWS_AT_ONCE);
            statements.push(statement);
        }
        statements
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_count_up_through_all_pieces() {
        let mut statement = Statement::built("SELECT 1 WHERE a = ");
        statement.push_bind("x").push(" AND b IN ").push_list([1_i64, 2]);
        assert_eq!(statement.sql, "SELECT 1 WHERE a = $1 AND b IN ($2, $3)");
        assert_eq!(statement.args, [Arg::from("x"), Arg::from(1), Arg::from(2)]);
    }

    #[test]
    fn many_rows_go_into_few_statements() {
        let insert = Insert { into: "t (a, b)", columns: 2, on_conflict: " ON CONFLICT DO NOTHING" };
        assert_eq!(insert.sql_of_one(), "INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT DO NOTHING");
        let statements = insert.statements((0..2 * 202_i64).map(Arg::from).collect());
        assert_eq!(statements.len(), 2);
        assert_eq!((statements[0].args.len(), statements[0].keep), (400, true));
        assert_eq!(
            statements[1].sql,
            "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT DO NOTHING"
        );
        assert_eq!((&statements[1].args[0], statements[1].keep), (&Arg::from(400), false));
    }
}
