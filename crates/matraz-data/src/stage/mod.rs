//! Stages: what `dvc.yaml`, `dvc.lock` and `.dvc` files say.
//!
//! A `.dvc` file is a stage without a name that owns data; `dvc.yaml` holds named stages whose commands make
//! their outputs, and `dvc.lock` what those were when they last ran.

pub mod address;
pub mod dataset;
pub mod dependency;
pub mod document;
pub mod dot_dvc;
pub mod dvc_yaml;
pub mod edit;
pub mod foreach;
mod item;
pub mod lock;
pub mod output;
pub mod params;
pub(crate) mod python;
mod schema;
#[expect(clippy::module_inception, reason = "the file that defines `Stage` is where one looks for it")]
pub mod stage;
pub mod template;

pub use address::Address;
pub use dependency::{Dependency, ParamsFile, Source};
pub use lock::LockFile;
pub use output::{Output, OutputKind, PlotProps};
pub use stage::{Cmd, LockEntry, LockedItem, Stage};

/// The name of pipeline files.
pub const PIPELINE_FILE: &str = "dvc.yaml";
/// The name of the file beside a pipeline file that holds what its stages were.
pub const LOCK_FILE: &str = "dvc.lock";
/// What ends the name of a data file.
pub const DATA_SUFFIX: &str = ".dvc";
/// The name of the parameters file that stages read when they name none.
pub const PARAMS_FILE: &str = "params.yaml";
