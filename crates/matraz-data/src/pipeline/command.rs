//! Running the command of a stage: shown live, kept in a log, ended with its whole tree on an interrupt.

use std::time::{Duration, SystemTime};

use matraz_base::Progress;
use matraz_base::process::{self, Command, Input, Interrupt, Stream};

use super::logs::RunLog;
use super::run::{Piece, Show};
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
    pub exit_code: Option<i32>,
    pub started_at: SystemTime,
    pub log: std::path::PathBuf,
}

/// The commands of one stage, to be run in a thread of their own.
pub(super) struct Job<'r> {
    /// The place of the stage in the plan.
    pub step: usize,
    pub stage: Stage,
    /// The stage as the user names it.
    pub name: String,
    pub shell: &'r std::path::Path,
    pub env: Vec<(String, String)>,
    pub log: RunLog,
    /// Other commands may run beside it: it has no keyboard, and its output is shown in whole lines.
    pub shared_terminal: bool,
    pub show: Show<'r>,
    pub progress: &'r dyn Progress,
    pub interrupt: &'r Interrupt,
}

/// A job that has ended. The error is that of its commands alone.
pub(super) struct JobEnd {
    pub step: usize,
    pub log: RunLog,
    pub ran: Ran,
    pub result: Result<()>,
}

impl Job<'_> {
    /// Runs the commands one after another, each in a shell of its own, until one fails.
    pub fn run(mut self) -> JobEnd {
        let mut ran = Ran {
            wall: Duration::ZERO,
            peak_memory: None,
            exit_code: None,
            started_at: SystemTime::now(),
            log: self.log.path().to_path_buf(),
        };
        let result = self.run_all(&mut ran);
        JobEnd { step: self.step, log: self.log, ran, result }
    }

    fn run_all(&mut self, ran: &mut Ran) -> Result<()> {
        let commands: Vec<String> =
            self.stage.cmd.iter().flat_map(|cmd| cmd.lines()).map(str::to_owned).collect();
        for text in commands {
            self.announce(&text);
            let ended = self.run_one(&text)?;
            ran.wall += ended.wall;
            ran.peak_memory = ran.peak_memory.max(ended.peak_memory);
            ran.exit_code = Some(ended.code());
            if ended.interrupted {
                return Err(Error::Interrupted);
            }
            if !ended.status.success() {
                return Err(Error::CommandFailed { stage: self.name.clone(), cmd: text, code: ended.code() });
            }
        }
        Ok(())
    }

    fn announce(&mut self, text: &str) {
        let line = format!("> {text}");
        self.log.write(format!("{line}\n").as_bytes());
        if self.shared_terminal {
            let bytes = format!("{line}\n").into_bytes();
            (self.show)(&Piece { step: self.step, stage: &self.name, stream: Stream::Out, bytes: &bytes });
        } else {
            self.progress.say(&line);
        }
    }

    fn run_one(&mut self, text: &str) -> Result<process::Ended> {
        let mut command = Command::shell(self.shell, text, &self.stage.wdir);
        command.env.extend(self.env.iter().map(|(key, value)| (key.into(), value.into())));
        command.env.push(("DVC_STAGE".into(), (&self.name).into()));
        if self.shared_terminal {
            command.input = Input::Nothing;
        }
        let (step, show) = (self.step, self.show);
        let name = self.name.as_str();
        let log = &mut self.log;
        let mut tell = |stream, bytes: &[u8]| show(&Piece { step, stage: name, stream, bytes });
        let mut lines = Lines::default();
        let shared = self.shared_terminal;
        let ended = process::run(&command, self.interrupt, &mut |stream, bytes| {
            log.write(bytes);
            match shared {
                true => lines.push(stream, bytes, &mut tell),
                false => tell(stream, bytes),
            }
        });
        lines.finish(&mut tell);
        ended.map_err(|source| Error::CommandNotRun { cmd: text.to_owned(), source })
    }
}

/// Puts pieces of output together to whole lines.
#[derive(Default)]
struct Lines {
    out: Vec<u8>,
    err: Vec<u8>,
}

/// A line that grows beyond this is told in parts.
const LONGEST_LINE: usize = 64 * 1024;

impl Lines {
    fn push(&mut self, stream: Stream, bytes: &[u8], tell: &mut dyn FnMut(Stream, &[u8])) {
        let pending = match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        };
        for &byte in bytes {
            if byte == b'\n' || pending.len() >= LONGEST_LINE {
                tell_line(stream, pending, tell);
            }
            if byte != b'\n' {
                pending.push(byte);
            }
        }
    }

    fn finish(mut self, tell: &mut dyn FnMut(Stream, &[u8])) {
        for (stream, pending) in [(Stream::Out, &mut self.out), (Stream::Err, &mut self.err)] {
            if !pending.is_empty() {
                tell_line(stream, pending, tell);
            }
        }
    }
}

/// Of a line that was written over again and again, as progress bars are, only the last state is told.
fn tell_line(stream: Stream, pending: &mut Vec<u8>, tell: &mut dyn FnMut(Stream, &[u8])) {
    while pending.last() == Some(&b'\r') {
        pending.pop();
    }
    let start = pending.iter().rposition(|byte| *byte == b'\r').map_or(0, |at| at + 1);
    pending.push(b'\n');
    tell(stream, &pending[start..]);
    pending.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines() {
        let mut told = Vec::new();
        let mut lines = Lines::default();
        let mut tell = |_: Stream, line: &[u8]| told.push(String::from_utf8_lossy(line).into_owned());
        lines.push(Stream::Out, b"a\r\nb", &mut tell);
        lines.push(Stream::Err, b"x\n", &mut tell);
        lines.push(Stream::Out, b"c\n\n 10%\r 90%\r100%\r\nd", &mut tell);
        lines.finish(&mut tell);
        assert_eq!(told, ["a\n", "x\n", "bc\n", "\n", "100%\n", "d\n"]);
    }
}
