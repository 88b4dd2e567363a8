//! The server: the tracking API and the web app in one process.

pub mod accounts;
pub mod admission;
pub mod lineage;
mod listen;
pub mod metrics;
mod patience;
pub mod ui;

pub use listen::{Certificate, serve};
