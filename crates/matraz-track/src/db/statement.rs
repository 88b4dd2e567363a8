//! One SQL statement with its bound values, and the rows that come back.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::error::Result;

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
            Self::Sqlite(row) => Ok(row.try_get_unchecked(column)?),
            Self::Postgres(row) => Ok(row.try_get_unchecked(column)?),
        }
    }

    /// Text or NULL.
    pub fn text_or_null(&self, column: usize) -> Result<Option<String>> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get_unchecked(column)?),
            Self::Postgres(row) => Ok(row.try_get_unchecked(column)?),
        }
    }

    /// An integer that is never NULL.
    pub fn int(&self, column: usize) -> Result<i64> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get_unchecked(column)?),
            Self::Postgres(row) => Ok(row.try_get_unchecked(column)?),
        }
    }

    /// An integer or NULL.
    pub fn int_or_null(&self, column: usize) -> Result<Option<i64>> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get_unchecked(column)?),
            Self::Postgres(row) => Ok(row.try_get_unchecked(column)?),
        }
    }

    /// A double that is never NULL.
    pub fn real(&self, column: usize) -> Result<f64> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get_unchecked(column)?),
            Self::Postgres(row) => Ok(row.try_get_unchecked(column)?),
        }
    }

    /// A double or NULL.
    pub fn real_or_null(&self, column: usize) -> Result<Option<f64>> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get_unchecked(column)?),
            Self::Postgres(row) => Ok(row.try_get_unchecked(column)?),
        }
    }

    /// A truth value that is never NULL.
    pub fn flag(&self, column: usize) -> Result<bool> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get_unchecked(column)?),
            Self::Postgres(row) => Ok(row.try_get_unchecked(column)?),
        }
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
}
