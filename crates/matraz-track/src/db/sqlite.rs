//! SQLite: one connection that writes, several that read.
//!
//! Files are kept in WAL mode with `synchronous=NORMAL`: readers never wait for the writer, and a committed
//! transaction is in the operating system's hands, so an answered request survives the death of the process (`kill
//! -9`). A power cut may lose the last transactions but never damages the file. MLflow sets no journal mode itself and
//! opens files in WAL mode. The wait for a lock and the case rule of `LIKE` are MLflow's.

mod pool;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use super::schema::Head;
use super::{Session, StoreUri};
use crate::error::{Code, Error, Result};
pub(crate) use pool::{Options, Pool, Transaction};

/// Memory for pages, in KiB (negative in SQLite's words): a search walks through many of them, an insert of a metric
/// touches four trees.
const WRITER_CACHE: &str = "-32768";
const READER_CACHE: &str = "-8192";

/// How many pages the log may grow by until it is copied into the file, which waits for the disk.
const CHECKPOINT_AFTER: &str = "4000";

/// An open SQLite store.
#[derive(Clone, Debug)]
pub struct Sqlite {
    /// None where the file may only be read.
    writer: Option<Arc<Pool>>,
    readers: Arc<Pool>,
    store: StoreUri,
    /// The folder of a copy, which goes with the last clone of the store.
    #[expect(dead_code, reason = "it is held, not read")]
    copy: Option<Arc<tempfile::TempDir>>,
}

/// What a file holds before it is opened for writing.
enum Found {
    Nothing,
    Store,
}

impl Sqlite {
    /// Opens or makes the file.
    pub(crate) async fn open(path: &Path, new_head: Head) -> Result<Self> {
        if let Some(folder) = path.parent()
            && let Err(source) = std::fs::metadata(folder)
        {
            return Err(Error::File { action: "open", path: folder.to_path_buf(), source });
        }
        let found = inspect(path).await?;
        let options = Options::new(path).pragma("foreign_keys", "true").pragma("case_sensitive_like", "true");
        if let (Found::Store, true) = (&found, is_read_only(path)) {
            return Self::open_to_read(options, path).await;
        }
        let writing = options
            .clone()
            .create()
            .pragma("journal_mode", "wal")
            .pragma("synchronous", "normal")
            .pragma("cache_size", WRITER_CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT_AFTER);
        let writer = Pool::open(writing, 1).map_err(|error| opening(error, path))?;
        if let Found::Nothing = found {
            create(&writer, path, new_head).await?;
        }
        let count = std::thread::available_parallelism().map_or(4, |cores| cores.get() as u32).clamp(4, 16);
        let reading = options.pragma("query_only", "true").pragma("cache_size", READER_CACHE);
        let readers = Pool::new(reading, count);
        Ok(Self { writer: Some(writer), readers, store: StoreUri::Sqlite(path.to_path_buf()), copy: None })
    }

    /// Opens a store that lies where nothing can be written.
    async fn open_to_read(options: Options, path: &Path) -> Result<Self> {
        let readers = Pool::open(reading(options, path), 4).map_err(|error| opening(error, path))?;
        Ok(Self { writer: None, readers, store: StoreUri::Sqlite(path.to_path_buf()), copy: None })
    }

    /// Opens a folder with runs in files, through a copy of it in a database that can only be read. What cannot be read
    /// is left out, with a warning.
    pub(crate) async fn open_folder(folder: &Path, head: Head) -> Result<Self> {
        let file = |source| Error::File { action: "make", path: std::env::temp_dir(), source };
        let place = tempfile::Builder::new().prefix("matraz-mlruns-").tempdir().map_err(file)?;
        let path = place.path().join("mlflow.db");
        let store = StoreUri::Folder(folder.to_path_buf());
        let filled = super::Db::Sqlite(Self::open(&path, head).await?);
        let done = crate::filestore::import(&filled, folder, &store).await;
        filled.close().await;
        for (path, why) in done?.skipped {
            tracing::warn!(path = %path.display(), why, "left out");
        }
        let options = Options::new(&path).pragma("case_sensitive_like", "true");
        let opened = Self::open_to_read(options, &path).await?;
        Ok(Self { store, copy: Some(Arc::new(place)), ..opened })
    }

    /// Whether nothing can be written.
    pub(crate) fn is_read_only(&self) -> bool {
        self.writer.is_none()
    }

    pub(crate) async fn read(&self) -> Result<Session> {
        Ok(Session::sqlite(self.readers.read().await?))
    }

