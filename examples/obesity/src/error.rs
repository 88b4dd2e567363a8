//! What can go wrong, and what to do about it.

use std::path::PathBuf;

use matraz_base::{Explain, Kind, Place};

/// Why a stage of the example failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments are wrong.
    #[error("{message}")]
    Usage {
        /// What is wrong with them.
        message: String,
        /// How to call the command.
        usage: String,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The command's own output could not be written.
    #[error("cannot write the output: {source}")]
    Output {
        /// Why not.
        source: std::io::Error,
    },
    /// A file is not a CSV table.
    #[error("{} is not a CSV table: {reason}", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        reason: String,
    },
    /// The header lacks a column.
    #[error("{} has no column `{column}`", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The columns that are there.
        found: Vec<String>,
    },
    /// The header names a column twice.
    #[error("{} has the column `{column}` twice", path.display())]
    DuplicateColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// The table has no rows (left).
    #[error("{} has no rows{}", path.display(), if *after_cleaning { " left after cleaning" } else { "" })]
    Empty {
        /// The file.
        path: PathBuf,
        /// Whether there were rows before cleaning.
        after_cleaning: bool,
    },
    /// A cell of a number column holds something else.
    #[error("`{value}` in column `{column}` is not a number")]
    NotANumber {
        /// Where it is.
        place: Box<Place>,
        /// The column.
        column: &'static str,
        /// The cell.
        value: String,
    },
    /// A cell holds a word that the column does not admit.
    #[error("`{value}` is not a value of column `{column}`")]
    UnknownCategory {
        /// Where it is.
        place: Box<Place>,
        /// The column.
        column: &'static str,
        /// The cell.
        value: String,
        /// The words that it admits.
        known: &'static [&'static str],
    },
    /// A row of a cleaned table has no class.
    #[error("the row has no `{}`", crate::schema::TARGET)]
    MissingClass {
        /// Where it is.
        place: Box<Place>,
    },
    /// Cleaning would drop too much.
    #[error("cleaning would drop {dropped} of {rows} rows, more than `max_dropped: {limit}` admits")]
    TooManyDropped {
        /// The raw table.
        path: PathBuf,
        /// Rows that would go.
        dropped: usize,
        /// Rows in the table.
        rows: usize,
        /// The limit, a share of 1.
        limit: f64,
        /// How many for which reason, in words.
        reasons: String,
    },
    /// A class is too small to be split.
    #[error("class `{class}` has {rows} row(s), too few to be split into training and test rows")]
    ClassTooSmall {
        /// The table.
        path: PathBuf,
        /// The class.
        class: &'static str,
        /// Its rows.
        rows: usize,
    },
    /// The parameter file is not YAML.
    #[error("{} is not valid YAML: {message}", place.path.display())]
    ParamsSyntax {
        /// Where the fault is.
        place: Box<Place>,
        /// What is wrong.
        message: String,
    },
    /// The parameter file has a key that means nothing to the example.
    #[error("unknown parameter `{key}`")]
    UnknownParameter {
        /// Where it is.
        place: Box<Place>,
        /// The key.
        key: String,
        /// The keys that exist.
        known: Vec<&'static str>,
    },
    /// A parameter is not there.
    #[error("{} lacks the parameter `{key}`", place.path.display())]
    MissingParameter {
        /// The file.
        place: Box<Place>,
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A parameter has the wrong type or is out of range.
    #[error("parameter `{key}` must be {expected}, not {found}")]
    BadParameter {
        /// Where it is.
        place: Box<Place>,
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// `encoder.json` is not what `features` writes.
    #[error("{} is not an encoder: {reason}", path.display())]
    Encoder {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The model cannot be loaded or run.
    #[error("the model {} does not work: {reason}", path.display())]
    Model {
        /// The model file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Explain for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Usage { .. } => Kind::Usage,
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Kind::Missing,
            Self::Read { .. } | Self::Write { .. } | Self::Output { .. } => Kind::Denied,
            Self::ParamsSyntax { .. }
            | Self::UnknownParameter { .. }
            | Self::MissingParameter { .. }
            | Self::BadParameter { .. } => Kind::Config,
            Self::Csv { .. }
            | Self::MissingColumn { .. }
            | Self::DuplicateColumn { .. }
            | Self::Empty { .. }
            | Self::NotANumber { .. }
            | Self::UnknownCategory { .. }
            | Self::MissingClass { .. }
            | Self::TooManyDropped { .. }
            | Self::ClassTooSmall { .. }
            | Self::Encoder { .. }
            | Self::Model { .. } => Kind::Corrupt,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { usage, .. } => Some(usage.clone()),
            Self::Read { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
                Some(format!("run the stage that writes {}, or check the path", path.display()))
            }
            Self::MissingColumn { found, .. } => Some(format!("its columns are: {}", found.join(", "))),
            Self::NotANumber { .. } => {
                Some("write a number with a decimal point, or leave the cell empty".into())
            }
            Self::UnknownCategory { known, .. } => Some(format!("known values are: {}", known.join(", "))),
            Self::TooManyDropped { reasons, .. } => {
                Some(format!("{reasons}; look at the table, or raise `max_dropped` in the parameters"))
            }
            Self::UnknownParameter { known, .. } => {
                Some(format!("known parameters are: {}", known.join(", ")))
            }
            Self::MissingParameter { key, expected, .. } => {
                Some(format!("add a line `{key}: …` with {expected}"))
            }
            Self::Encoder { .. } => Some("run the stage `features` again".into()),
            Self::Model { .. } => Some("run the stage `train` again".into()),
            _ => None,
        }
    }

    fn place(&self) -> Option<&Place> {
        match self {
            Self::NotANumber { place, .. }
            | Self::UnknownCategory { place, .. }
            | Self::MissingClass { place }
            | Self::ParamsSyntax { place, .. }
            | Self::UnknownParameter { place, .. }
            | Self::MissingParameter { place, .. }
            | Self::BadParameter { place, .. } => Some(place),
            _ => None,
        }
    }
}
