//! Why a spool cannot do what it is asked.

use std::io;
use std::path::{Path, PathBuf};

use matraz_base::{Explain, Kind};

use crate::client::ClientError;

/// Why a spool cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another process uses the folder.
    #[error("the spool {} is in use by another process", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder does not hold a spool.
    #[error("there is no spool in {}", dir.display())]
    NoSpool {
        /// The folder.
        dir: PathBuf,
    },
    /// What waits in the folder is for another server.
    #[error("{waiting} calls wait in {} for {server}, not for {asked}", dir.display())]
    OtherServer {
        /// The folder.
        dir: PathBuf,
        /// How many.
        waiting: u64,
        /// The server that they are for.
        server: String,
        /// The server that was asked for.
        asked: String,
    },
    /// The limit of the spool is reached.
    #[error("the spool {} is full: it may hold {} MiB", dir.display(), limit >> 20)]
    Full {
        /// The folder.
        dir: PathBuf,
        /// In bytes.
        limit: u64,
    },
    /// The server does not answer, or answers that it cannot.
    #[error("the tracking server at {url} is away: {why}")]
    Away {
        /// The server.
        url: String,
        /// What happened.
        why: String,
    },
    /// A file of the spool cannot be used.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// A file of the spool does not hold what was written.
    #[error("{} does not hold what was written to it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The local store of the spool fails.
    #[error(transparent)]
    Store(#[from] crate::Error),
    /// The address of the server cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl SpoolError {
    pub(super) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { action, path: path.to_path_buf(), source }
    }
}

impl Explain for SpoolError {
    fn kind(&self) -> Kind {
        match self {
            Self::InUse { .. } | Self::OtherServer { .. } => Kind::Conflict,
            Self::NoSpool { .. } => Kind::Missing,
            Self::Full { .. } => Kind::Denied,
            Self::Away { .. } => Kind::Unreachable,
            Self::File { .. } => Kind::Failed,
            Self::Damaged { .. } => Kind::Corrupt,
            Self::Store(error) => error.kind(),
            Self::Client(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::InUse { .. } => Some("it delivers by itself; wait for it, or end it".into()),
            Self::NoSpool { .. } => Some("give the folder that `matraz spool` named".into()),
            Self::OtherServer { dir, .. } => {
                Some(format!("`matraz sync {}` delivers them; or use another folder", dir.display()))
            }
            Self::Full { dir, .. } => {
                Some(format!("`matraz sync {}` empties it once the server is there", dir.display()))
            }
            Self::Away { .. } => Some("nothing is lost; try again when it is there".into()),
            Self::File { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some space on that disk".into())
            }
            Self::File { .. } | Self::Damaged { .. } => None,
            Self::Store(error) => error.hint(),
            Self::Client(error) => error.hint(),
        }
    }
}
