//! What is known of files from earlier: a path whose time, size and inode are unchanged need not be hashed again.
//!
//! The table lives in SQLite under `.dvc/tmp/matraz/`. It is a cache: losing it costs time only, so a broken database
//! is thrown away. Several processes may use it at once.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags, params};

use super::digest::Digest;

/// What tells whether a file is still the same: modification time, size and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds since 1970.
    pub mtime: i64,
    /// Bytes.
    pub size: u64,
    /// The number of the inode.
    pub inode: u64,
}

impl Stamp {
    /// The stamp of a file with this metadata.
    pub fn of(meta: &fs::Metadata) -> Self {
        Self {
            mtime: meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec()),
            size: meta.len(),
            inode: meta.ino(),
        }
    }

    /// Whether a write after `moment` is sure to change the stamp.
    ///
    /// The clock of files ticks: a file that was written and hashed within one tick may be written again without a
    /// trace. Filesystems that keep whole seconds tick every one or two seconds, others every few milliseconds.
    pub fn settled_before(&self, moment: SystemTime) -> bool {
        let tick = if self.mtime % 1_000_000_000 == 0 { 2_000_000_000 } else { 20_000_000 };
        self.mtime.saturating_add(tick) <= nanoseconds(moment)
    }
}

fn nanoseconds(moment: SystemTime) -> i64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A file whose digest is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What the file looked like then.
    pub stamp: Stamp,
    /// The digest of its content then.
    pub digest: Digest,
}

/// The table of known files. Every failure of the database reads as an empty table.
#[derive(Debug)]
pub struct State {
    connection: Option<Connection>,
}

/// Where the digest belongs: to the content, or to the content as DVC 2 saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// MD5 of the bytes.
    Md5,
    /// MD5 with uniform line ends in text.
    LegacyMd5,
}

