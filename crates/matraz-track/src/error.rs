//! What can go wrong in tracking, with the code that MLflow's clients look at.

use std::path::PathBuf;

use axum::http::StatusCode;
use matraz_base::{Explain, Kind};

use crate::db::StoreUri;

/// The result of anything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// MLflow's error codes: the `error_code` of an error body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request is wrong and will stay wrong.
    InvalidParameterValue,
    /// The database refuses the values.
    BadRequest,
    /// What is named does not exist.
    ResourceDoesNotExist,
    /// What must be new exists.
    ResourceAlreadyExists,
    /// A file that belongs to something is not there.
    NotFound,
    /// The route does not exist.
    EndpointNotFound,
    /// The state of the thing does not allow the request.
    InvalidState,
    /// A policy refuses.
    PermissionDenied,
    /// Too much at once; the same request will be answered later.
    RequestLimitExceeded,
    /// Known, but not offered by this server.
    NotImplemented,
    /// The same request may succeed later.
    TemporarilyUnavailable,
    /// A fault of the server.
    InternalError,
}

impl Code {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidParameterValue => "INVALID_PARAMETER_VALUE",
            Self::BadRequest => "BAD_REQUEST",
            Self::ResourceDoesNotExist => "RESOURCE_DOES_NOT_EXIST",
            Self::ResourceAlreadyExists => "RESOURCE_ALREADY_EXISTS",
            Self::NotFound => "NOT_FOUND",
            Self::EndpointNotFound => "ENDPOINT_NOT_FOUND",
            Self::InvalidState => "INVALID_STATE",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::RequestLimitExceeded => "REQUEST_LIMIT_EXCEEDED",
            Self::NotImplemented => "NOT_IMPLEMENTED",
            Self::TemporarilyUnavailable => "TEMPORARILY_UNAVAILABLE",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }

    /// The HTTP status that goes with the code.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidParameterValue | Self::BadRequest | Self::ResourceAlreadyExists => {
                StatusCode::BAD_REQUEST
            }
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::ResourceDoesNotExist | Self::NotFound | Self::EndpointNotFound => StatusCode::NOT_FOUND,
            Self::InvalidState | Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::RequestLimitExceeded => StatusCode::TOO_MANY_REQUESTS,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// MLflow's `sqlstate` and `error_class` of the code; some codes have none.
    pub fn class(self) -> Option<(&'static str, &'static str)> {
        /// The caller's fault, and the server's.
        const CALLER: &str = "KAM00";
        const SERVER: &str = "XXM00";
        Some(match self {
            Self::InvalidParameterValue | Self::BadRequest => (CALLER, "INVALID_PARAMETER_VALUE"),
            Self::ResourceDoesNotExist | Self::NotFound | Self::EndpointNotFound => {
                (CALLER, "RESOURCE_NOT_FOUND")
            }
            Self::ResourceAlreadyExists => (CALLER, "RESOURCE_ALREADY_EXISTS"),
            Self::PermissionDenied => (CALLER, "PERMISSION_DENIED"),
            Self::InvalidState | Self::InternalError | Self::TemporarilyUnavailable => {
                (SERVER, "CLIENT_INTERNAL_ERROR")
            }
            Self::RequestLimitExceeded | Self::NotImplemented => return None,
        })
    }
}

