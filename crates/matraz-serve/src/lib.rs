//! Model serving: reads MLflow model directories, runs their ONNX graphs and the trees of scikit-learn with code of
//! its own, and answers MLflow's scoring protocol.
//!
//! [`mlmodel`] is the directory's description (flavors, signature), [`onnx`] the file format and the interpreter of
//! tabular models, `sklearn` the trees inside pickles, which are read and never unpickled, `trees` the evaluation of
//! both, [`scoring`] the protocol: [`Model::predict`] answers one request body, and [`scoring::router`] serves a
//! model over HTTP. All other models are answered for by Python processes ([`worker`]).

pub mod error;
pub mod mlmodel;
pub mod onnx;
pub mod scoring;
mod sklearn;
mod trees;
pub mod worker;

pub use error::Error;
pub use scoring::Model;
