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
    /// No Python was found for a model that needs one.
    #[error("the model needs Python, and no {wanted} is on the PATH")]
    NoPython {
        /// `python3`, or `python3.11` when the model names a version.
        wanted: String,
    },
    /// A program of an environment could not be run.
    #[error("cannot run {}", python.display())]
    Python {
        /// The program.
        python: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The Python of an environment cannot import MLflow.
    #[error("the Python {} has no usable mlflow ({reason})", python.display())]
    NoMlflow {
        /// The Python.
        python: PathBuf,
        /// What it says.
        reason: String,
    },
    /// The model could not be loaded in its environment.
    #[error("{} could not load the model in {} ({reason})", python.display(), path.display())]
    NotLoaded {
        /// The model directory.
        path: PathBuf,
        /// The Python.
        python: PathBuf,
        /// What it says.
        reason: String,
    },
    /// A worker process ended before it said anything.
    #[error("the worker process of {} did not start: {how}", python.display())]
    WorkerEnded {
        /// The Python.
        python: PathBuf,
        /// How it ended.
        how: String,
    },
    /// The worker process ended while it worked on a request.
    #[error("the model's Python process ended while it worked on this request; it is started again")]
    WorkerLost,
    /// All worker processes have ended and could not be started again.
    #[error("no Python process of the model is running ({reason})")]
    NoWorker {
        /// Why the last one did not start.
        reason: String,
    },
    /// Python ended with an error while it predicted.
    #[error("{} ended with {code}", python.display())]
    Predict {
        /// The Python.
        python: PathBuf,
        /// Its exit code.
        code: i32,
    },
    /// An environment for a model could not be made.
    #[error("cannot make the environment {}: `{command}` ended with {code}", folder.display())]
    Environment {
        /// Where it was to be.
        folder: PathBuf,
        /// The command that failed.
        command: String,
        /// Its exit code.
        code: i32,
    },
    /// The folder of an environment could not be written to.
    #[error("cannot {action} {}", path.display())]
    EnvironmentFile {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The list of packages that a model needs cannot be used.
    #[error("{}: {reason}", path.display())]
    Requirements {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
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

impl Error {
    /// Whether the model is one that only Python can run, and not a damaged or dangerous one.
    pub fn needs_python(&self) -> bool {
        match self {
            Self::Flavor { .. }
            | Self::OperatorSet { .. }
            | Self::Operator { .. }
            | Self::Signature { .. } => true,
            Self::ModelFile { source, .. } => source.needs_python(),
            _ => false,
        }
    }
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
            Self::NoPython { .. } => Kind::Missing,
            Self::Python { source, .. } if source.kind() == io::ErrorKind::NotFound => Kind::Missing,
            Self::Python { .. } | Self::EnvironmentFile { .. } => Kind::Denied,
            Self::NoMlflow { .. } | Self::Requirements { .. } => Kind::Config,
            Self::NotLoaded { .. }
            | Self::WorkerEnded { .. }
            | Self::WorkerLost
            | Self::NoWorker { .. }
            | Self::Predict { .. }
            | Self::Environment { .. } => Kind::Failed,
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
            Self::Flavor { .. } => Some("`models serve` and `models predict` run it in Python".into()),
            Self::NoPython { .. } => Some(
                "activate the environment that the model was made in, or let one be made with `--env-manager \
                 virtualenv` or `--env-manager uv`"
                    .into(),
            ),
            Self::NoMlflow { .. } => Some(
                "activate the environment that the model was made in, let one be made with `--env-manager virtualenv` \
                 or `--env-manager uv`, or add MLflow to the made one with `--install-mlflow`"
                    .into(),
            ),
            Self::NotLoaded { .. } => {
                Some("its messages stand above; `--env-manager virtualenv` installs what the model lists".into())
            }
            Self::Environment { .. } | Self::Predict { .. } => Some("its messages stand above".into()),
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
