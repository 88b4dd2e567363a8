//! The command lines. A file under `cli/` is a command: its doc comment is the help, `Args` the arguments,
//! `run` turns them into one library call and renders one result.

pub mod dvc;
mod group;
pub mod groups;
pub mod matraz;
pub mod mlflow;
pub mod table;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, FromArgMatches};
use matraz_base::process::Interrupt;
use matraz_base::{Explain, Failure, Kind};

use crate::app::App;
use crate::env::Env;
use crate::exit::{self, Exit};
use crate::names::{self, Grammar};
use crate::printer::{Printer, Volume};
use crate::render;

/// Options that every command takes; help pages show them after the command's own.
#[derive(Args, Clone, Debug)]
pub struct Globals {
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 900)]
    pub quiet: bool,
    /// Say more; twice for the log
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = 901)]
    pub verbose: u8,
    /// Change to this folder first
    #[arg(long, global = true, value_name = "DIR", display_order = 902)]
    pub cd: Option<PathBuf>,
}

/// A faulty call that clap cannot see.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The folder to work in cannot be entered.
    #[error("cannot enter `{path}`: {reason}", path = .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// A call that is well formed and that the command refuses itself.
    #[error("{message}")]
    Refused {
        /// Why.
        message: String,
        /// The class of the error, which is not that of a malformed call.
        kind: Kind,
    },
    /// Options that do not go together, or a value that makes no sense.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// How to say it instead.
        hint: Option<String>,
    },
}

impl Explain for CliError {
    fn kind(&self) -> Kind {
        match self {
            Self::Folder { .. } => Kind::Missing,
            Self::Usage { .. } => Kind::Usage,
            Self::Refused { kind, .. } => *kind,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Folder { .. } | Self::Refused { .. } => None,
            Self::Usage { hint, .. } => hint.clone(),
        }
    }
}

/// Refuses an option that only Matraz's own grammar has, when the user speaks another one.
pub fn only_in_matraz(app: &App, option: &str, given: bool) -> Result<(), CliError> {
    if !given || app.grammar == Grammar::Matraz {
        return Ok(());
    }
    Err(CliError::Usage {
        message: format!("`{}` has no option `{option}`", app.grammar.program()),
        hint: Some("`matraz` has it, under the same command".into()),
    })
}

/// A parsed command line of one grammar.
pub(crate) trait CommandLine: FromArgMatches + clap::CommandFactory {
    fn globals(&self) -> &Globals;
    /// The exit code that DVC gives for an ordinary failure of this command.
    fn dvc_failure(&self) -> u8 {
        255
    }
    /// What DVC puts before the ordinary errors of this command.
    fn dvc_preamble(&self) -> Option<&'static str> {
        None
    }
    fn run(self, app: &App) -> Result<Exit, Failure>;
    /// The groups of its overview.
    fn groups() -> groups::Groups {
        &[("Commands", &[])]
    }
    /// Commands of the original tool that are not there yet.
    fn not_yet() -> &'static [&'static str] {
        &[]
    }
}

/// Parses, runs, renders; returns the exit code.
pub fn run(grammar: Grammar, arguments: Vec<OsString>) -> u8 {
    match grammar {
        Grammar::Matraz => run_as::<matraz::Cli>(grammar, arguments),
        Grammar::Dvc => run_as::<dvc::Cli>(grammar, arguments),
        Grammar::Mlflow => run_as::<mlflow::Cli>(grammar, arguments),
    }
}

