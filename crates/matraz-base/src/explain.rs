//! What an error must be able to say: its kind, the place of the fault and the way out.
//!
//! Libraries define `thiserror` enums and implement [`Explain`] for them; the command line and the HTTP layer
//! each render any of them once, and map the [`Kind`] to an exit code or a status by one table.

use std::fmt;
use std::path::{Path, PathBuf};

/// The class of an error: what the user can do about it, not where it arose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The command line or the request is malformed.
    Usage,
    /// A file that the user wrote (pipeline, parameters, gate) is wrong.
    Config,
    /// The user's files are such that nothing can be made of them.
    Unusable,
    /// The settings of the tool itself (`.dvc/config`, a remote, credentials) are wrong.
    Settings,
    /// The command was not called inside a project.
    Outside,
    /// Something named does not exist.
    Missing,
    /// Something that must be new exists already.
    Exists,
    /// The state on disk or in the store contradicts the request.
    Conflict,
    /// The operating system or a policy refuses.
    Denied,
    /// A service or a lock cannot be reached now; the same request may succeed later.
    Unreachable,
    /// A child process failed.
    Failed,
    /// Stored bytes are not what they must be.
    Corrupt,
    /// The user interrupted the work.
    Interrupted,
    /// A fault of Matraz itself.
    Bug,
}

/// Where in a file a fault is. Lines and columns count from 1; a column counts characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1; 0 when only the file is known.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters the caret marks; at least 1.
    pub width: usize,
    /// The text of the line, when it was at hand.
    pub excerpt: Option<String>,
}

impl Place {
    /// A place known by its file alone.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), line: 0, column: 0, width: 1, excerpt: None }
    }

    /// A place inside `source`, the text of the file at `path`. A fault at the end of the file, where there is no
    /// line any more, is shown after its last line.
    pub fn at(path: impl Into<PathBuf>, source: &str, line: usize, column: usize, width: usize) -> Self {
        let lines = source.lines().count();
        let (line, column) = match source.lines().last() {
            Some(last) if line > lines => (lines, last.chars().count() + 1),
            _ => (line, column),
        };
        let excerpt = line.checked_sub(1).and_then(|n| source.lines().nth(n)).map(str::to_owned);
        Self { path: path.into(), line, column, width: width.max(1), excerpt }
    }

    /// The same place with the path shown relative to `base` when it lies below it.
    pub fn relative_to(mut self, base: &Path) -> Self {
        if let Ok(short) = self.path.strip_prefix(base) {
            self.path = short.to_path_buf();
        }
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        Ok(())
    }
}

/// An error that can be shown to a person.
///
/// `Display` is the one-line message, lower case, without a full stop; `source()` gives causes.
pub trait Explain: std::error::Error + Send + Sync + 'static {
    /// The class of the error.
    fn kind(&self) -> Kind;
    /// One sentence that says how to mend it.
    fn hint(&self) -> Option<String> {
        None
    }
    /// Where the fault is.
    fn place(&self) -> Option<&Place> {
        None
    }
}

/// Any explained error, boxed: what commands return. `?` converts every [`Explain`] type into it.
pub struct Failure(pub Box<dyn Explain>);

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
