//! The numbers, parameters and plots of a project, now and at commits, and how they differ.

pub mod data;
pub mod diff;
pub mod metrics;
pub mod params;
pub mod plots;