/// Why a tracking operation failed. Messages of [`Error::Request`] are written for MLflow's clients.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request that is refused: the code says why in MLflow's terms.
    #[error("{message}")]
    Request {
        /// MLflow's error code.
        code: Code,
        /// The message for the client.
        message: String,
    },

    /// The URI of the store has a scheme or a form that is not known.
    #[error("cannot use '{uri}' as a tracking store{}", why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    StoreUri {
        /// The URI without its password.
        uri: String,
        /// What is wrong with it.
        why: Option<String>,
    },
    /// The file is not an SQLite database, or the database is one of another program.
    #[error("{store} is not a tracking store: {found}")]
    ForeignStore {
        /// The store.
        store: StoreUri,
        /// What was found instead.
        found: String,
    },
    /// The database has an older schema than this version reads.
    #[error("the tracking store {store} has the older schema revision {revision}")]
    OlderStore {
        /// The store.
        store: StoreUri,
        /// Its Alembic revision.
        revision: String,
    },
    /// The database has a schema that this version does not know.
    #[error(
        "the tracking store {store} has the schema revision {revision}, which this version does not know"
    )]
    NewerStore {
        /// The store.
        store: StoreUri,
        /// Its Alembic revision.
        revision: String,
    },
    /// The database has a schema from before those that are upgraded.
    #[error("the tracking store {store} has the schema revision {revision}, which is too old to be upgraded")]
    TooOldStore {
        /// The store.
        store: StoreUri,
        /// Its Alembic revision.
        revision: String,
    },
    /// Another program changed the schema at the same time.
    #[error("another program is upgrading the tracking store {store}")]
    Conflict {
        /// The store.
        store: StoreUri,
    },
    /// There is no folder of runs.
    #[error("there are no runs in files in {}", path.display())]
    NoFilestore {
        /// The folder that was named.
        path: PathBuf,
    },
    /// A database into which a folder is to be copied holds something.
    #[error("the tracking store {store} is not empty: its table '{table}' has {count} rows")]
    NotEmpty {
        /// The store.
        store: StoreUri,
        /// The table.
        table: &'static str,
        /// How many rows it has.
        count: i64,
    },
    /// The copy that must be there before an upgrade cannot be made.
    #[error("cannot back up the tracking store {store}: {why}")]
    NoBackup {
        /// The store.
        store: StoreUri,
        /// Why not.
        why: String,
    },
    /// The database cannot be opened.
    #[error("cannot open the tracking store {store}")]
    Open {
        /// The store.
        store: StoreUri,
        /// What the database says.
        source: DriverError,
    },
    /// The database file is damaged.
    #[error("the tracking store {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the database says.
        source: DriverError,
    },
    /// The store can be read and not be written.
    #[error("the tracking store {store} can only be read")]
    ReadOnly {
        /// The store.
        store: StoreUri,
    },
    /// A kind of store that MLflow knows and Matraz does not.
    #[error("a tracking store in {scheme} is not supported")]
    UnsupportedStore {
        /// The scheme of the address; the rest may hold a password.
        scheme: String,
    },
    /// A file or folder of the store cannot be used.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as a verb: "read", "make".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The database did not answer in time or is locked by another program.
    #[error("the tracking store is busy")]
    Busy(#[source] DriverError),
    /// The database cannot be reached, is going down, or cannot write. The same request may succeed later.
    #[error("the tracking store cannot be used at the moment: {0}")]
    Unavailable(#[source] DriverError),
    /// The database refuses the values: a foreign key, a check, a length.
    #[error("the tracking store refuses the values: {0}")]
    Refused(#[source] DriverError),
    /// Any other failure of the database.
    #[error("the tracking store failed: {0}")]
    Database(#[source] DriverError),
    /// Something that must not happen.
    #[error("{0}")]
    Bug(String),
}

impl Error {
    /// A refused request with any code.
    pub fn request(code: Code, message: impl Into<String>) -> Self {
        Self::Request { code, message: message.into() }
    }

    /// `INVALID_PARAMETER_VALUE`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::request(Code::InvalidParameterValue, message)
    }

    /// `RESOURCE_DOES_NOT_EXIST`.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::request(Code::ResourceDoesNotExist, message)
    }

    /// `RESOURCE_ALREADY_EXISTS`.
    pub fn exists(message: impl Into<String>) -> Self {
        Self::request(Code::ResourceAlreadyExists, message)
    }

    /// The error for a required parameter that was not sent.
    pub fn required(parameter: &str) -> Self {
        Self::invalid(format!("Missing value for required parameter '{parameter}'.{SEE_DOCS}"))
    }

    /// The code under which a client learns of the error.
    pub fn code(&self) -> Code {
        match self {
            Self::Request { code, .. } => *code,
            Self::Busy(_) | Self::Unavailable(_) => Code::TemporarilyUnavailable,
            Self::Refused(_) => Code::BadRequest,
            Self::StoreUri { .. } | Self::UnsupportedStore { .. } => Code::InvalidParameterValue,
            Self::ReadOnly { .. } => Code::PermissionDenied,
            Self::ForeignStore { .. }
            | Self::OlderStore { .. }
            | Self::NewerStore { .. }
            | Self::TooOldStore { .. }
            | Self::Conflict { .. }
            | Self::NoFilestore { .. }
            | Self::NotEmpty { .. }
            | Self::NoBackup { .. } => Code::InvalidState,
            Self::Open { .. }
            | Self::Damaged { .. }
            | Self::File { .. }
            | Self::Database(_)
            | Self::Bug(_) => Code::InternalError,
        }
    }

    /// Whether the database refused a row because one with the same key exists.
    pub fn is_duplicate_row(&self) -> bool {
        match self {
            Self::Refused(DriverError::Postgres(sqlx::Error::Database(error))) => error.is_unique_violation(),
            // A unique index, or the primary key.
            Self::Refused(DriverError::Sqlite(error)) => matches!(extended_code(error), 2067 | 1555),
            _ => false,
        }
    }
}

/// What MLflow appends to messages about parameters.
pub const SEE_DOCS: &str = " See the API docs for more information about request parameters.";

/// What the driver of a database says.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL, or the way to it.
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
    /// All connections are taken by other requests.
    #[error("no connection was free in time")]
    NoTurn,
    /// The store is being closed.
    #[error("it is closed")]
    Closed,
    /// A value is missing where there is always one.
    #[error("column {column} of a row is NULL")]
    Null {
        /// From 0.
        column: usize,
    },
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let meaning = match meaning_of_sqlite(extended_code(&error)) {
            // More values than a statement takes; SQLite has no code for it.
            Meaning::Other if error.to_string().contains("too many SQL variables") => Meaning::Refused,
            meaning => meaning,
        };
        Self::of_driver(meaning, error.into())
    }
}

