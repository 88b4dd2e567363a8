//! Exit codes: one table per grammar.

use matraz_base::Kind;

use crate::names::Grammar;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// Done.
    pub const OK: Self = Self(0);
    /// The answer is no: a gate failed, something changed under `status -q`.
    pub const NO: Self = Self(1);
}

/// The pipe that took the output was closed.
pub const BROKEN_PIPE: u8 = 141;

/// The exit code of an error.
///
/// `dvc_failure` is the code that DVC's command of that name gives for its ordinary failures: 1 for commands
/// that catch their own errors, 255 for the others.
pub fn code(grammar: Grammar, kind: Kind, dvc_failure: u8) -> u8 {
    match grammar {
        Grammar::Matraz => match kind {
            Kind::Usage => 2,
            Kind::Config | Kind::Unusable | Kind::Settings => 3,
            Kind::Missing | Kind::Outside => 4,
            Kind::Exists | Kind::Conflict => 5,
            Kind::Denied => 6,
            Kind::Unreachable => 7,
            Kind::Corrupt => 8,
            Kind::Failed => 1,
            Kind::Interrupted => 130,
            Kind::Bug => 70,
        },
        Grammar::Dvc => match kind {
            Kind::Usage => 254,
            Kind::Outside => 253,
            Kind::Interrupted => 252,
            Kind::Settings => 251,
            // No command of DVC expects such files.
            Kind::Unusable => 255,
            _ => dvc_failure,
        },
        Grammar::Mlflow => match kind {
            Kind::Usage => 2,
            Kind::Interrupted => 130,
            _ => 1,
        },
    }
}

/// The exit code of a command line that cannot be parsed.
pub fn bad_usage(grammar: Grammar) -> u8 {
    code(grammar, Kind::Usage, 255)
}
