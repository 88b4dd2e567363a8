//! What every command gets: the environment, the folder, the printer and the interrupt flag.

use std::path::PathBuf;

use crate::env::Env;
use crate::names::Grammar;
use crate::printer::Printer;

/// The surroundings of one call of the program.
pub struct App {
    /// The grammar that the user speaks.
    pub grammar: Grammar,
    /// The environment variables.
    pub env: Env,
    /// The folder in which the command acts (`--cd` applied), absolute.
    pub cwd: PathBuf,
    /// Where results, talk and progress go.
    pub out: Printer,
}
