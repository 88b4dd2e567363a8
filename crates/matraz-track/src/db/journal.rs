//! SQL of the journal.

use super::{Row, Session, Statement};
use crate::error::Result;
use crate::journal::Entry;

const COLUMNS: &str = "SELECT seq, time, who, action, kind, name, state_before, state_after, previous_hash, hash \
                       FROM matraz_journal";

fn entry(row: &Row) -> Result<Entry> {
    Ok(Entry {
        seq: row.int(0)?,
        time: row.int(1)?,
        who: row.text(2)?,
        action: row.text(3)?,
        kind: row.text(4)?,
        name: row.text(5)?,
        before: row.text_or_null(6)?,
        after: row.text_or_null(7)?,
        previous_hash: row.text(8)?,
        hash: row.text(9)?,
    })
}

/// The hash of an entry.
pub(crate) async fn hash_of(session: &mut Session, seq: i64) -> Result<Option<String>> {
    let statement = Statement::new("SELECT hash FROM matraz_journal WHERE seq = $1").bind(seq);
    session.row(statement).await?.map(|row| row.text(0)).transpose()
}

pub(crate) async fn insert(session: &mut Session, entry: &Entry) -> Result<()> {
    let statement = Statement::new(
        "INSERT INTO matraz_journal (seq, time, who, action, kind, name, state_before, state_after, previous_hash, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    );
    let statement = statement.bind(entry.seq).bind(entry.time).bind(&entry.who).bind(&entry.action);
    let statement = statement.bind(&entry.kind).bind(&entry.name);
    let statement = statement.bind(entry.before.clone()).bind(entry.after.clone());
    session.run(statement.bind(&entry.previous_hash).bind(&entry.hash)).await.map(|_| ())
}

/// Entries after `seq`, oldest first.
pub(crate) async fn after(session: &mut Session, seq: i64, limit: i64) -> Result<Vec<Entry>> {
    let statement = Statement::new(&format!("{COLUMNS} WHERE seq > $1 ORDER BY seq LIMIT $2"));
    session.rows(statement.bind(seq).bind(limit)).await?.iter().map(entry).collect()
}

/// The newest entries until a time, newest first; with a name only those of what is named so.
pub(crate) async fn newest(
    session: &mut Session,
    name: Option<&str>,
    until: i64,
    limit: i64,
) -> Result<Vec<Entry>> {
    let named = if name.is_some() { " AND name = $3" } else { "" };
    let statement = Statement::new(&format!("{COLUMNS} WHERE time <= $1{named} ORDER BY seq DESC LIMIT $2"));
    let statement = statement.bind(until).bind(limit);
    let statement = match name {
        Some(name) => statement.bind(name),
        None => statement,
    };
    session.rows(statement).await?.iter().map(entry).collect()
}

/// How many entries were ever written.
pub(crate) async fn count(session: &mut Session) -> Result<i64> {
    let statement = Statement::new("SELECT value FROM matraz_counters WHERE name = 'journal'");
    session.row(statement).await?.map_or(Ok(0), |row| row.int(0))
}
