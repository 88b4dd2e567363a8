//! Artifacts: files of runs and models, kept below a folder and reached only through checked paths.
//!
//! [`ArtifactPath`] is what a client may name, [`ArtifactRoot`] the folder it stays in, [`Location`] what an artifact
//! URI of the store means, and [`Artifacts`] the set of places that a server is willing to touch.

mod content;
mod download;
mod error;
mod location;
mod path;
mod root;

pub use content::{attachment, media_type};
pub use download::file_response;
pub use error::ArtifactError;
pub use location::{Artifacts, Location};
pub use path::{ArtifactPath, UPLOADING_PREFIX};
pub(crate) use root::on_disk;
pub use root::{ArtifactFile, ArtifactRoot, Entry};
