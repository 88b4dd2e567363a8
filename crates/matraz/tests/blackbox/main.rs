//! The built program, driven as a user drives it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod adopt;
mod bad_input;
mod compare;
mod data;
mod experiments;
mod explain;
mod faults;
mod frame;
mod gate;
mod gc;
mod hostile;
mod killed;
mod lineage;
mod merge;
mod pipeline;
mod queue;
mod recording;
mod reproduce;
mod sources;
mod spool;
mod state;
mod stored_once;
mod tracking;
mod transfer;
mod verify;
mod workers;
mod workspace;
