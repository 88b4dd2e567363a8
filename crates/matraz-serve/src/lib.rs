//! Model serving: reads MLflow model directories, runs their ONNX graphs with an interpreter of its own, and
//! answers MLflow's scoring protocol.
//!
//! [`onnx`] is the interpreter of tabular models and the format's messages.

pub mod error;
pub mod onnx;

pub use error::Error;
