//! Pipelines: which stages to run, in which order, and running them.

pub mod changes;
pub mod content;
pub mod graph;
pub mod run_cache;
pub mod watch;

pub use changes::Changes;
pub use graph::Graph;
pub use run_cache::RunCache;
pub use watch::{Outcome, Unwatched, Watcher};
