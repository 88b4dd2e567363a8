//! The REST API, driven through the router in-process.

mod experiments;
mod fixture;
mod server;
