//! What can go wrong between a model directory and an answer.

use std::io;
use std::path::PathBuf;

use matraz_base::{Explain, Kind, Place};

/// An error of model loading or scoring.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the model could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A model file that the interpreter cannot use.
    #[error("cannot use the model file {}", path.display())]
    ModelFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<Error>,
    },
    /// The description of a model directory is wrong.
    #[error("{place} is no valid model description: {reason}")]
    MlModel {
        /// Where.
        place: Place,
        /// What is wrong.
        reason: String,
    },
    /// The model is of a flavor that is not run natively.
    #[error("the model in {} is of the flavor `{flavor}`, which only Python can load", path.display())]
    Flavor {
        /// The model directory.
        path: PathBuf,
        /// The flavor, as its loader calls it (`sklearn`, `xgboost`, `pyfunc.model`, …).
        flavor: String,
    },
    /// The description names a model file that is not in the directory.
    #[error("the model in {} names the file `{path}`, which is outside of its directory", directory.display())]
    Outside {
        /// The model directory.
        directory: PathBuf,
        /// The path as written.
        path: String,
    },
    /// The signature promises what the native scorer cannot feed to a graph.
    #[error("the signature of the model in {}: {reason}", path.display())]
    Signature {
        /// The model directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The bytes are no ONNX model.
    #[error("not an ONNX model: {reason}")]
    NotOnnx {
        /// What is wrong with them.
        reason: String,
    },
    /// The graph contradicts itself or lacks a part.
    #[error("the ONNX graph is malformed: {reason}")]
    Graph {
        /// What is wrong with it.
        reason: String,
    },
    /// The model is written for operator sets that the interpreter does not know.
    #[error(
        "the model needs version {version} of the operator set `{domain}`, known are {oldest} to {newest}"
    )]
    OperatorSet {
        /// The domain (`ai.onnx`, `ai.onnx.ml`, …).
        domain: String,
        /// The version asked for.
        version: i64,
        /// The oldest version known.
        oldest: i64,
        /// The newest version known.
        newest: i64,
    },
    /// The interpreter lacks an operator.
    #[error("node `{node}`: operator `{operator}` of domain `{domain}` is not supported")]
    Operator {
        /// The node's name.
        node: String,
        /// The operator.
        operator: String,
        /// Its domain.
        domain: String,
    },
    /// The attributes or inputs of a node are not what its operator demands.
    #[error("node `{node}` ({operator}): {reason}")]
    Node {
        /// The node's name.
        node: String,
        /// The operator.
        operator: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value handed to the model does not fit the model's declared input.
    #[error("input `{input}`: {reason}")]
    Input {
        /// Name of the input.
        input: String,
        /// What is wrong with the value.
        reason: String,
    },
    /// A node could not work on the given values.
    #[error("node `{node}` ({operator}) failed: {reason}")]
    Run {
        /// The node's name.
        node: String,
        /// The operator.
        operator: String,
        /// Why.
        reason: String,
    },
}

impl Explain for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Kind::Missing,
            Self::Read { .. } => Kind::Denied,
            Self::ModelFile { source, .. } => source.kind(),
            Self::NotOnnx { .. } | Self::Graph { .. } | Self::Node { .. } => Kind::Corrupt,
            Self::MlModel { .. } => Kind::Corrupt,
            Self::Outside { .. } => Kind::Denied,
            Self::OperatorSet { .. }
            | Self::Operator { .. }
            | Self::Flavor { .. }
            | Self::Signature { .. } => Kind::Config,
            Self::Input { .. } | Self::Run { .. } => Kind::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::ModelFile { source, .. } => source.hint(),
            Self::OperatorSet { domain, newest, .. } => {
                Some(format!("export the model with `{domain}` at version {newest} or below (`target_opset`)"))
            }
            Self::Operator { .. } => Some(
                "the built-in interpreter runs tabular models; serve this one with a Python environment that has \
                 onnxruntime"
                    .into(),
            ),
            Self::Flavor { flavor, .. } => Some(format!(
                "export it to ONNX ({}) and save it with `mlflow.onnx`, or serve it with Python's `mlflow models \
                 serve`",
                match flavor.as_str() {
                    "sklearn" => "skl2onnx",
                    "xgboost" | "lightgbm" | "catboost" => "onnxmltools",
                    "pytorch" => "torch.onnx",
                    _ => "skl2onnx, onnxmltools, torch.onnx",
                }
            )),
            Self::Outside { .. } => {
                Some("copy the file into the directory; links that lead out of it are not followed".into())
            }
            _ => None,
        }
    }

    fn place(&self) -> Option<&Place> {
        match self {
            Self::MlModel { place, .. } => Some(place),
            _ => None,
        }
    }
}
