//! ONNX models: the file format ([`proto`]) and an interpreter for what tabular models use.

pub mod proto;
