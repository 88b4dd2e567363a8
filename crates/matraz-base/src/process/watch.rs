//! A process on its way: its output, its memory, its end, and the signals of an interrupt.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Interrupt, Stream};

/// The exit status and the peak memory in bytes.
pub(super) type Waited = io::Result<(ExitStatus, Option<u64>)>;

/// How long a process group has to obey SIGINT, and then SIGTERM, before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// How long output is awaited once the process has ended: something it left behind may hold the pipe open.
const DRAIN: Duration = Duration::from_millis(200);
/// How long it is waited for output before looking at everything else.
const TICK: Duration = Duration::from_millis(40);
/// How soon a process that has closed its output is expected to end; asked less and less often.
const SOON: Duration = Duration::from_micros(20);
/// How often the memory of a running command is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Follows a process group from its start to its end.
pub(super) struct Watch {
    group: libc::pid_t,
    interrupted_at: Option<Instant>,
    signals: usize,
    /// The largest resident set that was seen while it ran.
    seen_peak: Option<u64>,
    /// When to look for it again.
    next_look: Instant,
}

impl Watch {
    pub(super) fn new(group: libc::pid_t) -> Self {
        Self { group, interrupted_at: None, signals: 0, seen_peak: None, next_look: Instant::now() + TICK }
    }

    /// Whether signals were sent because of an interrupt.
    pub(super) fn interrupted(&self) -> bool {
        self.interrupted_at.is_some()
    }

    /// The largest resident set that was seen, in bytes.
    pub(super) fn seen_peak(&self) -> Option<u64> {
        self.seen_peak
    }

    /// Hands out what comes through the pipes until the leader of the group has ended.
    pub(super) fn follow(
        &mut self,
        mut pipes: Vec<(Stream, File)>,
        interrupt: &Interrupt,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Waited {
        let mut buffer = [0; 16 * 1024];
        let mut ended: Option<(Instant, Waited)> = None;
        let mut pause = SOON;
        loop {
            if let Some((at, _)) = &ended
                && (pipes.is_empty() || at.elapsed() >= DRAIN)
            {
                break;
            }
            if pipes.is_empty() {
                thread::sleep(pause);
                pause = (pause * 2).min(TICK);
            } else {
                let mut ready = ready(&pipes).into_iter();
                pipes.retain_mut(|(stream, pipe)| {
                    if ready.next() != Some(true) {
                        return true;
                    }
                    match pipe.read(&mut buffer) {
                        Ok(length) if length > 0 => output(*stream, &buffer[..length]),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Ok(_) | Err(_) => return false,
                    }
                    true
                });
            }
            if ended.is_none() {
                ended = look_for_end(self.group).map(|result| (Instant::now(), result));
                self.look();
                if interrupt.is_raised() {
                    self.press();
                }
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

/// Which of the pipes can be read without waiting; waits a little for the first.
fn ready(pipes: &[(Stream, File)]) -> Vec<bool> {
    let mut asked: Vec<PollFd<'_>> = pipes.iter().map(|(_, pipe)| PollFd::new(pipe, PollFlags::IN)).collect();
    let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
    let answered = poll(&mut asked, Some(&tick)).is_ok();
    asked.iter().map(|asked| answered && !asked.revents().is_empty()).collect()
}

/// The largest resident set of a process so far, in bytes. Known on Linux only.
pub(super) fn peak_of(process: &str) -> Option<u64> {
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

/// How a process ended and what it used; `None` while it runs.
#[expect(unsafe_code, reason = "the standard library does not give the resource use of a child")]
fn look_for_end(pid: libc::pid_t) -> Option<Waited> {
    let mut status = 0;
    // SAFETY: all zeroes is a valid `rusage`, and both pointers are to live variables of the right type.
    let (answer, usage) = loop {
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        let answer = unsafe { libc::wait4(pid, &raw mut status, libc::WNOHANG, &raw mut usage) };
        if answer >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            break (answer, usage);
        }
    };
    match answer {
        0 => return None,
        1.. => {}
        _ => return Some(Err(io::Error::last_os_error())),
    }
    // Kibibytes, but for macOS.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let peak = u64::try_from(usage.ru_maxrss).ok().filter(|peak| *peak > 0).map(|peak| peak * unit);
    Some(Ok((ExitStatus::from_raw(status), peak)))
}

#[expect(unsafe_code, reason = "the standard library cannot signal a process group")]
pub(super) fn send_signal(group: libc::pid_t, signal: libc::c_int) {
    // SAFETY: a plain system call; a group that is gone is no error that matters here.
    unsafe {
        libc::killpg(group, signal);
    }
}
