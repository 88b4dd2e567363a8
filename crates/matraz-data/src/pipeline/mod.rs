//! Pipelines: which stages to run, in which order, and running them.

pub mod changes;
mod command;
pub mod content;
pub mod dag;
pub mod graph;
mod locks;
pub mod plan;
pub mod run;
pub mod run_cache;
mod save;
pub mod watch;

pub use changes::Changes;
pub use command::log_path;
pub use graph::Graph;
pub use plan::{Plan, Reach, Request};
pub use run::{OnFailure, RunOptions, RunReport, run};
pub use run_cache::RunCache;
pub use watch::{Outcome, Unwatched, Watcher};