    pub(crate) async fn write(&self) -> Result<Session> {
        let writer = self.writer.as_ref().ok_or_else(|| self.refusal())?;
        Ok(Session::sqlite(writer.write().await?))
    }

    /// Why nothing can be written. Clients of a server see the message alone, so it says what to do.
    fn refusal(&self) -> Error {
        match &self.store {
            StoreUri::Folder(path) => Error::request(
                Code::PermissionDenied,
                format!(
                    "the runs in {0} can only be read; copy them into a database first: `matraz migrate-filestore --source \
                     {0} --target sqlite:///mlflow.db`",
                    path.display()
                ),
            ),
            store => Error::ReadOnly { store: store.clone() },
        }
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }
}

/// The error of a connection that cannot be made.
fn opening(error: rusqlite::Error, path: &Path) -> Error {
    let is_corrupt = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt);
    match Error::from(error) {
        Error::Database(source) if is_corrupt => Error::Damaged { path: path.to_path_buf(), source },
        Error::Database(source) => Error::Open { store: StoreUri::Sqlite(path.to_path_buf()), source },
        other => other,
    }
}

/// Whether the file or its folder, where the log has to go, is on a disk or has permissions that keep us from writing.
fn is_read_only(path: &Path) -> bool {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let refused = |error: std::io::Error| {
        matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
    };
    let file = std::fs::OpenOptions::new().append(true).open(path).err().is_some_and(refused);
    file || tempfile::tempfile_in(folder).err().is_some_and(refused)
}

/// A connection that only reads. A file in write-ahead mode is read together with its log and an index of that, which
/// must be there already or be made; without a log, the file is all there is and does not change. A journal in place of
/// a log was left by a process that was killed while it wrote: what it had begun must be undone before anything is read,
/// and only a connection that may write does that.
fn reading(options: Options, path: &Path) -> Options {
    let has = |end: &str| {
        let mut beside = path.to_path_buf().into_os_string();
        beside.push(end);
        std::fs::metadata(PathBuf::from(beside)).is_ok_and(|meta| meta.len() > 0)
    };
    let is_read_only = is_read_only(path);
    if has("-journal") && !is_read_only {
        return options.pragma("query_only", "true");
    }
    options.read_only(!has("-wal") && is_read_only)
}

/// Looks at a file, and refuses one of a schema that is not read.
async fn inspect(path: &Path) -> Result<Found> {
    match revision(path).await? {
        Some(revision) => {
            Head::of_revision(&revision, &StoreUri::Sqlite(path.to_path_buf())).map(|_| Found::Store)
        }
        None => Ok(Found::Nothing),
    }
}

/// The Alembic revision of a file, looked at through a connection that cannot write; `None` when there is no file or
/// no table in it.
pub(crate) async fn revision(path: &Path) -> Result<Option<String>> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() == 0 => return Ok(None),
        Ok(meta) if !meta.is_file() => {
            return Err(Error::ForeignStore {
                store: StoreUri::Sqlite(path.to_path_buf()),
                found: "it is not a file".to_owned(),
            });
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::File { action: "open", path: path.to_path_buf(), source }),
    }
    let connection = reading(Options::new(path), path).connect().map_err(|error| opening(error, path))?;
    revision_in(&connection, path)
}

/// The Alembic revision of a database, `None` when it holds no table at all.
fn revision_in(connection: &Connection, path: &Path) -> Result<Option<String>> {
    let foreign = |found: &str| Error::ForeignStore {
        store: StoreUri::Sqlite(path.to_path_buf()),
        found: found.to_owned(),
    };
    let tables =
        texts(connection, "SELECT name FROM sqlite_master WHERE type = 'table'").map_err(|error| {
            match error.sqlite_error_code() {
                // The header is not SQLite's.
                Some(rusqlite::ErrorCode::NotADatabase) => foreign("it is not an SQLite database"),
                _ => opening(error, path),
            }
        })?;
    if tables.is_empty() {
        return Ok(None);
    }
    for needed in ["alembic_version", "experiments", "runs"] {
        if !tables.iter().any(|table| table == needed) {
            return Err(foreign(&format!("it has tables, but no table '{needed}'")));
        }
    }
    let revisions =
        texts(connection, "SELECT version_num FROM alembic_version").map_err(|error| opening(error, path))?;
    revisions.into_iter().next().map(Some).ok_or_else(|| foreign("its table 'alembic_version' is empty"))
}

