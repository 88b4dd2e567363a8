//! Running the command of a stage: shown live, kept in a log, ended with its whole tree on an interrupt.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use matraz_base::process::{self, Command, Stream};

use super::run::Runner;
use crate::stage::Stage;
use crate::{Error, Result};

/// Why a stage failed, and what is known of its command when that ran.
#[derive(Debug)]
pub(super) struct Failed {
    pub error: Error,
    pub ran: Option<Ran>,
}

impl From<Error> for Box<Failed> {
    fn from(error: Error) -> Self {
        Box::new(Failed { error, ran: None })
    }
}

/// How a command ran.
#[derive(Clone, Debug)]
pub(super) struct Ran {
    pub wall: Duration,
    pub peak_memory: Option<u64>,
    pub started_at: SystemTime,
    pub log: PathBuf,
}

/// Runs the commands of stage `n` one after another, each in a shell of its own.
pub(super) fn run(
    runner: &Runner<'_>,
    n: usize,
    name: &str,
    env: &[(String, String)],
) -> Result<Ran, Box<Failed>> {
    let stage = &runner.stages[n];
    let mut log = Log::open(runner, stage)?;
    let mut ran =
        Ran { wall: Duration::ZERO, peak_memory: None, started_at: SystemTime::now(), log: log.path.clone() };
    runner.progress.say(&format!("Running stage '{name}':"));
    for text in stage.cmd.iter().flat_map(|cmd| cmd.lines()) {
        runner.progress.say(&format!("> {text}"));
        log.write(format!("> {text}\n").as_bytes());
        let mut command = Command::shell(&runner.options.shell, text, &stage.wdir);
        let common = [("DVC_STAGE".to_owned(), name.to_owned())];
        for (key, value) in runner.options.env.iter().chain(&common).chain(env) {
            command.env.push((key.into(), value.into()));
        }
        let mut lines = Lines::default();
        let ended = process::run(&command, runner.interrupt, &mut |stream, bytes| {
            (runner.options.show)(stream, bytes);
            log.write(bytes);
            lines.push(stream, bytes, &mut |line| runner.watcher.stage_output(stage, line));
        });
        lines.finish(&mut |line| runner.watcher.stage_output(stage, line));
        let ended = match ended {
            Ok(ended) => ended,
            Err(source) => {
                let error = Error::CommandNotRun { cmd: text.to_owned(), source };
                return Err(Box::new(Failed { error, ran: Some(ran) }));
            }
        };
        ran.wall += ended.wall;
        ran.peak_memory = ran.peak_memory.max(ended.peak_memory);
        if ended.interrupted {
            return Err(Box::new(Failed { error: Error::Interrupted, ran: Some(ran) }));
        }
        if !ended.status.success() {
            let error = Error::CommandFailed {
                stage: name.to_owned(),
                cmd: text.to_owned(),
                code: ended.code(),
                log: log.path.clone(),
            };
            return Err(Box::new(Failed { error, ran: Some(ran) }));
        }
    }
    Ok(ran)
}

/// The file that keeps what the commands of a stage wrote.
struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    fn open(runner: &Runner<'_>, stage: &Stage) -> Result<Self> {
        let name = stage.address.display(&runner.repo.root);
        let path = log_path(&runner.repo.state_dir(), &name);
        let folder = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let file = File::create(&path).map_err(Error::io("write", &path))?;
        Ok(Self { path, file })
    }

    /// A full disk must not stop the command, whose output the user sees anyway.
    fn write(&mut self, bytes: &[u8]) {
        let _ = self.file.write_all(bytes);
    }
}

/// Where the output of the stage of this name is kept.
pub fn log_path(state_dir: &Path, name: &str) -> PathBuf {
    let safe: String =
        name.chars().map(|c| if c.is_alphanumeric() || "._-@".contains(c) { c } else { '_' }).collect();
    state_dir.join("logs").join(format!("{safe}.log"))
}

/// Puts pieces of output together to lines.
#[derive(Default)]
struct Lines {
    out: Vec<u8>,
    err: Vec<u8>,
}

/// A line that grows beyond this is told in parts.
const LONGEST_LINE: usize = 64 * 1024;

impl Lines {
    fn push(&mut self, stream: Stream, bytes: &[u8], tell: &mut dyn FnMut(&str)) {
        let pending = match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        };
        for &byte in bytes {
            if byte == b'\n' || pending.len() >= LONGEST_LINE {
                tell(String::from_utf8_lossy(pending).trim_end_matches('\r'));
                pending.clear();
            }
            if byte != b'\n' {
                pending.push(byte);
            }
        }
    }

    fn finish(self, tell: &mut dyn FnMut(&str)) {
        for pending in [self.out, self.err] {
            if !pending.is_empty() {
                tell(&String::from_utf8_lossy(&pending));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines() {
        let mut told = Vec::new();
        let mut lines = Lines::default();
        let mut tell = |line: &str| told.push(line.to_owned());
        lines.push(Stream::Out, b"a\r\nb", &mut tell);
        lines.push(Stream::Err, b"x\n", &mut tell);
        lines.push(Stream::Out, b"c\n\nd", &mut tell);
        lines.finish(&mut tell);
        assert_eq!(told, ["a", "x", "bc", "", "d"]);
    }

    #[test]
    fn logs_have_safe_names() {
        let path = log_path(Path::new("/s"), "../sub/dvc.yaml:a@b c");
        assert_eq!(path, Path::new("/s/logs/.._sub_dvc.yaml_a@b_c.log"));
    }
}
