//! Who holds a lock, as it says of itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::process::{command_line, runs};
use crate::file;

/// A process that holds a lock. Of a program that is not ours only the first two are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The number of the process, on its machine.
    pub pid: u32,
    /// Its command line.
    pub cmd: String,
    /// The name of its machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When it took the lock: seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// The mark of its temporary files; see [`file::mark`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mark: String,
    /// The folders in which it may leave temporary files when it is killed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<PathBuf>,
}

impl Holder {
    /// This process, from now on.
    pub(super) fn me(cmd: String, writes: Vec<PathBuf>) -> Self {
        Self {
            pid: std::process::id(),
            cmd,
            host: host(),
            since: Some(seconds(SystemTime::now())),
            mark: file::mark().to_owned(),
            writes,
        }
    }

    /// A process of this machine of which nothing but the number is known.
    pub(super) fn of_pid(pid: u32) -> Self {
        Self { pid, cmd: command_line(pid).unwrap_or_else(|| "a process".into()), ..Self::default() }
    }

    /// What a process wrote about itself.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Keeps the note for others. That it cannot be kept (a full disk) is no reason to stop.
    pub(super) fn write(&self, path: &Path) {
        let text = serde_json::to_string(self).unwrap_or_default();
        let _ = fs::write(path, text);
    }

    /// It was killed, and the lock is still held by what it had started.
    fn is_survived(&self) -> bool {
        !self.mark.is_empty() && self.host == host() && !runs(self.pid)
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (PID {}", self.cmd, self.pid)?;
        if let Some(host) = &self.host {
            write!(f, " on {host}")?;
        }
        if let Some(since) = self.since {
            write!(f, ", for {}", lapse(seconds(SystemTime::now()).saturating_sub(since)))?;
        }
        if self.is_survived() {
            write!(f, "; it was killed, and what it started still runs")?;
        }
        write!(f, ")")
    }
}

fn seconds(moment: SystemTime) -> u64 {
    moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A time span as a person says it.
fn lapse(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The name of this machine.
pub fn host() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_named_with_all_that_is_known() {
        let mut holder = Holder { pid: 7, cmd: "dvc repro".into(), ..Holder::default() };
        assert_eq!(holder.to_string(), "dvc repro (PID 7)");
        holder.host = Some("build7".into());
        holder.since = Some(seconds(SystemTime::now()) - 200);
        assert_eq!(holder.to_string(), "dvc repro (PID 7 on build7, for 3 min)");
        for (span, words) in [(5, "5 s"), (3600, "1 h 0 min"), (7380, "2 h 3 min"), (200_000, "2 days")] {
            assert_eq!(lapse(span), words);
        }
    }

    #[test]
    fn half_a_note_is_no_note() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note");
        let me = Holder::me("matraz add".into(), vec!["/p".into()]);
        me.write(&path);
        assert_eq!(Holder::read(&path), Some(me));
        fs::write(&path, "{\"pid\": 3, \"cm").unwrap();
        assert_eq!(Holder::read(&path), None);
    }
}
