// The modules of the REST API's tests, for a test program per database.

mod artifacts;
mod client;
mod evaluation_datasets;
mod experiments;
mod fixture;
mod gc;
mod inputs;
mod logged_models;
mod logging;
mod metrics;
mod older;
mod outage;
mod postgres_server;
mod registry;
mod routes;
mod runs;
mod scorers;
mod search;
mod security;
mod server;
mod spool;
mod traces;
mod users;
mod webhooks;
