//! Why a call of the client failed.

use std::path::{Path, PathBuf};

use matraz_base::{Explain, Kind};

use crate::artifact::ArtifactError;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server refused, with MLflow's error body.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// MLflow's `error_code`.
        code: String,
        /// MLflow's `message`.
        message: String,
    },
    /// An answer that is not what the API promises, so the URL is probably not a tracking server.
    #[error("{url} answered {status} without the JSON of a tracking server")]
    NotTracking {
        /// What was asked.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// No answer.
    #[error("cannot reach the tracking server at {url}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The URL of the server is malformed.
    #[error("{url:?} is not the URL of a tracking server")]
    BadUrl {
        /// As given.
        url: String,
    },
    /// An artifact location or path that cannot be used.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A local file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
}

impl ClientError {
    /// MLflow's error code, when the server gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether the server says that the thing does not exist.
    pub fn is_missing(&self) -> bool {
        self.code() == Some("RESOURCE_DOES_NOT_EXIST")
            || matches!(self, Self::Artifact(ArtifactError::Missing { .. }))
    }

    pub(super) fn file(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File { action, path: path.to_path_buf(), source }
    }
}

impl Explain for ClientError {
    fn kind(&self) -> Kind {
        match self {
            Self::Refused { code, status, .. } => match code.as_str() {
                "RESOURCE_DOES_NOT_EXIST" | "NOT_FOUND" | "ENDPOINT_NOT_FOUND" => Kind::Missing,
                "RESOURCE_ALREADY_EXISTS" | "ALREADY_EXISTS" => Kind::Exists,
                "RESOURCE_CONFLICT" | "ABORTED" | "INVALID_STATE" => Kind::Conflict,
                "UNAUTHENTICATED" | "PERMISSION_DENIED" => Kind::Denied,
                "TEMPORARILY_UNAVAILABLE" | "REQUEST_LIMIT_EXCEEDED" | "RESOURCE_EXHAUSTED" => {
                    Kind::Unreachable
                }
                _ if *status >= 500 => Kind::Failed,
                _ => Kind::Usage,
            },
            Self::NotTracking { .. } | Self::BadUrl { .. } => Kind::Config,
            Self::Unreachable { .. } => Kind::Unreachable,
            Self::Artifact(error) => error.kind(),
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Kind::Missing,
            Self::File { .. } => Kind::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotTracking { .. } | Self::BadUrl { .. } => Some("check MLFLOW_TRACKING_URI".to_owned()),
            Self::Unreachable { .. } => Some("start the server, or check MLFLOW_TRACKING_URI".to_owned()),
            Self::Refused { status: 401, .. } => Some(
                "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
                    .to_owned(),
            ),
            Self::Artifact(error) => error.hint(),
            _ => None,
        }
    }
}
