//! The server: the tracking API and the web app in one process.

mod listen;
pub mod ui;

pub use listen::serve;
