//! The REST API on SQLite, driven through the router in-process.

#![allow(clippy::unwrap_used, reason = "these are tests, helpers of tests too")]

const ON_POSTGRES: bool = false;

include!("api/modules.rs");
