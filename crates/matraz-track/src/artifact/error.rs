//! What can go wrong with artifacts.

use std::io;
use std::path::PathBuf;

use matraz_base::{Explain, Kind};

/// A failure of the artifact store.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// A path that could leave the artifact root, or that no filesystem takes.
    #[error("artifact path {path:?} is not a plain relative path")]
    InvalidPath {
        /// The path as it was sent.
        path: String,
    },
    /// A symbolic link below the root leads out of it.
    #[error("artifact path {path:?} leads out of the artifact root through a symbolic link")]
    OutsideRoot {
        /// The path as it was asked for.
        path: String,
    },
    /// A name that is kept for unfinished uploads.
    #[error("artifact name {name:?} is reserved for unfinished uploads")]
    ReservedName {
        /// The file name.
        name: String,
    },
    /// An upload without a file name.
    #[error("the artifact path has no file name")]
    NoFileName,
    /// Nothing at this path.
    #[error("no such artifact: {path:?}")]
    Missing {
        /// The path below the root.
        path: String,
    },
    /// A folder where a file is needed.
    #[error("artifact path {path:?} is a folder, not a file")]
    IsFolder {
        /// The path below the root.
        path: String,
    },
    /// A file stands where the path needs a folder.
    #[error("a file is in the way of artifact path {path:?}")]
    FileInTheWay {
        /// The path below the root.
        path: String,
    },
    /// The artifact location is not on this machine's disk.
    #[error("artifact location {uri:?} has the scheme {scheme:?}, which this build cannot reach")]
    UnsupportedScheme {
        /// The artifact location.
        uri: String,
        /// Its scheme.
        scheme: String,
    },
    /// The artifact location belongs to the proxy of a server, and none serves artifacts here.
    #[error("artifact location {uri:?} is served by a tracking server, and serving artifacts is off")]
    NotServed {
        /// The artifact location.
        uri: String,
    },
    /// A local artifact location that this server was not told to trust.
    #[error("artifact location {} lies outside the folders that this server serves", folder.display())]
    UntrustedFolder {
        /// The location.
        folder: PathBuf,
    },
    /// The sender broke off.
    #[error("the upload of {path:?} broke off")]
    BrokenUpload {
        /// The path below the root.
        path: String,
        /// What the connection said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb: `read`, `write` …
        action: &'static str,
        /// The local file or folder.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
}

impl ArtifactError {
    /// An operating-system error with what was tried and where.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }
}

impl Explain for ArtifactError {
    fn kind(&self) -> Kind {
        match self {
            Self::InvalidPath { .. }
            | Self::ReservedName { .. }
            | Self::NoFileName
            | Self::IsFolder { .. } => Kind::Usage,
            Self::OutsideRoot { .. } | Self::UntrustedFolder { .. } => Kind::Denied,
            Self::Missing { .. } => Kind::Missing,
            Self::FileInTheWay { .. } => Kind::Conflict,
            Self::UnsupportedScheme { .. } | Self::NotServed { .. } => Kind::Config,
            Self::BrokenUpload { .. } => Kind::Unreachable,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Kind::Denied,
            Self::Io { .. } => Kind::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::InvalidPath { .. } => {
                Some("use a relative path with '/' between names, without '..' and '#'".to_owned())
            }
            Self::OutsideRoot { .. } => {
                Some("remove the symbolic link, or move the artifact root to where it points".to_owned())
            }
            Self::UntrustedFolder { .. } => {
                Some("name the folder as the default artifact root of the server".to_owned())
            }
            Self::NotServed { .. } => {
                Some("set MLFLOW_TRACKING_URI to the server that holds these artifacts".to_owned())
            }
            Self::UnsupportedScheme { .. } => {
                Some("use a local artifact location or a tracking server that proxies artifacts".to_owned())
            }
            _ => None,
        }
    }
}
