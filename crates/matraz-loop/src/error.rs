//! What can go wrong where the capabilities meet.

use std::io;
use std::path::PathBuf;

use matraz_base::{Explain, Kind, Place};
use matraz_track::client::ClientError;

use crate::settings::SettingsError;

/// The result of anything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation of the loop failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `matraz.yaml` cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The tracking store refused or cannot be reached.
    #[error(transparent)]
    Tracking(#[from] ClientError),
    /// The spool before a tracking server cannot be used.
    #[error(transparent)]
    Spool(#[from] matraz_track::spool::SpoolError),
    /// The embedded store cannot be opened.
    #[error(transparent)]
    Store(#[from] matraz_track::Error),
    /// The project's data cannot be read.
    #[error(transparent)]
    Data(#[from] matraz_data::Error),
    /// The store that was named is of a kind that is not there yet.
    #[error("tracking stores of the form `{uri}` are not supported")]
    UnknownStore {
        /// As given.
        uri: String,
    },
    /// There is no store to read from.
    #[error("there is no tracking store at `{}` yet", .path.display())]
    NoStore {
        /// The database that would be it.
        path: PathBuf,
    },
    /// An operation on a local file failed.
    #[error("cannot {action} `{}`", .path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The threads of the tracking client cannot be started.
    #[error("cannot start the tracking client")]
    Runtime {
        /// What the system says.
        source: io::Error,
    },
    /// No run fits the reference.
    #[error("no run `{reference}` in experiment `{experiment}`")]
    NoRun {
        /// What was asked for.
        reference: String,
        /// Where.
        experiment: String,
    },
    /// Nothing is known by this name.
    #[error("`{subject}` is no run, model version, data, commit or digest that is known here")]
    NoSubject {
        /// As given.
        subject: String,
    },
    /// A run that no pipeline made.
    #[error("run `{run}` is none of a pipeline")]
    NoPipelineRun {
        /// The run's name.
        run: String,
    },
    /// No version of a model has a run with the metric that decides.
    #[error("no version of `{model}` has a run with the metric `{metric}`")]
    NoVersion {
        /// The registered model.
        model: String,
        /// The metric.
        metric: String,
    },
    /// Several runs fit the reference.
    #[error("`{reference}` names {count} runs of experiment `{experiment}`")]
    ManyRuns {
        /// What was asked for.
        reference: String,
        /// Where.
        experiment: String,
        /// How many fit.
        count: usize,
    },
    /// There is no finished run at all.
    #[error("experiment `{experiment}` has no finished pipeline run")]
    NoRuns {
        /// Where.
        experiment: String,
    },
    /// `matraz.yaml` lacks a section that the command needs.
    #[error("`matraz.yaml` has no section `{section}`")]
    NoSection {
        /// The section.
        section: &'static str,
        /// What to write.
        example: &'static str,
    },
    /// A run has no model where `matraz.yaml` says that it is.
    #[error("run `{run}` has no model under `{path}`")]
    NoModel {
        /// The run's name.
        run: String,
        /// The artifact path.
        path: String,
    },
    /// A gate did not pass, so the model stays where it is.
    #[error("version {version} of `{model}` does not pass the gate: {reason}")]
    GateClosed {
        /// The registered model.
        model: String,
        /// Its version.
        version: String,
        /// The first rule that does not hold, and why.
        reason: String,
    },
    /// The files of a model are not those that the gate judged.
    #[error("the files of version {version} of `{model}` have changed since the gate judged them")]
    ArtifactChanged {
        /// The registered model.
        model: String,
        /// Its version.
        version: String,
    },
    /// A version to go back to cannot be used.
    #[error("version {version} of `{model}` does not load: {reason}")]
    DoesNotLoad {
        /// The registered model.
        model: String,
        /// Its version.
        version: String,
        /// Why.
        reason: String,
    },
    /// There is nothing to roll back to.
    #[error("`{model}` has no earlier version under `{alias}` to go back to")]
    NothingBefore {
        /// The registered model.
        model: String,
        /// The alias.
        alias: String,
    },
    /// A model address that cannot be read.
    #[error("`{uri}` is not the address of a model")]
    BadModelUri {
        /// As given.
        uri: String,
    },
    /// An answer of the tracking server lacks what the API promises.
    #[error("the tracking server's answer to `{call}` lacks `{field}`")]
    Answer {
        /// The call.
        call: &'static str,
        /// The missing field.
        field: &'static str,
    },
}

impl Error {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

impl Explain for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Settings(error) => error.kind(),
            Self::Tracking(error) => error.kind(),
            Self::Spool(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Data(error) => error.kind(),
            Self::UnknownStore { .. } | Self::NoSection { .. } => Kind::Config,
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => Kind::Missing,
            Self::File { .. } => Kind::Denied,
            Self::Runtime { .. } | Self::Answer { .. } => Kind::Failed,
            Self::NoStore { .. }
            | Self::NoRun { .. }
            | Self::NoRuns { .. }
            | Self::NoSubject { .. }
            | Self::NoVersion { .. }
            | Self::NoModel { .. }
            | Self::NothingBefore { .. } => Kind::Missing,
            Self::ManyRuns { .. } | Self::NoPipelineRun { .. } | Self::BadModelUri { .. } => Kind::Usage,
            Self::GateClosed { .. } | Self::ArtifactChanged { .. } | Self::DoesNotLoad { .. } => Kind::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Settings(error) => error.hint(),
            Self::Tracking(error) => error.hint(),
            Self::Spool(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Data(error) => error.hint(),
            Self::UnknownStore { .. } => {
                Some("use `sqlite:///FILE`, `postgresql://user@host/database`, or the `http://` address of a server".into())
            }
            Self::NoRun { .. } => Some("`matraz runs list` shows the runs".into()),
            Self::NoSubject { .. } => Some(
                "use `runs:/ID`, `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `PATH`, `PATH@REVISION`, a revision of git or an MD5"
                    .into(),
            ),
            Self::NoVersion { .. } => {
                Some("`matraz models list` shows the versions with their metrics".into())
            }
            Self::ManyRuns { .. } => Some("give the run's id, or more letters of it".into()),
            Self::NoStore { .. } | Self::NoRuns { .. } => Some("`matraz repro` makes one".into()),
            Self::NoSection { example, .. } => Some(format!("add to it: {example}")),
            Self::NoModel { .. } => {
                Some("`model.path` in `matraz.yaml` must be an output of the pipeline".into())
            }
            Self::GateClosed { .. } => Some("`matraz gate` shows all rules".into()),
            Self::ArtifactChanged { .. } => Some(
                "run the pipeline again and promote what it makes, or say `--force --reason TEXT`".into(),
            ),
            Self::DoesNotLoad { .. } => Some("the alias stays where it is; promote another version".into()),
            Self::NothingBefore { .. } => Some("only `matraz promote` leaves a way back".into()),
            Self::BadModelUri { .. } => Some(
                "use `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `runs:/RUN_ID/PATH` or a folder".into(),
            ),
            Self::NoPipelineRun { .. } => Some("`matraz runs list` shows the runs of pipelines".into()),
            Self::File { .. } | Self::Runtime { .. } | Self::Answer { .. } => None,
        }
    }

    fn place(&self) -> Option<&Place> {
        match self {
            Self::Settings(error) => error.place(),
            Self::Data(error) => error.place(),
            _ => None,
        }
    }
}
