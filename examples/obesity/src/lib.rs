//! The example that Matraz ships: a random forest that tells levels of obesity from habits.
pub mod encoder;
mod error;
pub mod features;
pub mod forest;
pub mod params;
pub mod prepare;
mod random;
pub mod schema;
pub mod synthetic;
pub mod table;
pub use error::Error;
