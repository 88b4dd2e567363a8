//! MLflow's scoring protocol: a [`Model`] answers request bodies, and [`router`] serves one over HTTP.
//!
//! What MLflow's own server answers for the same directory is answered here, with three differences that only
//! turn its failures into answers: tables are answered for models whose outputs have several values a row (as
//! lists), integers are taken for float inputs when there is no signature, and CSV is taken for tensor signatures.

mod answer;
mod csv;
mod enforce;
mod feed;
pub(crate) mod json;
mod model;
mod parquet;
mod python;
mod refusal;
mod request;
mod router;
mod table;

pub use model::Model;
pub use refusal::Refusal;
pub use router::{Options, Scorer, router, router_with};
