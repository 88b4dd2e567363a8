//! The saved model: one ONNX graph from the raw columns to the class, in a directory that MLflow knows.

mod ask;
mod directory;
mod graph;

pub use ask::{Answer, ask};
pub use directory::{ONNX_FILE, write};
pub use graph::{LABEL, PROBABILITIES, onnx};