fn run_as<C: CommandLine>(grammar: Grammar, arguments: Vec<OsString>) -> u8 {
    // Programs ask for it again and again to see who is there; the rest of the grammar need not be built for that.
    if let [_, only] = arguments.as_slice()
        && (only == "--version" || only == "-V")
    {
        Printer::new(Volume::Normal, &Env::default()).result(&names::version_line(grammar));
        return 0;
    }
    let env = Env::read();
    let coloured = |command: clap::Command| match env.no_color {
        Some(_) => command.color(clap::ColorChoice::Never),
        None => command,
    };
    let parse = |command: clap::Command| {
        let mut command = coloured(command);
        command.try_get_matches_from_mut(&arguments).and_then(|mut found| {
            if grammar == Grammar::Dvc
                && let Some(word) = dvc::argument_order::stray_word(&command, &found)
            {
                let message =
                    format!("unexpected argument '{word}': give it before the options, as `dvc` wants it");
                return Err(command.error(ErrorKind::UnknownArgument, message));
            }
            C::from_arg_matches_mut(&mut found)
        })
    };
    // The overview is put together only for those who see it.
    let parsed = parse(C::command()).or_else(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            parse(groups::grouped(C::command(), C::groups()))
        }
        _ => Err(error),
    });
    let line = match parsed {
        Ok(line) => line,
        Err(error) => return usage::<C>(grammar, &error, &arguments),
    };
    let globals = line.globals();
    let volume = match (globals.quiet, globals.verbose) {
        (true, _) if grammar == Grammar::Dvc => Volume::Silent,
        (true, _) => Volume::Quiet,
        (false, 0) => Volume::Normal,
        (false, _) => Volume::Verbose,
    };
    log_to_stderr(globals.verbose, &env);
    let cd = globals.cd.clone();
    let out = Printer::new(volume, &env);
    let cwd = match folder(cd) {
        Ok(cwd) => cwd,
        Err(error) => {
            out.error(&render::error(&error, grammar, &PathBuf::new(), false));
            // No command of DVC catches this one.
            return exit::code(grammar, error.kind(), 255);
        }
    };
    let interrupt = Interrupt::new();
    listen(&interrupt);
    let (dvc_failure, preamble) = (line.dvc_failure(), line.dvc_preamble());
    let app = App { grammar, env, cwd, out, interrupt };
    match line.run(&app) {
        Ok(exit) => exit.0,
        Err(Failure(error)) => {
            let code = exit::code(grammar, error.kind(), dvc_failure);
            let preamble = match grammar {
                Grammar::Dvc if code == dvc_failure => preamble,
                Grammar::Dvc if error.kind() == Kind::Settings => Some("configuration error"),
                _ => None,
            };
            app.out.error(&render::error_after(
                preamble,
                error.as_ref(),
                grammar,
                &app.cwd,
                app.out.colour(),
            ));
            code
        }
    }
}

/// The first Ctrl-C asks for an orderly end; what does not listen is ended by the second.
fn listen(interrupt: &Interrupt) {
    use signal_hook::consts::{SIGINT, SIGTERM};
    for signal in [SIGINT, SIGTERM] {
        let flag = std::sync::Arc::clone(interrupt.flag());
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 130, std::sync::Arc::clone(&flag));
        let _ = signal_hook::flag::register(signal, flag);
    }
}

fn folder(cd: Option<PathBuf>) -> Result<PathBuf, CliError> {
    if let Some(path) = cd {
        std::env::set_current_dir(&path).map_err(|reason| CliError::Folder { path, reason })?;
    }
    std::env::current_dir().map_err(|reason| CliError::Folder { path: PathBuf::from("."), reason })
}

fn log_to_stderr(verbose: u8, env: &Env) {
    let wanted = env.matraz_log.as_ref().and_then(|text| text.to_str());
    let filter = match (wanted, verbose) {
        (Some(text), _) => text.to_owned(),
        (None, 0 | 1) => return,
        (None, 2) => "matraz=debug".to_owned(),
        (None, _) => "trace".to_owned(),
    };
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).try_init();
}

fn usage<C: CommandLine>(grammar: Grammar, error: &clap::Error, arguments: &[OsString]) -> u8 {
    let out = Printer::new(Volume::Normal, &Env::default());
    let mut words = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    let unsupported = words.find(|word| C::not_yet().contains(word));
    match (error.kind(), unsupported) {
        (ErrorKind::DisplayVersion, _) => out.result(&names::version_line(grammar)),
        (ErrorKind::InvalidSubcommand, Some(word)) => {
            let message = format!("`{} {word}` is not supported yet by matraz", grammar.program());
            let unsupported = CliError::Usage { message, hint: None };
            out.error(&render::error(&unsupported, grammar, &PathBuf::new(), false));
        }
        _ => {
            let _ = error.print();
        }
    }
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        _ => exit::bad_usage(grammar),
    }
}
