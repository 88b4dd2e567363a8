//! The server: the tracking API and the web app in one process.

pub mod accounts;
pub mod admission;
pub mod lineage;
mod listen;
pub mod metrics;
mod patience;
pub mod ui;

pub use listen::{Certificate, serve};

/// The API document of all that the server answers, as JSON.
pub fn document() -> String {
    let beside = lineage::routes::<()>(axum::Router::new()).into_openapi();
    matraz_track::api::router::document(beside)
}
