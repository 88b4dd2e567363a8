//! The one door to the terminal: results to standard output, talk to standard error.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use matraz_base::progress::{Progress, Task, Unit};

use crate::env::Env;
use crate::exit;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// `-q` in the grammar of DVC: errors only.
    Silent,
    /// `-q`: errors and results only.
    Quiet,
    /// The default.
    Normal,
    /// `-v`: more.
    Verbose,
}

/// Writes for the user. Results go to standard output, progress, warnings and errors to standard error.
pub struct Printer {
    volume: Volume,
    /// The user has not switched colours off.
    colours: bool,
    /// Colours may be used on standard error.
    colour: bool,
    bars: Option<MultiProgress>,
    tasks: Mutex<HashMap<u64, RunningTask>>,
    next: AtomicU64,
}

struct RunningTask {
    label: String,
    total: u64,
    done: u64,
    unit: Unit,
    bar: Option<ProgressBar>,
}

impl Printer {
    /// A printer for this process: colours on a terminal unless `NO_COLOR`, bars on a terminal unless quiet or CI.
    pub fn new(volume: Volume, env: &Env) -> Self {
        let terminal = io::stderr().is_terminal();
        let bars = (terminal && volume > Volume::Quiet && env.ci.is_none())
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)));
        Self {
            volume,
            colours: env.no_color.is_none(),
            colour: env.no_color.is_none() && terminal,
            bars,
            tasks: Mutex::default(),
            next: AtomicU64::new(1),
        }
    }

    /// Whether colours may be used on standard error, where errors go.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// How much is said.
    pub fn volume(&self) -> Volume {
        self.volume
    }

    /// A line of talk on standard output, silent under `-q`.
    pub fn line(&self, text: &str) {
        if self.volume > Volume::Quiet {
            self.result(text);
        }
    }

    /// A line that is the result asked for; printed under `-q` too, unless DVC does not.
    pub fn result(&self, text: &str) {
        self.raw(&format!("{text}\n"));
    }

    /// Bytes of a result as they are.
    pub fn raw(&self, text: &str) {
        if self.volume > Volume::Silent {
            self.always(text);
        }
    }

    /// Bytes of a result that DVC prints under `-q` too.
    pub fn always(&self, text: &str) {
        self.suspend(|| {
            let mut out = io::stdout().lock();
            check(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
        });
    }

    /// A result as one line of JSON, spaced and escaped as Python's `json.dumps` does by default.
    pub fn json(&self, value: &serde_json::Value) {
        self.result(&python_json(value));
    }

    /// A piece of a command's output, as it comes.
    pub fn pass(&self, to_stderr: bool, bytes: &[u8]) {
        self.suspend(|| {
            if to_stderr {
                let mut err = io::stderr().lock();
                let _ = err.write_all(bytes).and_then(|()| err.flush());
            } else {
                let mut out = io::stdout().lock();
                check(out.write_all(bytes).and_then(|()| out.flush()));
            }
        });
    }

    /// A whole line of the output of a command beside which others run: with the command's name before it, in the colour
    /// of its number on a terminal.
    pub fn labelled(&self, to_stderr: bool, number: usize, name: &str, line: &[u8]) {
        let terminal = if to_stderr { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
        let mut text = match terminal && self.colours {
            true => format!("\x1b[{}m{name} |\x1b[0m ", LABEL_COLOURS[number % LABEL_COLOURS.len()]),
            false => format!("{name} | "),
        }
        .into_bytes();
        text.extend_from_slice(line);
        self.pass(to_stderr, &text);
    }

    /// A question without a line end.
    pub fn prompt(&self, text: &str) {
        self.suspend(|| {
            let mut err = io::stderr().lock();
            let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
        });
    }

    /// A line on standard error.
    pub fn error(&self, text: &str) {
        self.suspend(|| {
            let mut err = io::stderr().lock();
            let _ = writeln!(err, "{text}");
        });
    }

    fn suspend(&self, write: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, HashMap<u64, RunningTask>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cyan, yellow, green, magenta, blue, and their bright forms; red is for errors.
const LABEL_COLOURS: [u8; 10] = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

/// A closed pipe ends the program quietly, as for any filter in a pipeline.
fn check(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() == io::ErrorKind::BrokenPipe
    {
        std::process::exit(i32::from(exit::BROKEN_PIPE));
    }
}

impl Progress for Printer {
    fn begin(&self, label: &str, total: u64, unit: Unit) -> Task {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let bar = self.bars.as_ref().map(|bars| {
            // Added before it is first drawn: what a bar of its own has drawn would stay on the screen.
            let bar = bars.add(if total == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(total) });
            let template = match (total, unit) {
                (0, _) => "{spinner} {msg} {pos}",
                (_, Unit::Bytes) => "{msg:24} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
                _ => "{msg:24} {bar:30} {pos}/{len} {per_sec} {eta}",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(label.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        self.tasks().insert(id, RunningTask { label: label.to_owned(), total, done: 0, unit, bar });
        Task(id)
    }

    fn advance(&self, task: Task, by: u64) {
        if let Some(running) = self.tasks().get_mut(&task.0) {
            running.done += by;
            if let Some(bar) = &running.bar {
                bar.inc(by);
            }
        }
    }

    fn end(&self, task: Task) {
        let Some(running) = self.tasks().remove(&task.0) else { return };
        match running.bar {
            Some(bar) => bar.finish_and_clear(),
            None if self.volume > Volume::Normal => {
                let unit = match running.unit {
                    Unit::Files => "files",
                    Unit::Bytes => "bytes",
                    Unit::Stages => "stages",
                };
                let of = if running.total > 0 { format!("/{}", running.total) } else { String::new() };
                self.error(&format!("{}: {}{of} {unit}", running.label, running.done));
            }
            None => {}
        }
    }

    fn say(&self, line: &str) {
        self.line(line);
    }

    fn warn(&self, line: &str) {
        if self.volume > Volume::Quiet {
            self.error(&format!("WARNING: {line}"));
        }
    }
}

/// JSON with `", "` and `": "` between items and everything outside ASCII escaped.
pub fn python_json(value: &serde_json::Value) -> String {
    let mut out = String::new();
    write_python_json(value, &mut out);
    out
}

fn write_python_json(value: &serde_json::Value, out: &mut String) {
    use serde_json::Value as Json;
    match value {
        Json::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push_str(", ");
                }
                write_python_json(item, out);
            }
            out.push(']');
        }
        Json::Object(map) => {
            out.push('{');
            for (n, (key, item)) in map.iter().enumerate() {
                if n > 0 {
                    out.push_str(", ");
                }
                write_python_text(key, out);
                out.push_str(": ");
                write_python_json(item, out);
            }
            out.push('}');
        }
        Json::String(text) => write_python_text(text, out),
        Json::Number(number) => match number.as_f64() {
            Some(x) if number.is_f64() => out.push_str(&matraz_base::value::python_float(x)),
            _ => out.push_str(&number.to_string()),
        },
        other => out.push_str(&other.to_string()),
    }
}

fn write_python_text(text: &str, out: &mut String) {
    let quoted = serde_json::Value::from(text).to_string();
    for letter in quoted.chars() {
        if letter.is_ascii() && letter != '\u{7f}' {
            out.push(letter);
        } else {
            let mut units = [0u16; 2];
            for unit in letter.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_looks_like_that_of_python() {
        let value = serde_json::json!({"a": [1, 1e-5, 2.0], "é": "😀\n", "n": null});
        assert_eq!(python_json(&value), r#"{"a": [1, 1e-05, 2.0], "\u00e9": "\ud83d\ude00\n", "n": null}"#);
    }
}
