//! Child processes whose whole tree ends together.
//!
//! A command runs as the leader of a process group of its own. Its output arrives piece by piece; when the
//! user interrupts, the whole group is asked to end, then made to.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use self::terminal::Terminal;
use self::watch::{Watch, peak_of, send_signal};
use crate::{Explain, Kind};

mod plain;
mod terminal;
mod watch;

/// Raised when the user wants everything to stop. Clones are the same flag.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag. Safe to call from a signal handler.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the flag is raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag itself, for `signal_hook::flag::register`.
    pub fn flag(&self) -> &Arc<AtomicBool> {
        &self.0
    }
}

/// Which of its two streams a process wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What a process reads from its standard input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// Ours; a terminal is lent to the process while it runs.
    #[default]
    Inherit,
    /// Nothing: it may run beside others, which cannot share a keyboard.
    Nothing,
}

/// A program to run. It inherits the environment.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program, looked for on `PATH` when it is a bare name.
    pub program: OsString,
    /// What it is told to be its name, when that is not `program`.
    pub called: Option<OsString>,
    /// Its arguments; nothing in them is interpreted.
    pub args: Vec<OsString>,
    /// Where it runs.
    pub folder: PathBuf,
    /// Variables to set on top of those that are inherited.
    pub env: Vec<(OsString, OsString)>,
    /// What it reads.
    pub input: Input,
}

