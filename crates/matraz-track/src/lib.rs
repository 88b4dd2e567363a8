//! Tracking: experiments, runs, metrics, the model registry and artifacts, over MLflow's SQL schema and REST API.
//!
//! A [`Service`] owns one store (the database) and one artifact root and hands out an axum router that a stock
//! MLflow client talks to. Rules of the entities are in the file named after the entity ([`experiment`], [`run`],
//! [`metric`], …), their SQL in [`db`], filter and order expressions in [`search`], the routes in [`api`].
//!
//! Nothing here prints, reads the environment or knows the working directory.

pub mod api;
pub mod artifact;
pub mod assessment;
pub mod auth;
pub mod batch;
pub mod client;
pub mod dataset;
pub mod db;
pub mod error;
pub mod evaluation_dataset;
pub mod experiment;
pub mod filestore;
pub mod gc;
pub mod graphql;
pub mod journal;
pub mod logged_model;
pub mod metric;
mod model_source;
pub mod model_version;
mod name;
pub mod param;
mod python;
pub mod registered_model;
pub mod run;
mod run_name;
pub mod scorer;
pub mod search;
pub mod service;
pub mod spool;
pub mod tag;
pub mod trace;
pub mod webhook;

pub use error::{Code, Error, Result};
pub use model_source::ModelUri;
pub use service::{Service, ServiceOptions};
