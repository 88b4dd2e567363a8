//! Pipelines: which stages to run, in which order, and running them.

pub mod graph;
pub mod watch;

pub use graph::Graph;
pub use watch::{Outcome, Unwatched, Watcher};
