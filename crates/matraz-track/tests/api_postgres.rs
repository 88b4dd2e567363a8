//! The REST API on PostgreSQL, driven through the router in-process.

#![allow(clippy::unwrap_used, reason = "these are tests, helpers of tests too")]

const ON_POSTGRES: bool = true;

include!("api/modules.rs");
