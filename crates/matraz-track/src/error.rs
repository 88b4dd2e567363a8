//! What can go wrong in tracking, with the code that MLflow's clients look at.

use std::path::PathBuf;

use axum::http::StatusCode;
use matraz_base::{Explain, Kind};

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
    /// The route does not exist.
    EndpointNotFound,
    /// The state of the thing does not allow the request.
    InvalidState,
    /// A policy refuses.
    PermissionDenied,
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
            Self::EndpointNotFound => "ENDPOINT_NOT_FOUND",
            Self::InvalidState => "INVALID_STATE",
            Self::PermissionDenied => "PERMISSION_DENIED",
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
            Self::ResourceDoesNotExist | Self::EndpointNotFound => StatusCode::NOT_FOUND,
            Self::InvalidState | Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
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
    #[error("cannot use '{uri}' as a tracking store")]
    StoreUri {
        /// The URI as given.
        uri: String,
    },
    /// The file is not an SQLite database, or one of another program.
    #[error("{} is not a tracking store: {found}", path.display())]
    ForeignStore {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        found: String,
    },
    /// The database has an older schema than this version reads.
    #[error("the tracking store {} has the older schema revision {revision}", path.display())]
    OlderStore {
        /// The file.
        path: PathBuf,
        /// Its Alembic revision.
        revision: String,
    },
    /// The database has a schema that this version does not know.
    #[error("the tracking store {} has the schema revision {revision}, which this version does not know", path.display())]
    NewerStore {
        /// The file.
        path: PathBuf,
        /// Its Alembic revision.
        revision: String,
    },
    /// The database file cannot be opened.
    #[error("cannot open the tracking store {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the database says.
        source: sqlx::Error,
    },
    /// The database file is damaged.
    #[error("the tracking store {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the database says.
        source: sqlx::Error,
    },
    /// The store can be read and not be written.
    #[error("the tracking store {} can only be read", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// A kind of store that MLflow knows and this version cannot use yet.
    #[error("a tracking store in {scheme} is not supported yet")]
    NotYet {
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
    Busy(#[source] sqlx::Error),
    /// The database refuses the values: a foreign key, a check, a length.
    #[error("the tracking store refuses the values: {0}")]
    Refused(#[source] sqlx::Error),
    /// Any other failure of the database.
    #[error("the tracking store failed: {0}")]
    Database(#[source] sqlx::Error),
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
            Self::Busy(_) => Code::TemporarilyUnavailable,
            Self::Refused(_) => Code::BadRequest,
            Self::StoreUri { .. } | Self::NotYet { .. } => Code::InvalidParameterValue,
            Self::ReadOnly { .. } => Code::PermissionDenied,
            Self::ForeignStore { .. } | Self::OlderStore { .. } | Self::NewerStore { .. } => {
                Code::InvalidState
            }
            Self::Open { .. }
            | Self::Damaged { .. }
            | Self::File { .. }
            | Self::Database(_)
            | Self::Bug(_) => Code::InternalError,
        }
    }

    /// Whether the database refused a row because one with the same key exists.
    pub fn is_duplicate_row(&self) -> bool {
        matches!(self, Self::Refused(sqlx::Error::Database(error)) if error.is_unique_violation())
    }
}

/// What MLflow appends to messages about parameters.
pub const SEE_DOCS: &str = " See the API docs for more information about request parameters.";

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        /// SQLite's primary result codes for a database that another connection holds.
        const BUSY_OR_LOCKED: [i64; 2] = [5, 6];
        if let sqlx::Error::Database(refusal) = &error {
            let primary = refusal.code().and_then(|code| code.parse::<i64>().ok()).map(|code| code & 0xff);
            if primary.is_some_and(|code| BUSY_OR_LOCKED.contains(&code)) {
                return Self::Busy(error);
            }
            if refusal.is_unique_violation()
                || refusal.is_foreign_key_violation()
                || refusal.is_check_violation()
            {
                return Self::Refused(error);
            }
        }
        match error {
            sqlx::Error::PoolTimedOut => Self::Busy(error),
            error => Self::Database(error),
        }
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
                Code::ResourceDoesNotExist => Kind::Missing,
                Code::ResourceAlreadyExists => Kind::Exists,
                Code::InvalidState => Kind::Conflict,
                Code::PermissionDenied => Kind::Denied,
                Code::TemporarilyUnavailable => Kind::Unreachable,
                Code::InternalError => Kind::Bug,
            },
            Self::StoreUri { .. } | Self::NotYet { .. } => Kind::Usage,
            Self::Damaged { .. } => Kind::Corrupt,
            Self::ReadOnly { .. } => Kind::Denied,
            Self::ForeignStore { .. } | Self::OlderStore { .. } | Self::NewerStore { .. } => Kind::Conflict,
            Self::File { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => Kind::Missing,
                std::io::ErrorKind::PermissionDenied => Kind::Denied,
                _ => Kind::Failed,
            },
            Self::Open { .. } => Kind::Denied,
            Self::Busy(_) => Kind::Unreachable,
            Self::Refused(_) => Kind::Usage,
            Self::Database(_) => Kind::Failed,
            Self::Bug(_) => Kind::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::StoreUri { .. } => {
                Some("give a file as sqlite:///relative.db or sqlite:////absolute.db".to_owned())
            }
            Self::NotYet { .. } => {
                Some("use a file, as sqlite:///FILE, or the http:// address of a server".to_owned())
            }
            Self::Damaged { path, .. } => Some(format!(
                "bring it back from a backup; `sqlite3 {} .recover` may save what is left of it",
                path.display()
            )),
            Self::ReadOnly { .. } => Some("the file and its folder must be writable for that".to_owned()),
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("make the folder first, or correct its name".to_owned())
            }
            Self::ForeignStore { .. } => Some("name another file; this one was left untouched".to_owned()),
            Self::OlderStore { path, .. } => Some(format!(
                "back the file up, then upgrade it with `mlflow db upgrade sqlite:///{}`",
                path.display()
            )),
            Self::NewerStore { .. } => {
                Some("open it with the program that wrote it, or update Matraz".to_owned())
            }
            Self::Open { .. } => Some("the file and its folder must be readable and writable".to_owned()),
            Self::Busy(_) => Some("another program holds the database; try again".to_owned()),
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
