//! Everything that can go wrong with data and pipelines.

use std::io;
use std::path::{Path, PathBuf};

use matraz_base::{Explain, Kind, Place};

/// Why an operation on a project failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused to act on a path.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The verb: `read`, `write`, `link` …
        action: &'static str,
        /// What it was about.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No folder from here upwards is a project.
    #[error("you are not inside of a DVC repository (checked up to mount point '{}')", checked.display())]
    NotInProject {
        /// The last folder that was looked at.
        checked: PathBuf,
    },
    /// The project is not in a git repository, and was not made to be without one.
    #[error("{} is not in a git repository", root.display())]
    NotInGit {
        /// The root of the project.
        root: PathBuf,
    },
    /// `init` cannot make a project here.
    #[error("failed to initiate DVC - {reason}")]
    Init {
        /// Why not, and what to do.
        reason: String,
    },
    /// A configuration file or a request to change it is wrong.
    #[error("config file error: {message}")]
    Config {
        /// What is wrong.
        message: String,
        /// Where, when it is in a file.
        place: Option<Place>,
    },
    /// A project file (`dvc.yaml`, `dvc.lock`, a `.dvc` file, a parameters file) is wrong.
    #[error("{message}")]
    Definition {
        /// What is wrong.
        message: String,
        /// Where.
        place: Box<Place>,
        /// How to mend it.
        hint: Option<String>,
    },
    /// Something that DVC can and Matraz cannot yet.
    #[error("{what} is not supported yet")]
    NotYet {
        /// The key, option or feature.
        what: String,
        /// Where it was asked for, when in a file.
        place: Option<Box<Place>>,
    },
    /// A pattern in a `.dvcignore` file cannot be understood.
    #[error("the pattern is not understood: {message}")]
    IgnorePattern {
        /// The line.
        place: Place,
        /// What is wrong with it.
        message: String,
    },
    /// A folder of data holds a `.dvcignore` file.
    #[error(".dvcignore file should not be in collected dir path: '{}'", folder.display())]
    IgnoreFileInData {
        /// The folder with the file.
        folder: PathBuf,
    },
    /// A name that is not UTF-8 cannot be written into DVC's files.
    #[error("the name '{}' is not UTF-8", path.display())]
    NotUnicode {
        /// The file.
        path: PathBuf,
    },
    /// A socket, device or the like among the data.
    #[error("'{}' is neither a file nor a folder", path.display())]
    NotData {
        /// Where it is.
        path: PathBuf,
    },
    /// The user interrupted the work.
    #[error("interrupted")]
    Interrupted,
    /// `git` or its repository refused.
    #[error("cannot {action}: {message}")]
    Git {
        /// The verb.
        action: &'static str,
        /// What git said.
        message: String,
    },
}

impl Error {
    /// For `map_err`: an error about `path` while doing `action`.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.as_ref().to_path_buf(), source }
    }

    /// A wrong configuration without a place in a file.
    pub fn config(message: impl Into<String>) -> Self {
        Self::Config { message: message.into(), place: None }
    }
}

impl Explain for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => Kind::Missing,
                io::ErrorKind::PermissionDenied => Kind::Denied,
                io::ErrorKind::AlreadyExists => Kind::Exists,
                io::ErrorKind::Interrupted => Kind::Interrupted,
                _ => Kind::Failed,
            },
            Self::NotInProject { .. } => Kind::Outside,
            Self::NotInGit { .. } => Kind::Missing,
            Self::IgnorePattern { .. } | Self::IgnoreFileInData { .. } => Kind::Config,
            Self::NotUnicode { .. } | Self::NotData { .. } => Kind::Conflict,
            Self::Interrupted => Kind::Interrupted,
            Self::Init { .. } => Kind::Exists,
            Self::Config { .. } | Self::Definition { .. } => Kind::Config,
            Self::NotYet { .. } => Kind::Usage,
            Self::Git { .. } => Kind::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotInProject { .. } => Some("go into a project, or make one with `matraz init`".into()),
            Self::Definition { hint, .. } => hint.clone(),
            Self::IgnoreFileInData { .. } => {
                Some("move its patterns to the .dvcignore beside the tracked folder".into())
            }
            Self::NotInGit { .. } => Some("run `git init`, or set `core.no_scm` to true".into()),
            _ => None,
        }
    }

    fn place(&self) -> Option<&Place> {
        match self {
            Self::Config { place, .. } => place.as_ref(),
            Self::IgnorePattern { place, .. } => Some(place),
            Self::Definition { place, .. } => Some(place),
            Self::NotYet { place, .. } => place.as_deref(),
            _ => None,
        }
    }
}