const SCHEMA_VERSION: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS file (
        path TEXT NOT NULL, algorithm INTEGER NOT NULL, mtime INTEGER NOT NULL, size INTEGER NOT NULL,
        inode INTEGER NOT NULL, md5 BLOB NOT NULL, PRIMARY KEY (path, algorithm)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS object (
        md5 BLOB NOT NULL, dir INTEGER NOT NULL, algorithm INTEGER NOT NULL, mtime INTEGER NOT NULL,
        size INTEGER NOT NULL, inode INTEGER NOT NULL, PRIMARY KEY (md5, dir, algorithm)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS placed (
        path TEXT PRIMARY KEY NOT NULL, mtime INTEGER NOT NULL, inode INTEGER NOT NULL) WITHOUT ROWID;
";

impl State {
    /// Knows nothing and remembers nothing: for projects that are not ours to write to.
    pub fn absent() -> Self {
        Self { connection: None }
    }

    /// Opens the table in `folder`, making it when there is none. Where nothing may be written, what is known from
    /// earlier is used and nothing is added.
    pub fn open(folder: &Path) -> Self {
        use rusqlite::ErrorCode::{CannotOpen, DatabaseCorrupt, NotADatabase, PermissionDenied, ReadOnly};
        let path = folder.join("state.db");
        let connection = connect(&path).or_else(|error| match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => {
                for suffix in ["", "-wal", "-shm"] {
                    let mut name = path.clone().into_os_string();
                    name.push(suffix);
                    let _ = fs::remove_file(PathBuf::from(name));
                }
                connect(&path)
            }
            Some(CannotOpen | PermissionDenied | ReadOnly) => connect_to_read(&path),
            _ => Err(error),
        });
        Self { connection: connection.ok() }
    }

    /// What is known of the files at or below a path, sorted by path.
    pub fn below(&self, path: &str, algorithm: Algorithm) -> Vec<(String, Known)> {
        let Some(connection) = &self.connection else { return Vec::new() };
        // '0' is the character after '/'.
        let scan = || -> rusqlite::Result<Vec<(String, Known)>> {
            let mut statement = connection.prepare_cached(
                "SELECT path, mtime, size, inode, md5 FROM file
                 WHERE algorithm = ?1 AND (path = ?2 OR (path > ?3 AND path < ?4))
                 ORDER BY path",
            )?;
            let bounds = (format!("{path}/"), format!("{path}0"));
            let rows = statement.query_map(params![algorithm as i64, path, bounds.0, bounds.1], |row| {
                Ok((row.get::<_, String>(0)?, known(row, 1)?))
            })?;
            rows.collect()
        };
        scan().unwrap_or_default()
    }

    /// Remembers files and forgets others, in one step.
    pub fn update(&mut self, algorithm: Algorithm, learned: &[(String, Known)], forgotten: &[String]) {
        let Some(connection) = &mut self.connection else { return };
        let _ = (|| -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            {
                let mut insert = transaction.prepare_cached(
                    "INSERT OR REPLACE INTO file (path, algorithm, mtime, size, inode, md5)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?;
                for (path, known) in learned {
                    let Stamp { mtime, size, inode } = known.stamp;
                    let md5 = known.digest.bytes().as_slice();
                    insert.execute(params![path, algorithm as i64, mtime, size as i64, inode as i64, md5])?;
                }
                let mut delete =
                    transaction.prepare_cached("DELETE FROM file WHERE path = ?1 AND algorithm = ?2")?;
                for path in forgotten {
                    delete.execute(params![path, algorithm as i64])?;
                }
            }
            transaction.commit()
        })();
    }

    /// The stamps of all cache objects that were made or checked here, by digest and algorithm.
    pub fn objects(&self) -> HashMap<(Digest, Algorithm), Stamp> {
        let Some(connection) = &self.connection else { return HashMap::new() };
        let scan = || -> rusqlite::Result<HashMap<(Digest, Algorithm), Stamp>> {
            let mut statement =
                connection.prepare_cached("SELECT dir, algorithm, mtime, size, inode, md5 FROM object")?;
            let rows = statement.query_map([], |row| {
                let Known { stamp, digest } = known(row, 2)?;
                let digest = if row.get(0)? { Digest::dir(*digest.bytes()) } else { digest };
                let algorithm = match row.get::<_, i64>(1)? {
                    0 => Algorithm::Md5,
                    _ => Algorithm::LegacyMd5,
                };
                Ok(((digest, algorithm), stamp))
            })?;
            rows.collect()
        };
        scan().unwrap_or_default()
    }

    /// Remembers what sound cache objects look like.
    pub fn remember_objects(&mut self, algorithm: Algorithm, objects: &[(Digest, Stamp)]) {
        let Some(connection) = &mut self.connection else { return };
        let _ = (|| -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            {
                let mut insert = transaction.prepare_cached(
                    "INSERT OR REPLACE INTO object (md5, dir, algorithm, mtime, size, inode)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?;
                for (digest, stamp) in objects {
                    let Stamp { mtime, size, inode } = *stamp;
                    let md5 = digest.bytes().as_slice();
                    let row =
                        params![md5, digest.is_dir(), algorithm as i64, mtime, size as i64, inode as i64];
                    insert.execute(row)?;
                }
            }
            transaction.commit()
        })();
    }

    /// Remembers that an output was put into the workspace, so that it can go when nothing tracks it any more.
    pub fn remember_placed(&mut self, outputs: &[(String, Stamp)]) {
        let Some(connection) = &mut self.connection else { return };
        let _ = (|| -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            for (path, stamp) in outputs {
                transaction.execute(
                    "INSERT OR REPLACE INTO placed (path, mtime, inode) VALUES (?1, ?2, ?3)",
                    params![path, stamp.mtime, stamp.inode as i64],
                )?;
            }
            transaction.commit()
        })();
    }

    /// The outputs that were put into the workspace: path, modification time, inode.
    pub fn placed(&self) -> Vec<(String, i64, u64)> {
        let Some(connection) = &self.connection else { return Vec::new() };
        let scan = || -> rusqlite::Result<Vec<(String, i64, u64)>> {
            let mut statement = connection.prepare_cached("SELECT path, mtime, inode FROM placed")?;
            let rows = statement
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)? as u64)))?;
            rows.collect()
        };
        scan().unwrap_or_default()
    }

    /// Forgets outputs that were put into the workspace.
    pub fn forget_placed(&mut self, paths: &[String]) {
        let Some(connection) = &mut self.connection else { return };
        for path in paths {
            let _ = connection.execute("DELETE FROM placed WHERE path = ?1", params![path]);
        }
    }
}

