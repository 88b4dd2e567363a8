//! Data and pipelines in DVC's files: what `dvc` does to a project, as a library.
//!
//! A project ([`repo`]) is a folder with `.dvc/` in it. Its data are named by the MD5 of their bytes
//! ([`hash`]), kept once in a cache ([`cache`]) and copied to remotes ([`remote`]); `.dvc` files, `dvc.yaml` and
//! `dvc.lock` say which data belong to the project and which commands make them. The verbs that users know
//! are modules too: [`add`], [`status`], [`checkout`], [`commit`], [`remote::push`], [`remote::fetch`],
//! [`remote::pull`].
//!
//! Nothing here prints, reads the environment or knows the home directory; the places outside the project
//! come in as [`repo::Places`].

pub mod add;
pub mod cache;
pub mod checkout;
pub mod commit;
pub mod compare;
pub mod config;
pub mod data_status;
pub mod dataset;
pub mod destroy;
pub mod diff;
pub mod doctor;
pub mod entries;
pub mod error;
pub mod experiment;
pub mod git;
pub mod hash;
pub mod ignore;
pub mod index;
pub mod install;
pub mod merge;
pub mod metadata;
pub mod migrate;
pub mod r#move;
pub mod pipeline;
pub mod remote;
pub mod remove;
pub mod repo;
pub mod revisions;
pub mod source;
pub mod stage;
pub mod status;
pub mod target;
pub mod unprotect;
pub mod view;
pub mod walk;
pub mod workspace;

pub use error::Error;
pub use hash::digest::{Digest, Meta};
pub use index::Index;
pub use repo::{Places, Repo};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
