//! The REST API: one file per resource, each with its messages, its handlers and its part of the API document.
//!
//! A resource file has `pub(crate) fn routes() -> OpenApiRouter<Service>` with paths from `/2.0/mlflow/…` on;
//! [`router`] serves all of them below `/api` and again below `/ajax-api`.

mod again;
pub mod artifact_proxy;
pub mod artifacts;
pub mod assessments;
pub mod error;
pub mod evaluation_datasets;
pub mod experiments;
pub mod graphql;
pub mod json;
pub mod logged_models;
pub mod metrics;
pub mod model_versions;
pub mod otlp;
pub mod query;
pub mod registered_models;
pub mod roles;
pub mod router;
pub mod run_data;
pub mod run_inputs;
pub mod runs;
pub mod scalar;
pub mod scorers;
pub mod security;
pub mod server_info;
pub mod time;
pub mod trace_links;
pub mod trace_metrics;
pub mod traces;
pub mod traces_v2;
mod unoffered;
pub mod users;
mod web_app;
pub mod webhooks;

pub(crate) use json::fields_of_body;
pub use json::{Answer, Double, Int64, Message, Request};
pub(crate) use query::pairs_of_query;
