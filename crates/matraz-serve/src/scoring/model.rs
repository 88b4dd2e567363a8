//! A model directory that is ready to answer.

use std::path::Path;

use super::refusal::Refusal;
use super::{answer, enforce, feed, request};
use crate::Error;
use crate::mlmodel::{MlModel, Schema};
use crate::onnx;

/// A loaded model: its description and its graph. One model serves any number of threads.
#[derive(Debug)]
pub struct Model {
    description: MlModel,
    graph: onnx::Model,
}

impl Model {
    /// Loads the model directory `directory`. Refuses what the native scorer cannot run, with the reason.
    pub fn load(directory: &Path) -> Result<Self, Error> {
        let description = MlModel::read(directory)?;
        let graph = onnx::load(&description.onnx_file()?)?;
        if let Some(inputs) = &description.signature.inputs
            && let Some(reason) = unsupported(inputs)
        {
            return Err(Error::Signature { path: directory.to_path_buf(), reason });
        }
        Ok(Self { description, graph })
    }

    /// What `MLmodel` says.
    pub fn description(&self) -> &MlModel {
        &self.description
    }

    /// The graph.
    pub fn graph(&self) -> &onnx::Model {
        &self.graph
    }

    /// Answers one request body of the scoring protocol (`application/json` or `text/csv`) with JSON text.
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
        let feed = feed::feed(payload, &self.graph).map_err(|reason| Refusal::evaluation(&reason))?;
        let outputs = self.graph.run(feed.inputs).map_err(|error| Refusal::evaluation(&error.to_string()))?;
        answer::write(&outputs, feed.rows, request.wrapped).map_err(|reason| Refusal::evaluation(&reason))
    }
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
