//! The built program, driven as a user drives it.

mod bad_input;
mod data;
mod frame;
mod gate;
mod recording;
mod workspace;