/// A connection that leaves the folder as it is.
fn connect_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let readable = |options: &str| -> rusqlite::Result<Connection> {
        let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(format!("file:{escaped}{options}"), flags)?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == SCHEMA_VERSION { Ok(connection) } else { Err(rusqlite::Error::InvalidQuery) }
    };
    // The log beside a database can only be read together with an index, which nobody can write here either. Without
    // it, rows of the log are not seen: they cost a hash.
    readable("").or_else(|_| readable("?immutable=1"))
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A row lost in a crash costs a hash; in this mode no commit waits for the disk.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != SCHEMA_VERSION {
        connection.execute_batch(
            "DROP TABLE IF EXISTS file; DROP TABLE IF EXISTS object; DROP TABLE IF EXISTS placed;",
        )?;
        connection.execute_batch(SCHEMA)?;
        connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    Ok(connection)
}

/// Columns `mtime, size, inode, md5` from the given one on.
fn known(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Known> {
    let bytes = row.get_ref(first + 3)?.as_blob()?;
    let md5 = bytes.try_into().map_err(|_| rusqlite::Error::InvalidQuery)?;
    let stamp = Stamp {
        mtime: row.get(first)?,
        size: row.get::<_, i64>(first + 1)? as u64,
        inode: row.get::<_, i64>(first + 2)? as u64,
    };
    Ok(Known { stamp, digest: Digest::file(md5) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::md5;

    fn sample(n: u64) -> Known {
        let stamp = Stamp { mtime: n as i64, size: n, inode: u64::MAX - n };
        Known { stamp, digest: Digest::file(md5::of_bytes(&n.to_le_bytes())) }
    }

    #[test]
    fn files_are_remembered_by_prefix_and_by_two_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = State::open(folder.path());
        let mut two = State::open(folder.path());
        let learned: Vec<_> = ["d", "d/a", "d/s/b", "d-x", "d.x", "e"]
            .iter()
            .zip(0..)
            .map(|(p, n)| ((*p).to_owned(), sample(n)))
            .collect();
        one.update(Algorithm::Md5, &learned, &[]);
        two.update(Algorithm::Md5, &[("d/new".into(), sample(9))], &["d/a".into()]);
        two.update(Algorithm::LegacyMd5, &[("d/a".into(), sample(8))], &[]);
        let below: Vec<_> = one.below("d", Algorithm::Md5).into_iter().map(|(path, _)| path).collect();
        assert_eq!(below, ["d", "d/new", "d/s/b"]);
        assert_eq!(one.below("d/a", Algorithm::LegacyMd5), [("d/a".to_owned(), sample(8))]);
        let objects = [(Digest::dir([1; 16]), sample(3).stamp), (Digest::file([1; 16]), sample(4).stamp)];
        one.remember_objects(Algorithm::LegacyMd5, &objects);
        let expected =
            objects.into_iter().map(|(digest, stamp)| ((digest, Algorithm::LegacyMd5), stamp)).collect();
        assert_eq!(two.objects(), expected);
    }

    #[test]
    fn a_broken_database_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("state.db"),
            "this is no database, and long enough to be looked at".repeat(99),
        )
        .unwrap();
        let mut state = State::open(folder.path());
        state.update(Algorithm::Md5, &[("a".into(), sample(1))], &[]);
        assert_eq!(State::open(folder.path()).below("a", Algorithm::Md5).len(), 1);
    }

    #[test]
    fn a_file_written_in_the_tick_of_its_hash_is_not_settled() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let stamp = |mtime| Stamp { mtime, size: 1, inode: 1 };
        assert!(!stamp(1_000_000_000_000_000).settled_before(now));
        assert!(!stamp(999_999_999_999_999).settled_before(now));
        assert!(stamp(999_999_970_000_000).settled_before(now));
        assert!(!stamp(999_999_000_000_000).settled_before(now), "whole seconds tick slowly");
        assert!(stamp(999_998_000_000_000).settled_before(now));
    }
}
