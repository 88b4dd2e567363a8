//! What can go wrong with experiments.

use matraz_base::{Explain, Kind};

/// Why an experiment could not be run, found or changed.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// There is no commit that an experiment could start from.
    #[error("the git repository has no commit yet")]
    NoCommits,
    /// The project is not in a git repository.
    #[error("experiments need a git repository")]
    NoGit,
    /// A name that git cannot have in a reference.
    #[error(
        "Invalid exp name {name}, the exp name must follow rules in https://git-scm.com/docs/git-check-ref-format"
    )]
    BadName {
        /// What the user wrote.
        name: String,
    },
    /// Another experiment has the name.
    #[error("Experiment conflicts with existing experiment '{name}'")]
    Exists {
        /// The name.
        name: String,
    },
    /// Names that no experiment has.
    #[error("{}", missing(names, remote.as_deref()))]
    NoSuchExperiment {
        /// What the user wrote.
        names: Vec<String>,
        /// The repository that was looked at, when it is another one.
        remote: Option<String>,
    },
    /// A name that several experiments have.
    #[error("Ambiguous name '{name}' refers to multiple experiments")]
    Ambiguous {
        /// The name.
        name: String,
        /// Their references.
        references: Vec<String>,
    },
    /// A reference that is not one of an experiment.
    #[error("'{name}' is not a valid experiment refname.")]
    NotAReference {
        /// What the user wrote.
        name: String,
    },
    /// A revision that is no experiment.
    #[error("'{revision}' does not appear to be an experiment commit.")]
    NotAnExperiment {
        /// What the user wrote.
        revision: String,
    },
    /// A branch of that name is there already.
    #[error("Git branch '{name}' already exists.")]
    BranchExists {
        /// The name.
        name: String,
    },
    /// Another repository cannot be reached, or is none.
    #[error("'{remote}' is not a valid Git remote or URL")]
    NoRemote {
        /// What the user wrote.
        remote: String,
    },
    /// A change of parameters that cannot be made.
    #[error("Invalid `--set-param` value '{text}': {reason}")]
    BadOverride {
        /// What the user wrote.
        text: String,
        /// What is wrong with it.
        reason: String,
        /// How to say it instead.
        hint: Option<String>,
    },
    /// A parameters file of a kind that cannot be changed.
    #[error("cannot change parameters in '{file}': {reason}")]
    BadParamsFile {
        /// The file.
        file: String,
        /// Why not.
        reason: String,
    },
    /// Several values for a parameter, which make several experiments.
    #[error("Sweep overrides can't be used without `--queue`")]
    SweepWithoutQueue,
    /// Hydra's own composition of settings, which needs Hydra.
    #[error("Hydra composition (`hydra.enabled`) is not supported")]
    HydraComposition,
    /// A path that should be copied for an experiment is not there.
    #[error("unable to copy '{path}': it is neither a file nor a folder of the project")]
    NothingToCopy {
        /// What the user wrote.
        path: String,
    },
    /// A sorting column that nothing has.
    #[error("Unknown sort column '{name}'")]
    NoSuchColumn {
        /// What the user wrote.
        name: String,
    },
    /// A sorting column that several files have.
    #[error("Ambiguous sort column '{name}' matched '{}'", matches.join(", "))]
    AmbiguousColumn {
        /// What the user wrote.
        name: String,
        /// The columns with their files.
        matches: Vec<String>,
    },
    /// A task that the queue does not have.
    #[error("{}", not_valid(names, kind))]
    NoSuchTask {
        /// What the user wrote.
        names: Vec<String>,
        /// `queued` or `running`.
        kind: &'static str,
    },
    /// A task without output yet.
    #[error("Experiment '{name}' is in queue but has not been started")]
    NotStarted {
        /// What the user wrote.
        name: String,
    },
    /// The output of a task is gone.
    #[error("No output logs found for experiment '{name}'")]
    NoLog {
        /// What the user wrote.
        name: String,
    },
    /// A worker did not start.
    #[error("cannot start a worker of the queue")]
    WorkerNotStarted {
        /// What the system said.
        source: std::io::Error,
    },
    /// The file of a task cannot be read.
    #[error("the task '{path}' of the queue is not understood: {reason}")]
    BadTask {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

fn not_valid(names: &[String], kind: &str) -> String {
    let kind = if kind.is_empty() { String::new() } else { format!("{kind} ") };
    match names {
        [one] => format!("'{one}' is not a valid {kind}experiment name"),
        many => format!("'{}' are not valid {kind}experiment names", many.join("; ")),
    }
}

fn missing(names: &[String], remote: Option<&str>) -> String {
    match remote {
        Some(remote) => format!("Experiment '{}' does not exist in '{remote}'", names.join("; ")),
        None => not_valid(names, ""),
    }
}

impl Explain for ExperimentError {
    fn kind(&self) -> Kind {
        match self {
            Self::NoCommits | Self::NoGit => Kind::Missing,
            Self::BadName { .. } | Self::NotAReference { .. } => Kind::Conflict,
            Self::Exists { .. } | Self::BranchExists { .. } => Kind::Exists,
            Self::NoSuchExperiment { .. } | Self::NotAnExperiment { .. } | Self::NoSuchTask { .. } => {
                Kind::Missing
            }
            Self::Ambiguous { .. } | Self::AmbiguousColumn { .. } => Kind::Conflict,
            Self::NoRemote { .. } => Kind::Unreachable,
            Self::BadOverride { .. } | Self::BadParamsFile { .. } => Kind::Conflict,
            Self::SweepWithoutQueue | Self::HydraComposition => Kind::Conflict,
            Self::NothingToCopy { .. } | Self::NoSuchColumn { .. } => Kind::Missing,
            Self::NotStarted { .. } => Kind::Conflict,
            Self::NoLog { .. } => Kind::Missing,
            Self::WorkerNotStarted { .. } => Kind::Failed,
            Self::BadTask { .. } => Kind::Corrupt,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoCommits => Some("commit something: an experiment starts from a commit".into()),
            Self::NoGit => Some("run `git init`, commit, and set `core.no_scm` to false".into()),
            Self::Exists { .. } => Some("use `-f` to replace it, or give another name with `-n`".into()),
            Self::Ambiguous { references, .. } => {
                Some(format!("use one of the full references:\n  {}", references.join("\n  ")))
            }
            Self::BadOverride { hint, .. } => hint.clone(),
            Self::SweepWithoutQueue => {
                Some("`--queue` makes an experiment of each value; `exp run --run-all` runs them".into())
            }
            Self::HydraComposition => Some("`--no-hydra` runs with the parameters as they are".into()),
            Self::BranchExists { .. } => Some("give another name for the branch".into()),
            _ => None,
        }
    }
}
