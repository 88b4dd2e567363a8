//! ONNX models: the file format ([`proto`]) and an interpreter for what tabular models use.
//!
//! [`load`] reads and checks a file; [`Model::run`] evaluates a batch. A model that passed the check runs every
//! operator that it names; one that needs more is refused with the node's and the operator's name. Results are
//! those of onnxruntime up to the order of floating-point sums.

mod attributes;
mod compose;
mod graph;
mod operators;
pub mod proto;
mod tensor;
mod wire;

pub use graph::{Model, Port, PortKind, load, parse};
pub(crate) use tensor::show_shape;
pub use tensor::{Data, Element, Labels, MAX_ELEMENTS, Tensor, Value};
