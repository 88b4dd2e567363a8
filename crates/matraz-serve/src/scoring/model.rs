//! A model directory that is ready to answer.

use std::path::Path;

use super::refusal::Refusal;
use super::table::{Cells, Payload};
use super::{answer, enforce, feed, request};
use crate::Error;
use crate::mlmodel::{ColumnSpec, ColumnType, MlModel, Schema};
use crate::onnx;
use crate::sklearn::Predictor;

/// A loaded model: its description and what computes. One model serves any number of threads.
#[derive(Debug)]
pub struct Model {
    description: MlModel,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    /// An ONNX graph.
    Graph(onnx::Model),
    /// Trees of scikit-learn. The signature has columns for all their features.
    Trees(Predictor),
}

impl Model {
    /// Loads the model directory `directory`. Refuses what cannot be run here, with the reason.
    pub fn load(directory: &Path) -> Result<Self, Error> {
        let description = MlModel::read(directory)?;
        let engine = match description.loader_module.as_deref() {
            Some("mlflow.onnx") => {
                let graph = onnx::load(&description.model_file("model.onnx")?)?;
                if let Some(inputs) = &description.signature.inputs
                    && let Some(reason) = unsupported(inputs)
                {
                    return Err(Error::Signature { path: directory.to_path_buf(), reason });
                }
                Engine::Graph(graph)
            }
            Some("mlflow.sklearn") => Engine::Trees(trees(&description)?),
            _ => return Err(description.foreign()),
        };
        Ok(Self { description, engine })
    }

    /// What `MLmodel` says.
    pub fn description(&self) -> &MlModel {
        &self.description
    }

    /// Whether the model is a pickle of scikit-learn, which Python could run as well.
    pub fn is_pickled(&self) -> bool {
        matches!(self.engine, Engine::Trees(_))
    }

    /// Answers one request body of the scoring protocol (JSON, CSV or Parquet) with JSON text.
    pub fn predict(&self, body: &[u8], content_type: &str) -> Result<String, Refusal> {
        let signature = &self.description.signature;
        let request = request::read(body, content_type, signature)?;
        let shown = request.payload.describe();
        let payload = match &signature.inputs {
            None => request.payload,
            Some(schema) => enforce::enforce(request.payload, schema)
                .map_err(|error| Refusal::schema(&shown, &schema.to_string(), &error))?,
        };
        enforce::check_params(&request.params, &signature.params)
            .map_err(|error| Refusal::params(&shown, &error))?;
        self.engine.answer(payload, request.wrapped).map_err(|reason| Refusal::evaluation(&reason))
    }
}

impl Engine {
    /// The answer's text for the data of a request.
    fn answer(&self, payload: Payload, wrapped: bool) -> Result<String, String> {
        match self {
            Self::Graph(graph) => {
                let feed = feed::feed(payload, graph)?;
                let outputs = graph.run(feed.inputs).map_err(|error| error.to_string())?;
                answer::write(&outputs, feed.rows, wrapped)
            }
            Self::Trees(predictor) => {
                let Payload::Frame(frame) = payload else { return Err("the input is no table".into()) };
                let columns = frame
                    .columns
                    .into_iter()
                    .map(|cells| match cells {
                        Cells::Typed(data) => Ok(data),
                        Cells::Raw(_) => Err("a column has no type"),
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(answer::write_list(&predictor.predict(&columns, frame.rows)?, wrapped))
            }
        }
    }
}

/// The trees of a model of scikit-learn, if they can be run here for every request that its signature lets through.
fn trees(description: &MlModel) -> Result<Predictor, Error> {
    let signature = &description.signature;
    let numeric = |column: &ColumnSpec| {
        use ColumnType::{Boolean, Double, Float, Integer, Long};
        matches!(column.column_type, Boolean | Integer | Long | Float | Double)
    };
    let pickled = matches!(description.serialization_format.as_deref(), Some("pickle" | "cloudpickle"));
    let predicts = description.predict_fn.as_deref().is_none_or(|name| name == "predict");
    let (Some(Schema::Columns(columns)), true, true) = (&signature.inputs, pickled, predicts) else {
        return Err(description.foreign());
    };
    if !signature.params.is_empty() || !columns.iter().all(numeric) {
        return Err(description.foreign());
    }
    let path = description.model_file("model.pkl")?;
    let bytes = std::fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let predictor = Predictor::read(&bytes).map_err(|reason| {
        tracing::debug!(path = %path.display(), reason, "left to Python");
        description.foreign()
    })?;
    let named = predictor.names().is_none_or(|names| {
        columns.iter().map(|column| column.name.as_deref()).eq(names.iter().map(|name| Some(name.as_str())))
    });
    if columns.len() == predictor.width() && named { Ok(predictor) } else { Err(description.foreign()) }
}

/// What of a signature no graph can be fed with.
fn unsupported(schema: &Schema) -> Option<String> {
    match schema {
        Schema::Columns(columns) => columns
            .iter()
            .find(|column| request::element_of_column(&column.column_type).is_none())
            .map(|column| format!("columns of the type `{}` are not supported", column.column_type)),
        Schema::Tensors(tensors) => tensors
            .iter()
            .find(|tensor| request::element_of_dtype(&tensor.dtype).is_none())
            .map(|tensor| format!("tensors of the type `{}` are not supported", tensor.dtype)),
    }
}
