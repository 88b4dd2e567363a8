//! The REST API, driven through the router in-process.

#![allow(clippy::unwrap_used, reason = "these are tests, helpers of tests too")]

mod experiments;
mod fixture;
mod inputs;
mod logging;
mod metrics;
mod runs;
mod search;
mod server;
