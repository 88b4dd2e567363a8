//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};

use matraz_base::{Explain, Kind};

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A scheme that exists, but that this version cannot reach.
    #[error("the scheme '{scheme}' of '{url}' is not supported yet")]
    Unsupported {
        /// `s3`, `gs` …
        scheme: String,
        /// The whole address.
        url: String,
    },
    /// The address makes no sense.
    #[error("'{url}' is not a location: {reason}")]
    NotALocation {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A key that would lead out of the store.
    #[error("'{key}' is not a name inside a store")]
    BadKey {
        /// The key.
        key: String,
    },
    /// There is no such item.
    #[error("there is no '{key}' in {store}")]
    Missing {
        /// The key.
        key: String,
        /// The address of the store.
        store: String,
    },
    /// An item has not the length that was announced.
    #[error("'{key}' in {store} should have {expected} bytes and has {found}")]
    WrongSize {
        /// The key.
        key: String,
        /// The address of the store.
        store: String,
        /// Bytes announced.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// What it was about.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: an error about `path` while doing `action`.
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.as_ref().to_path_buf(), source }
    }
}

impl Explain for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Unsupported { .. } => Kind::Unusable,
            Self::NotALocation { .. } => Kind::Settings,
            Self::BadKey { .. } => Kind::Denied,
            Self::Missing { .. } => Kind::Missing,
            Self::WrongSize { .. } => Kind::Corrupt,
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => Kind::Missing,
                io::ErrorKind::PermissionDenied => Kind::Denied,
                _ => Kind::Failed,
            },
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unsupported { .. } => {
                Some("use a path of this machine, or a mounted network folder, for now".into())
            }
            _ => None,
        }
    }
}
