//! Shipping: the rules that decide whether a model may leave, and later the workflows, images and rollouts that
//! carry it out.
//!
//! A [`gate`] is handed facts and rules and returns verdicts; it reads no store, no repository and no clock, so
//! that the same rules judge a run on a laptop, in CI and in a server.

pub mod gate;
