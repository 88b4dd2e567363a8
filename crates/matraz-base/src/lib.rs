//! The ground floor: what every other part of Matraz stands on and what knows no product noun.
//!
//! Errors that explain themselves ([`explain`]), one plain value for everything read from YAML, JSON or TOML
//! ([`value`]), YAML in the dialects of the tools that Matraz replaces ([`yaml`]), files that appear whole or
//! not at all ([`file`]), locks that name their owner ([`lock`]), child processes whose whole tree ends on
//! Ctrl-C ([`process`]) and progress as events ([`progress`]).
//!
//! Nothing here prints, reads the environment or knows the home directory.

pub mod explain;
pub mod file;
pub mod lock;
pub mod process;
pub mod progress;
pub mod value;
pub mod yaml;

pub use explain::{Explain, Failure, Kind, Place};
pub use progress::Progress;
pub use value::{Map, Value};
