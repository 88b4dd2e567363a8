//! Experiments: a run of the pipeline kept as a commit beside the branches.
//!
//! An experiment is a commit on top of the one that it started from, named by a reference of DVC's form ([`refs`]); `HEAD`
//! and the branch stay where they are. [`run`] makes one in the user's work tree, [`temp`] in one of its own, [`queue`]
//! later, by workers; [`save`] makes one of what is there.

pub mod apply;
pub mod branch;
pub mod clean;
pub mod diff;
pub mod error;
pub mod list;
pub mod name;
pub mod overrides;
pub mod queue;
pub mod record;
pub mod refs;
pub mod remove;
pub mod run;
pub mod save;
pub mod show;
pub mod start;
pub mod state;
pub mod table;
pub mod temp;
pub mod transfer;

pub use error::ExperimentError;
pub use refs::{ExpRef, Experiment};
pub use start::{Request, Start};