/// The first column of all rows.
fn texts(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// Fills an empty file, unless another process was quicker.
async fn create(writer: &Arc<Pool>, path: &Path, head: Head) -> Result<()> {
    let mut transaction = writer.write().await?;
    match revision_in(transaction.connection()?, path)? {
        Some(revision) => {
            Head::of_revision(&revision, &StoreUri::Sqlite(path.to_path_buf()))?;
        }
        None => transaction.script(head.sqlite())?,
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Db, Statement, StoreUri};

    async fn open(path: &Path) -> Result<Db> {
        Db::open(&StoreUri::Sqlite(path.to_path_buf()), Head::default()).await
    }

    #[tokio::test]
    async fn a_new_store_opens_again_and_keeps_what_was_committed() {
        let folder = tempfile::tempdir().unwrap();
        // A folder that is not there is more likely a slip of the pen.
        assert!(matches!(open(&folder.path().join("sub/x.db")).await, Err(Error::File { .. })));
        assert!(!folder.path().join("sub").exists());
        let path = folder.path().join("x.db");
        let db = open(&path).await.unwrap();
        let mut session = db.write().await.unwrap();
        session
            .run(
                Statement::new("INSERT INTO registered_models (workspace, name) VALUES ('default', $1)")
                    .bind("kept"),
            )
            .await
            .unwrap();
        session.commit().await.unwrap();
        let mut session = db.write().await.unwrap();
        session
            .run(
                Statement::new("INSERT INTO registered_models (workspace, name) VALUES ('default', $1)")
                    .bind("lost"),
            )
            .await
            .unwrap();
        drop(session);
        db.close().await;
        let db = open(&path).await.unwrap();
        let rows = db
            .read()
            .await
            .unwrap()
            .rows(Statement::new("SELECT name FROM registered_models"))
            .await
            .unwrap();
        assert_eq!(rows.iter().map(|row| row.text(0).unwrap()).collect::<Vec<_>>(), ["kept"]);
        db.close().await;
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "a clean close leaves one file"
        );
    }

    #[tokio::test]
    async fn readers_cannot_write_and_like_minds_case() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(&folder.path().join("x.db")).await.unwrap();
        let mut session = db.read().await.unwrap();
        assert!(session.run(Statement::new("DELETE FROM workspaces")).await.is_err());
        let row = session.row(Statement::new("SELECT 'A' LIKE 'a', 'a' LIKE 'a'")).await.unwrap().unwrap();
        assert_eq!((row.int(0).unwrap(), row.int(1).unwrap()), (0, 1));
    }

    #[tokio::test]
    async fn files_that_are_not_ours_are_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text.db");
        std::fs::write(&text, "this is no database, only a text that is long enough to have a header of one")
            .unwrap();
        assert!(matches!(open(&text).await, Err(Error::ForeignStore { .. })));

        let other = folder.path().join("other.db");
        let make = |path: &Path, sql: &str| {
            Connection::open(path).unwrap().execute_batch(sql).unwrap();
        };
        make(&other, "CREATE TABLE songs (name TEXT)");
        let old = folder.path().join("old.db");
        make(
            &old,
            "CREATE TABLE alembic_version (version_num); CREATE TABLE experiments (x); CREATE TABLE runs (x); INSERT INTO alembic_version VALUES ('451aebb31d03')",
        );
        let new = folder.path().join("new.db");
        make(
            &new,
            "CREATE TABLE alembic_version (version_num); CREATE TABLE experiments (x); CREATE TABLE runs (x); INSERT INTO alembic_version VALUES ('abcdefabcdef')",
        );
        for (path, message) in
            [(&other, "no table 'alembic_version'"), (&old, "451aebb31d03"), (&new, "abcdefabcdef")]
        {
            let before = std::fs::read(path).unwrap();
            let error = open(path).await.unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            assert_eq!(std::fs::read(path).unwrap(), before);
        }
        let torn = folder.path().join("torn.db");
        let mut bytes = std::fs::read(&new).unwrap();
        bytes[100..4096].fill(0xff);
        std::fs::write(&torn, &bytes).unwrap();
        assert!(matches!(open(&torn).await, Err(Error::Damaged { path, .. }) if path == torn));
        assert_eq!(std::fs::read(&torn).unwrap(), bytes);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5, "no side files");
    }

    #[tokio::test]
    async fn every_head_can_be_made() {
        for head in [Head::Mlflow317, Head::Mlflow318] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.db");
            let db = Db::open(&StoreUri::Sqlite(path.clone()), head).await.unwrap();
            let row = db
                .read()
                .await
                .unwrap()
                .row(Statement::new("SELECT version_num FROM alembic_version"))
                .await
                .unwrap();
            assert_eq!(row.unwrap().text(0).unwrap(), head.revision());
            db.close().await;
            open(&path).await.unwrap().close().await;
        }
    }
}
