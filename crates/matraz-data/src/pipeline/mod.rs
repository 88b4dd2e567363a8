//! Pipelines: which stages to run, in which order, and running them.

pub mod changes;
mod command;
pub mod content;
pub mod dag;
pub mod graph;
pub mod limits;
mod listings;
mod locks;
pub mod logs;
pub mod plan;
mod removal;
mod restore;
pub mod run;
pub mod run_cache;
mod save;
pub mod schedule;
mod stage_run;
pub mod watch;
pub mod why;

pub use changes::Changes;
pub use graph::Graph;
pub use limits::Pools;
pub use plan::{Plan, Reach, Request};
pub use run::{OnFailure, Piece, RunOptions, RunReport, run};
pub use run_cache::RunCache;
pub use watch::{Outcome, Unwatched, Watcher};
