//! Child processes whose whole tree ends together.
//!
//! A command runs as the leader of a process group of its own. Its output arrives piece by piece; when the
//! user interrupts, the whole group is asked to end, then made to.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Explain, Kind};

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
    /// `text` as a script of `shell`, which reads no startup files (as DVC has it).
    pub fn shell(shell: &std::path::Path, text: &str, folder: impl Into<PathBuf>) -> Self {
        let name = shell.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let options: &[&str] = match name.as_str() {
            "bash" => &["--noprofile", "--norc", "-c"],
            "zsh" => &["--no-rcs", "-c"],
            "fish" => &["--no-config", "-c"],
            _ => &["-c"],
        };
        let mut args: Vec<OsString> = options.iter().map(Into::into).collect();
        args.push(text.into());
        Self { program: shell.into(), args, folder: folder.into(), env: Vec::new(), input: Input::Inherit }
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

/// The exit status and the peak memory in bytes.
type Waited = io::Result<(ExitStatus, Option<u64>)>;

enum Event {
    Output(Stream, Vec<u8>),
    Closed,
    Exited(Waited),
}

/// How long a process group has to obey SIGINT, and then SIGTERM, before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// How long output is awaited once the process has ended: something it left behind may hold the pipe open.
const DRAIN: Duration = Duration::from_millis(200);
const TICK: Duration = Duration::from_millis(40);
/// How often the memory of a running command is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

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
    let (sender, events) = mpsc::channel();
    let mut open = 0;
    if let Some(pipe) = child.stdout.take() {
        open += 1;
        read_into(pipe, Stream::Out, sender.clone());
    }
    if let Some(pipe) = child.stderr.take() {
        open += 1;
        read_into(pipe, Stream::Err, sender.clone());
    }
    thread::spawn(move || {
        let _ = sender.send(Event::Exited(wait(group)));
    });
    let mut watch = Watch { group, interrupted_at: None, signals: 0, seen_peak: None, next_look: start };
    let result = watch.follow(&events, open, interrupt, output);
    let lent = terminal.is_some();
    drop(terminal);
    if watch.interrupted_at.is_some() {
        // What ignored the signals, or was started in the background, ends now.
        send_signal(group, libc::SIGKILL);
    }
    let (status, counted) = result.map_err(|source| ProcessError::Wait { program, source })?;
    // The system counts what this process held when it made the child as the child's own.
    let peak_memory = counted.filter(|counted| Some(*counted) > inherited).or(watch.seen_peak);
    // With the terminal lent, Ctrl-C reaches the command and not us.
    let by_keyboard = lent && (status.signal() == Some(libc::SIGINT) || status.code() == Some(130));
    let interrupted = watch.interrupted_at.is_some() || by_keyboard;
    if by_keyboard {
        interrupt.raise();
        send_signal(group, libc::SIGKILL);
    }
    Ok(Ended { status, wall: start.elapsed(), peak_memory, interrupted })
}

struct Watch {
    group: libc::pid_t,
    interrupted_at: Option<Instant>,
    signals: usize,
    /// The largest resident set that was seen while it ran.
    seen_peak: Option<u64>,
    /// When to look for it again.
    next_look: Instant,
}

impl Watch {
    fn follow(
        &mut self,
        events: &Receiver<Event>,
        mut open: usize,
        interrupt: &Interrupt,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Waited {
        let mut ended: Option<(Instant, Waited)> = None;
        loop {
            if let Some((at, _)) = &ended
                && (open == 0 || at.elapsed() >= DRAIN)
            {
                break;
            }
            match events.recv_timeout(TICK) {
                Ok(Event::Output(stream, bytes)) => output(stream, &bytes),
                Ok(Event::Closed) => open -= 1,
                Ok(Event::Exited(result)) => ended = Some((Instant::now(), result)),
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if ended.is_none() && interrupt.is_raised() {
                self.press();
            }
        }
        ended.map_or_else(|| Err(io::Error::other("the process was lost")), |(_, result)| result)
    }

    /// Looks how large the process and its descendants are.
    fn look(&mut self) {
        if Instant::now() >= self.next_look {
            self.seen_peak = self.seen_peak.max(peak_of_tree(self.group));
            self.next_look = Instant::now() + LOOK_AGAIN;
        }
    }

    /// Sends the next signal when its time has come.
    fn press(&mut self) {
        let since = *self.interrupted_at.get_or_insert_with(Instant::now);
        let due = [(Duration::ZERO, libc::SIGINT), (GRACE, libc::SIGTERM), (GRACE + GRACE, libc::SIGKILL)];
        if let Some((after, signal)) = due.get(self.signals)
            && since.elapsed() >= *after
        {
            send_signal(self.group, *signal);
            self.signals += 1;
        }
    }
}

/// The largest resident set of a process so far, in bytes. Known on Linux only.
fn peak_of(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The largest resident set of a process and of those that it started.
fn peak_of_tree(process: libc::pid_t) -> Option<u64> {
    let mut peak = None;
    let mut pending = vec![process.to_string()];
    while let Some(process) = pending.pop() {
        peak = peak.max(peak_of(&process));
        let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
        pending.extend(children.unwrap_or_default().split_whitespace().map(str::to_owned));
    }
    peak
}

fn read_into(mut pipe: impl Read + Send + 'static, stream: Stream, sender: Sender<Event>) {
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    if sender.send(Event::Output(stream, buffer[..n].to_vec())).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let _ = sender.send(Event::Closed);
    });
}

#[expect(unsafe_code, reason = "the standard library does not give the resource use of a child")]
fn wait(pid: libc::pid_t) -> Waited {
    let mut status = 0;
    // SAFETY: all zeroes is a valid `rusage`, and both pointers are to live variables of the right type.
    let (answer, usage) = loop {
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        let answer = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
        if answer >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            break (answer, usage);
        }
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    // Kibibytes, but for macOS.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let peak = u64::try_from(usage.ru_maxrss).ok().filter(|peak| *peak > 0).map(|peak| peak * unit);
    Ok((ExitStatus::from_raw(status), peak))
}

#[expect(unsafe_code, reason = "the standard library cannot signal a process group")]
fn send_signal(group: libc::pid_t, signal: libc::c_int) {
    // SAFETY: a plain system call; a group that is gone is no error that matters here.
    unsafe {
        libc::killpg(group, signal);
    }
}

/// The terminal in the hands of a child's group, so that it may read from the keyboard; given back on drop.
struct Terminal {
    ours: libc::pid_t,
}

impl Terminal {
    #[expect(unsafe_code, reason = "the standard library has no job control")]
    fn lend_to(group: libc::pid_t) -> Option<Self> {
        // SAFETY: plain system calls on standard input.
        unsafe {
            if libc::isatty(0) != 1 {
                return None;
            }
            let ours = libc::getpgrp();
            if libc::tcgetpgrp(0) != ours || libc::tcsetpgrp(0, group) != 0 {
                return None;
            }
            // It may have tried to read before the terminal was its own.
            libc::killpg(group, libc::SIGCONT);
            Some(Self { ours })
        }
    }
}

impl Drop for Terminal {
    #[expect(unsafe_code, reason = "the standard library has no job control")]
    fn drop(&mut self) {
        // SAFETY: plain system calls. Taking the terminal back from the background would stop us by SIGTTOU.
        unsafe {
            let before = libc::signal(libc::SIGTTOU, libc::SIG_IGN);
            libc::tcsetpgrp(0, self.ours);
            libc::signal(libc::SIGTTOU, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

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
