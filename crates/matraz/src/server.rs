//! The server: the tracking API and the web app in one process.

pub mod accounts;
mod listen;
pub mod ui;

pub use listen::serve;
