//! The example that Matraz ships: a random forest that tells levels of obesity from habits.
//!
//! It is an ordinary project in four stages ([`prepare`], [`features`], [`train`], [`evaluate`]), linked into
//! the program as `matraz example obesity <stage>`, so that the whole loop can be seen on a machine without
//! Python. The table is drawn by [`synthetic`]; the saved model is an MLflow directory with an ONNX graph for the
//! raw columns ([`model`]). [`template`] holds the files of the project, and a second project that does the same
//! with scikit-learn.

mod cli;
pub mod encoder;
mod error;
pub mod evaluate;
pub mod features;
pub mod forest;
pub mod metrics;
pub mod model;
pub mod params;
pub mod prepare;
mod random;
pub mod schema;
pub mod synthetic;
pub mod table;
pub mod template;
pub mod train;

pub use cli::run;
pub use error::Error;
pub use template::{Template, template};
