//! What the system says of other processes.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The command line of a running process, where the system shows it.
pub fn command_line(pid: u32) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> =
        bytes.split(|b| *b == 0).filter(|w| !w.is_empty()).map(|w| String::from_utf8_lossy(w)).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Whether a process with this number runs.
#[expect(unsafe_code, reason = "the standard library cannot ask whether a process exists")]
pub(super) fn runs(pid: u32) -> bool {
    if has_ended(pid) {
        return false;
    }
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: signal 0 is only a question.
    let answer = unsafe { libc::kill(pid, 0) };
    answer == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

/// Whether it has ended and only its parent has not asked yet how; in a container without an init process that stays
/// so for good.
pub(super) fn has_ended(pid: u32) -> bool {
    field_of_stat(pid, 0).is_some_and(|state| matches!(state.as_str(), "Z" | "X"))
}

/// Whether the process of this number was born after `moment`: the number has been given away again since.
pub(super) fn is_younger_than(pid: u32, moment: SystemTime) -> bool {
    // The unit of this field is the same on all Linux systems that matter.
    const TICKS_PER_SECOND: u64 = 100;
    let born = || -> Option<SystemTime> {
        let ticks: u64 = field_of_stat(pid, 19)?.parse().ok()?;
        let text = std::fs::read_to_string("/proc/stat").ok()?;
        let boot: u64 = text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(UNIX_EPOCH + Duration::from_secs(boot + ticks / TICKS_PER_SECOND))
    };
    // The second of the start-up is rounded.
    born().is_some_and(|born| born > moment + Duration::from_secs(2))
}

/// A field of `/proc/PID/stat`, counted from the state on.
fn field_of_stat(pid: u32, number: usize) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold any character; the state follows it.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(number).map(str::to_owned)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_process_that_has_ended_does_not_run() {
        let before = SystemTime::now();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(runs(child.id()));
        assert!(is_younger_than(child.id(), before - Duration::from_secs(10)));
        assert!(!is_younger_than(child.id(), SystemTime::now() + Duration::from_secs(10)));
        child.kill().unwrap();
        // Nobody has waited for it: the system still knows its number.
        let end = Instant::now() + Duration::from_secs(20);
        while !has_ended(child.id()) {
            assert!(Instant::now() < end, "the child does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!runs(child.id()));
        child.wait().unwrap();
        assert!(!runs(child.id()));
    }
}
