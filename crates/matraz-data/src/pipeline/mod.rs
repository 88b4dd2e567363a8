//! Pipelines: which stages to run, in which order, and running them.

pub mod graph;

pub use graph::Graph;
