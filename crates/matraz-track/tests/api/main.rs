//! The REST API, driven through the router in-process.

#![allow(clippy::unwrap_used, reason = "these are tests, helpers of tests too")]

mod artifacts;
mod client;
mod experiments;
mod fixture;
mod inputs;
mod logged_models;
mod logging;
mod metrics;
mod registry;
mod runs;
mod search;
mod server;
