//! Models that only Python can load: worker processes in the model's environment answer for them.
//!
//! This program reads no pickle. A [`Pool`] starts `worker.py` with the Python of an environment
//! ([`environment`]), hands every request body over as it came, and sends the answer on; the `mlflow` of that
//! environment reads the request and writes the answer.

pub mod environment;
mod frame;
mod pool;
mod process;

pub use pool::{Answer, Pool};
pub use process::Worker;
