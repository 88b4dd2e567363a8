//! Model serving: reads MLflow model directories, runs their ONNX graphs with an interpreter of its own, and
//! answers MLflow's scoring protocol.
//!
//! [`mlmodel`] is the directory's description (flavors, signature), [`onnx`] the file format and the interpreter of
//! tabular models, [`scoring`] the protocol: [`Model::predict`] answers one request body, and
//! [`scoring::router`] serves a model over HTTP. Models of other flavors are answered for by Python processes
//! ([`worker`]).

pub mod error;
pub mod mlmodel;
pub mod onnx;
pub mod scoring;
pub mod worker;

pub use error::Error;
pub use scoring::Model;