/// SQLite's code, 0 for a fault that did not come from there.
fn extended_code(error: &rusqlite::Error) -> i32 {
    error.sqlite_error().map_or(0, |fault| fault.extended_code)
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let meaning = match &error {
            sqlx::Error::Database(refusal) => meaning_of_sqlstate(&refusal.code().unwrap_or_default()),
            sqlx::Error::PoolTimedOut => Meaning::Busy,
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Meaning::Unavailable,
            // More values than a statement takes.
            sqlx::Error::Protocol(why) if why.contains("too many arguments") => Meaning::Refused,
            _ => Meaning::Other,
        };
        Self::of_driver(meaning, error.into())
    }
}

impl Error {
    fn of_driver(meaning: Meaning, error: DriverError) -> Self {
        match meaning {
            Meaning::Busy => Self::Busy(error),
            Meaning::Unavailable => Self::Unavailable(error),
            Meaning::Refused => Self::Refused(error),
            Meaning::Other => Self::Database(error),
        }
    }
}

/// What a database means by an error, as far as a client acts on it.
enum Meaning {
    Busy,
    Unavailable,
    Refused,
    Other,
}

fn meaning_of_sqlite(code: i32) -> Meaning {
    // The primary result code is in the lowest byte.
    match code & 0xff {
        5 | 6 => Meaning::Busy,
        // A disk that fails, is full, or lost the file.
        10 | 13 | 14 => Meaning::Unavailable,
        // Too big, a constraint, a wrong type.
        18..=20 => Meaning::Refused,
        _ => Meaning::Other,
    }
}

fn meaning_of_sqlstate(code: &str) -> Meaning {
    match code {
        // A serialization failure, a deadlock, a lock that was not given in time.
        "40001" | "40P01" | "55P03" => Meaning::Busy,
        // Shutting down, starting up, cancelled; a standby, or a transaction that may not write.
        _ if code.starts_with("57") || code == "25006" => Meaning::Unavailable,
        // The connection; out of disk, memory or connections; the system.
        _ if ["08", "53", "58"].iter().any(|class| code.starts_with(class)) => Meaning::Unavailable,
        // A value that does not fit its column, a constraint.
        _ if code.starts_with("22") || code.starts_with("23") => Meaning::Refused,
        _ => Meaning::Other,
    }
}

