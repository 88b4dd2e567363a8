//! Bytes at a URL: where caches, artifacts and models are kept outside the project.
//!
//! A [`Location`] is the parsed address, a [`Store`] the place itself. Items have keys, relative paths with `/`. An
//! item appears whole or not at all: it gets its name when it is complete, and its length is compared with what the
//! sender announced. At present a store is a folder of this machine; other schemes are refused by
//! name, so that nothing is written to a folder called `s3:`.

mod error;
mod folder;
mod location;
mod newborn;
mod nursery;

pub use error::Error;
pub use folder::{Committed, Item, Pending, Store};
pub use location::Location;
pub use newborn::Newborn;
pub use nursery::Nursery;

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