impl Command {
    /// `text` as a script of `shell`, which reads no startup files (as DVC has it). A program that the shell would merely
    /// start is started without it.
    pub fn shell(shell: &std::path::Path, text: &str, folder: impl Into<PathBuf>) -> Self {
        let name = shell.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let options: &[&str] = match name.as_str() {
            "bash" => &["--noprofile", "--norc", "-c"],
            "zsh" => &["--no-rcs", "-c"],
            "fish" => &["--no-config", "-c"],
            _ => &["-c"],
        };
        let folder = folder.into();
        let (variable, names) =
            (|name: &str| std::env::var_os(name), std::env::vars_os().map(|(name, _)| name));
        if let Some((program, words)) = plain::words(text, &name, &folder, variable, names) {
            let env = plain::environment(&folder);
            let called = words.first().map(Into::into);
            let args = words.iter().skip(1).map(Into::into).collect();
            return Self { program: program.into(), called, args, folder, env, input: Input::Inherit };
        }
        let mut args: Vec<OsString> = options.iter().map(Into::into).collect();
        args.push(text.into());
        Self { program: shell.into(), called: None, args, folder, env: Vec::new(), input: Input::Inherit }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// How long it ran.
    pub wall: Duration,
    /// The largest resident set of it or one of its descendants, in bytes. Of one that was small and short nobody knows.
    pub peak_memory: Option<u64>,
    /// It ended because the user interrupted.
    pub interrupted: bool,
}

impl Ended {
    /// The exit code; of a killed process, 128 and the number of the signal, as shells have it.
    pub fn code(&self) -> i32 {
        self.status.code().or_else(|| self.status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
    }
}

/// Why a process could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It did not start.
    #[error("cannot start `{program}` in {}", folder.display())]
    Start {
        /// The program.
        program: String,
        /// Where it was to run.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system lost it.
    #[error("cannot wait for `{program}`")]
    Wait {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Explain for ProcessError {
    fn kind(&self) -> Kind {
        match self {
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => Kind::Missing,
            Self::Start { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Kind::Denied,
            _ => Kind::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("check that the program and the folder exist".into())
            }
            _ => None,
        }
    }
}

/// Runs a command to its end and hands every piece of output to `output` as it comes.
///
/// When `interrupt` is raised the whole process group gets SIGINT, after a while SIGTERM, then SIGKILL.
pub fn run(
    command: &Command,
    interrupt: &Interrupt,
    output: &mut dyn FnMut(Stream, &[u8]),
) -> Result<Ended, ProcessError> {
    let program = command.program.to_string_lossy().into_owned();
    let start = Instant::now();
    let inherited = peak_of("self");
    let mut child = std::process::Command::new(&command.program)
        .arg0(command.called.as_ref().unwrap_or(&command.program))
        .args(&command.args)
        .current_dir(&command.folder)
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .stdin(match command.input {
            Input::Inherit => Stdio::inherit(),
            Input::Nothing => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|source| ProcessError::Start {
            program: program.clone(),
            folder: command.folder.clone(),
            source,
        })?;
    let group = child.id() as libc::pid_t;
    let terminal = if command.input == Input::Inherit { Terminal::lend_to(group) } else { None };
    let pipes = [
        (Stream::Out, child.stdout.take().map(OwnedFd::from)),
        (Stream::Err, child.stderr.take().map(OwnedFd::from)),
    ];
    let pipes = pipes.into_iter().filter_map(|(stream, pipe)| Some((stream, File::from(pipe?)))).collect();
    let mut watch = Watch::new(group);
    let result = watch.follow(pipes, interrupt, output);
    let lent = terminal.is_some();
    drop(terminal);
    if watch.interrupted() {
        // What ignored the signals, or was started in the background, ends now.
        send_signal(group, libc::SIGKILL);
    }
    let (status, counted) = result.map_err(|source| ProcessError::Wait { program, source })?;
    // The system counts what this process held when it made the child as the child's own.
    let peak_memory = counted.filter(|counted| Some(*counted) > inherited).or(watch.seen_peak());
    // With the terminal lent, Ctrl-C reaches the command and not us.
    let by_keyboard = lent && (status.signal() == Some(libc::SIGINT) || status.code() == Some(130));
    let interrupted = watch.interrupted() || by_keyboard;
    if by_keyboard {
        interrupt.raise();
        send_signal(group, libc::SIGKILL);
    }
    Ok(Ended { status, wall: start.elapsed(), peak_memory, interrupted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::thread;

    fn sh(text: &str) -> Command {
        Command::shell(Path::new("/bin/sh"), text, "/")
    }

    fn collect(command: &Command, interrupt: &Interrupt) -> (Ended, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ended = run(command, interrupt, &mut |stream, bytes| match stream {
            Stream::Out => out.extend_from_slice(bytes),
            Stream::Err => err.extend_from_slice(bytes),
        })
        .unwrap();
        (ended, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn the_peak_of_memory_is_the_commands_own() {
        // This process holds more than the command ever does.
        let held = vec![1_u8; 64 << 20];
        let (ended, ..) = collect(&sh("sleep 0.4"), &Interrupt::new());
        let peak = ended.peak_memory.unwrap();
        assert!(peak > 100_000 && peak < 20 << 20, "{peak}");
        let (ended, ..) = collect(&sh("true"), &Interrupt::new());
        assert!(ended.peak_memory.is_none_or(|peak| peak < 20 << 20), "{ended:?}");
        drop(held);
    }

    #[test]
    fn output_and_exit_code_are_passed_on() {
        let mut command = sh("echo out $X; echo err >&2; exit 3");
        command.env.push(("X".into(), "it's $HOME".into()));
        let (ended, out, err) = collect(&command, &Interrupt::new());
        assert_eq!((out.as_str(), err.as_str()), ("out it's $HOME\n", "err\n"));
        assert_eq!(ended.code(), 3);
        assert!(!ended.interrupted);
        assert_eq!(collect(&sh("kill -9 $$"), &Interrupt::new()).0.code(), 137);
    }

    #[test]
    fn a_program_that_needs_no_shell_is_started_as_a_shell_would() {
        let folder = tempfile::tempdir().unwrap();
        let told = |shell: &str, text: &str| {
            let command = Command::shell(Path::new(shell), text, folder.path());
            let (ended, out, _) = collect(&command, &Interrupt::new());
            (command.called.is_some(), ended.code(), out)
        };
        let (direct, code, plain) = told("/bin/sh", "env");
        let (by_shell, same_code, shells) = told("/bin/sh", "env;");
        assert!(direct && !by_shell);
        assert_eq!((code, same_code), (0, 0));
        let sorted = |text: &str| {
            let own = |line: &&str| !line.starts_with("_=") && !line.starts_with("OLDPWD=");
            let mut lines: Vec<String> = text.lines().filter(own).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&plain), sorted(&shells));
        assert!(plain.contains(&format!("PWD={}\n", folder.path().canonicalize().unwrap().display())));
    }

    #[test]
    fn what_stays_in_the_background_does_not_hold_us() {
        let start = Instant::now();
        let (ended, out, _) = collect(&sh("sleep 30 & echo $!"), &Interrupt::new());
        assert_eq!(ended.code(), 0);
        assert!(start.elapsed() < Duration::from_secs(20));
        std::process::Command::new("kill").arg(out.trim()).status().unwrap();
    }

    #[test]
    fn an_interrupt_ends_the_whole_tree() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let interrupt = Interrupt::new();
        let raiser = {
            let (interrupt, pid) = (interrupt.clone(), pid.clone());
            thread::spawn(move || {
                while std::fs::read_to_string(&pid).unwrap_or_default().trim().is_empty() {
                    thread::sleep(Duration::from_millis(5));
                }
                interrupt.raise();
            })
        };
        // The grandchild ignores the keyboard's signal, as background jobs of a script do.
        let text = format!("sleep 60 & echo $! > {}; wait", pid.display());
        let (ended, ..) = collect(&sh(&text), &interrupt);
        raiser.join().unwrap();
        assert!(ended.interrupted);
        let pid = std::fs::read_to_string(&pid).unwrap();
        let alive = || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            !state.is_empty() && !state.contains(") Z ")
        };
        let start = Instant::now();
        while alive() && start.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(!alive());
    }

    #[test]
    fn a_missing_program_is_named() {
        let command = Command { program: "/no/such".into(), ..sh("") };
        let error = run(&command, &Interrupt::new(), &mut |_, _| {}).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `/no/such` in /");
        assert_eq!(error.kind(), Kind::Missing);
    }
}