impl Explain for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Request { code, .. } => match code {
                Code::InvalidParameterValue
                | Code::BadRequest
                | Code::EndpointNotFound
                | Code::NotImplemented => Kind::Usage,
                Code::ResourceDoesNotExist | Code::NotFound => Kind::Missing,
                Code::ResourceAlreadyExists => Kind::Exists,
                Code::InvalidState => Kind::Conflict,
                Code::PermissionDenied => Kind::Denied,
                Code::RequestLimitExceeded | Code::TemporarilyUnavailable => Kind::Unreachable,
                Code::InternalError => Kind::Bug,
            },
            Self::StoreUri { .. } | Self::UnsupportedStore { .. } => Kind::Usage,
            Self::Damaged { .. } => Kind::Corrupt,
            Self::ReadOnly { .. } => Kind::Denied,
            Self::ForeignStore { .. }
            | Self::OlderStore { .. }
            | Self::NewerStore { .. }
            | Self::TooOldStore { .. }
            | Self::Conflict { .. } => Kind::Conflict,
            Self::NoBackup { .. } => Kind::Failed,
            Self::NoFilestore { .. } => Kind::Missing,
            Self::NotEmpty { .. } => Kind::Exists,
            Self::File { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => Kind::Missing,
                std::io::ErrorKind::PermissionDenied => Kind::Denied,
                _ => Kind::Failed,
            },
            Self::Open { .. } => Kind::Denied,
            Self::Busy(_) | Self::Unavailable(_) => Kind::Unreachable,
            Self::Refused(_) => Kind::Usage,
            Self::Database(_) => Kind::Failed,
            Self::Bug(_) => Kind::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::StoreUri { .. } => {
                Some("give a file as sqlite:///relative.db or sqlite:////absolute.db, or postgresql://user@host/database".to_owned())
            }
            Self::UnsupportedStore { .. } => {
                Some("use sqlite:///FILE, postgresql://user@host/database, or the http:// address of a server".to_owned())
            }
            Self::Damaged { path, .. } => Some(format!(
                "bring it back from a backup; `sqlite3 {} .recover` may save what is left of it",
                path.display()
            )),
            Self::ReadOnly { .. } => Some("the file and its folder must be writable for that".to_owned()),
            Self::Open { store: StoreUri::Postgres(_), .. } => {
                Some("check address, user and password, and that the server runs and has the database".to_owned())
            }
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("make the folder first, or correct its name".to_owned())
            }
            Self::ForeignStore { .. } => Some("name another one; this one was left untouched".to_owned()),
            Self::OlderStore { store, .. } => {
                Some(format!("upgrade it with `matraz db upgrade {}`", store.shown()))
            }
            Self::TooOldStore { .. } => {
                Some("upgrade it with the newest MLflow 2 first: `mlflow db upgrade`".to_owned())
            }
            Self::NoFilestore { .. } => {
                Some("name the folder mlruns, or the one that holds it".to_owned())
            }
            Self::NotEmpty { .. } => Some("name a new database".to_owned()),
            Self::NoBackup { .. } => Some("back it up yourself, then say --no-backup".to_owned()),
            Self::NewerStore { .. } => {
                Some("open it with the program that wrote it, or update Matraz".to_owned())
            }
            Self::Open { .. } => Some("the file and its folder must be readable and writable".to_owned()),
            Self::Busy(_) => Some("another program holds the database; try again".to_owned()),
            Self::Unavailable(_) => Some("try again when the database is there".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_mlflows_names_and_statuses() {
        for (code, name, status) in [
            (Code::InvalidParameterValue, "INVALID_PARAMETER_VALUE", 400),
            (Code::ResourceDoesNotExist, "RESOURCE_DOES_NOT_EXIST", 404),
            (Code::ResourceAlreadyExists, "RESOURCE_ALREADY_EXISTS", 400),
            (Code::InvalidState, "INVALID_STATE", 500),
            (Code::NotImplemented, "NOT_IMPLEMENTED", 501),
            (Code::TemporarilyUnavailable, "TEMPORARILY_UNAVAILABLE", 503),
        ] {
            assert_eq!((code.name(), code.status().as_u16()), (name, status));
        }
    }
}
