//! What every command gets: the environment, the folder, the printer and the interrupt flag.

use std::path::PathBuf;

use matraz_base::process::Interrupt;
use matraz_data::Places;

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
    /// Raised by Ctrl-C and by a request to end.
    pub interrupt: Interrupt,
}

impl App {
    /// The places outside the project that settings and shared state come from.
    pub fn places(&self) -> Places {
        Places {
            global_config_dir: self.env.global_config_dir().unwrap_or_else(|| self.env.system_config_dir()),
            system_config_dir: self.env.system_config_dir(),
            site_cache_dir: self.env.site_cache_dir(),
            home: self.env.home.as_ref().map(PathBuf::from),
            lists_projects: self.grammar == Grammar::Matraz,
        }
    }
}
