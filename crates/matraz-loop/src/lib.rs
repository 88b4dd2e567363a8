//! Where the capabilities meet: one identity for commit, data, lock entry, run and model version.
//!
//! The pipeline runner of `matraz-data` reports what it does; [`record`] turns that into runs of a tracking
//! store, so that no training script has to. [`compare`] sets runs beside one another, [`gate`] judges one by
//! the rules of `matraz.yaml` ([`settings`]), [`promote`] moves an alias of the model registry to it and back,
//! and [`model_uri`] finds the files behind a `models:/…` or `runs:/…` address.
//!
//! Monitoring (profiles, drift) will join here too: its crate is to stand beside `matraz-serve`, and a file here
//! will tie a deployment's drift to the run that made its model.

pub mod adopt;
pub mod compare;
pub mod environment;
pub mod error;
pub mod experiment;
pub mod explain;
pub mod gate;
pub mod lineage;
pub mod model_digest;
pub mod model_uri;
pub mod promote;
pub mod record;
pub mod reproduce;
pub mod roots;
pub mod run;
pub mod settings;
pub mod tracker;
pub mod verify;

pub use error::{Error, Result};
pub use settings::{Settings, experiment_name};
pub use tracker::{SPOOL, Target, Tracker};
