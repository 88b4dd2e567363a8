//! One worker process: started, told to load the model, ended with everything that it started.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use matraz_base::Value;
use tokio::io::BufReader;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::frame::Frame;
use crate::Error;
use crate::scoring::json;

/// What a worker runs.
const SCRIPT: &str = concat!(include_str!("together.py"), "\n\n", include_str!("worker.py"));
/// How long a worker gets to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// How workers are started.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The Python of the model's environment.
    pub python: PathBuf,
    /// The model directory.
    pub model: PathBuf,
    /// Variables on top of those that are inherited.
    pub env: Vec<(OsString, OsString)>,
}

/// A process that has loaded the model.
#[derive(Debug)]
pub(super) struct Running {
    pub child: Child,
    pub input: ChildStdin,
    pub output: BufReader<ChildStdout>,
    /// The version of the environment's MLflow.
    pub version: String,
    /// How many requests it works on at once.
    pub slots: usize,
}

impl Worker {
    /// Starts a process and waits until the model is loaded. It leads a process group of its own, so that Ctrl-C
    /// reaches this program only and everything that the model starts can be ended with it. It ends by itself
    /// when its input does, that is when this program is gone.
    pub(super) async fn start(&self) -> Result<Running, Error> {
        let failed = |source| Error::Python { python: self.python.clone(), source };
        let mut child = Command::new(&self.python)
            .args(["-c", SCRIPT])
            .arg(&self.model)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(io::ErrorKind::BrokenPipe.into()));
        };
        let mut output = BufReader::with_capacity(64 << 10, output);
        let Ok(first) = Frame::read(&mut output).await else {
            drop(input);
            let status = end(&mut child).await;
            return Err(Error::WorkerEnded { python: self.python.clone(), how: how_ended(status) });
        };
        let told = json::parse(&first.body).unwrap_or(Value::Null);
        let text = |key: &str| told.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        if first.head == "ready" {
            let slots = match told.get("slots") {
                Some(Value::Int(slots)) => usize::try_from(*slots).unwrap_or(1).max(1),
                _ => 1,
            };
            return Ok(Running { child, input, output, version: text("version"), slots });
        }
        drop(input);
        end(&mut child).await;
        let (python, reason) = (self.python.clone(), text("reason"));
        Err(match text("kind").as_str() {
            "mlflow" => Error::NoMlflow { python, reason },
            _ => Error::NotLoaded { path: self.model.clone(), python, reason },
        })
    }
}

impl Worker {
    /// Predicts once for the rows of a file, with MLflow's own program for that: reads standard input when there is
    /// no `input`, writes to standard output when there is no `output`. `form` is `json` or `csv`.
    pub fn predict(&self, form: &str, input: Option<&Path>, output: Option<&Path>) -> Result<(), Error> {
        let mut command = std::process::Command::new(&self.python);
        command.args([
            "-m",
            "mlflow.pyfunc._mlflow_pyfunc_backend_predict",
            "--content-type",
            form,
            "--model-uri",
        ]);
        command.arg(&self.model).envs(self.env.iter().map(|(name, value)| (name, value)));
        for (option, path) in [("--input-path", input), ("--output-path", output)] {
            if let Some(path) = path {
                command.arg(option).arg(path);
            }
        }
        let failed = |source| Error::Python { python: self.python.clone(), source };
        let status = command.status().map_err(failed)?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Predict { python: self.python.clone(), code: status.code().unwrap_or(-1) })
    }
}

/// Ends the process and its whole group. Its input must be closed already: it ends by itself then, or is killed
/// after a while.
pub(super) async fn end(child: &mut Child) -> Option<ExitStatus> {
    let group = child.id();
    let ended = tokio::time::timeout(GRACE, child.wait()).await;
    // Also what the model started and left behind.
    kill(group);
    match ended {
        Ok(status) => status.ok(),
        Err(_) => child.wait().await.ok(),
    }
}

/// Kills the process group that the process `leader` leads.
#[expect(unsafe_code, reason = "the standard library cannot signal a process group")]
pub(super) fn kill(leader: Option<u32>) {
    if let Some(group) = leader.and_then(|id| libc::pid_t::try_from(id).ok()) {
        // SAFETY: a plain system call; a group that is gone is no error that matters here.
        unsafe {
            libc::killpg(group, libc::SIGKILL);
        }
    }
}

/// The end of a process in words.
pub(super) fn how_ended(status: Option<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.map(|status| (status.code(), status.signal())) {
        Some((Some(code), _)) => format!("it ended with {code}"),
        Some((_, Some(signal))) => format!("it was ended by signal {signal}"),
        _ => "it ended".to_owned(),
    }
}
