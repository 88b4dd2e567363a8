//! The REST API, driven through the router in-process.

#![expect(missing_docs, reason = "test modules")]

mod experiments;
mod fixture;
mod server;
