//! The example that Matraz ships: a random forest that tells levels of obesity from habits.
mod error;
pub mod forest;
mod random;
pub mod schema;
pub mod synthetic;
mod table;
pub use error::Error;
