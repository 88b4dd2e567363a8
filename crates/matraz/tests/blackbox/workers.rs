//! Models that only Python can load: their processes crash, hang, print and outlive nobody.
//!
//! The `mlflow` that the processes import is a small stand-in, so that the tests need a bare Python only; real MLflow
//! is compared in the interop tests.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::workspace::Workspace;

/// What a request body tells the stand-in to do.
const SCORING: &str = r#"
import collections, os, subprocess, sys, time
from mlflow.exceptions import MlflowException

Result = collections.namedtuple("Result", "response status mimetype")

def invocations(data, content_type, model, input_schema):
    words = data.decode().split()
    if words[0] == "crash":
        os.kill(os.getpid(), 9)
    if words[0] == "sleep":
        time.sleep(float(words[1]))
    if words[0] == "print":
        print("to standard output", flush=True)
        os.write(1, b"to file descriptor 1\n")
        sys.stdin.read()
    if words[0] == "child":
        child = subprocess.Popen(["sleep", "600"])
        return Result(str(child.pid), 200, "text/plain")
    if words[0] == "refuse":
        raise MlflowException("no")
    if words[0] == "raise":
        raise ValueError("bad")
    if words[0] == "big":
        return Result("x" * int(words[1]), 200, "application/json")
    if words[0] == "break":
        open(os.path.join(model.folder, "broken"), "w").close()
    return Result(f"{words[0]} {os.getpid()}", 200, "application/json")
"#;

struct Scene {
    w: Workspace,
    packages: PathBuf,
}

/// A server that is killed when the test ends.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Scene {
    fn new() -> Self {
        let w = Workspace::git();
        let packages = w.beside("packages");
        let files = [
            ("mlflow/__init__.py", "__version__ = '3.99.0'\n"),
            (
                "mlflow/exceptions.py",
                "class MlflowException(Exception):\n    def get_http_status_code(self): return 400\n    def \
                 serialize_as_json(self): return '{\"error_code\": \"BAD_REQUEST\"}'\n",
            ),
            (
                "mlflow/pyfunc/__init__.py",
                "import os\nclass Model:\n    def __init__(self, folder):\n        self.folder, self.metadata = folder, \
                 self\n        if os.path.exists(folder + '/broken'): raise ValueError('the model is \
                 broken')\n    def get_input_schema(self): return None\ndef load_model(folder): return Model(folder)\n",
            ),
            ("mlflow/pyfunc/scoring_server.py", SCORING),
        ];
        for (name, text) in files {
            fs::create_dir_all(packages.join(name).parent().unwrap()).unwrap();
            fs::write(packages.join(name), text).unwrap();
        }
        w.write("model/MLmodel", "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n");
        w.write("model/model.pkl", "never read by this program");
        Self { w, packages }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command =
            self.w.command(&[&["models", "serve", "-m", "model", "-p", "0"], arguments].concat());
        command.env("PYTHONPATH", &self.packages).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in ["MLFLOW_MODELS_WORKERS", "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "MLFLOW_ENV_ROOT"] {
            command.env_remove(name);
        }
        command
    }

    fn serve(&self, arguments: &[&str]) -> Server {
        Server::start(self.command(arguments))
    }
}

impl Server {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        // What workers say must not fill a pipe that nobody reads.
        let mut err = child.stderr.take().unwrap();
        let said = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = err.read_to_string(&mut text);
            text
        });
        let Some(address) = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()) else {
            let _ = child.kill();
            panic!("{line}{}", said.join().unwrap());
        };
        Self { address: address.to_owned(), child }
    }

    fn send(&self, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = "content-type: application/json\r\nconnection: close";
        let length = body.len();
        write!(stream, "POST /invocations HTTP/1.1\r\nhost: localhost\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}")
            .unwrap();
        stream
    }

    fn ask(&self, body: &str) -> (u16, String) {
        answer(self.send(body))
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        answer(stream)
    }

    /// Asks again and again until the answer is one that is wanted.
    fn until(&self, body: &str, wanted: impl Fn(&(u16, String)) -> bool) -> (u16, String) {
        let start = Instant::now();
        loop {
            let answer = self.ask(body);
            if wanted(&answer) {
                return answer;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{answer:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn pid(&self, word: &str) -> u32 {
        self.ask(word).1.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn is_alive(pid: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

#[track_caller]
fn ends(pid: u32) {
    let start = Instant::now();
    while is_alive(pid) {
        assert!(start.elapsed() < Duration::from_secs(30), "{pid} lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_crash_is_an_error_for_its_request_and_a_new_process_for_the_next() {
    let scene = Scene::new();
    let server = scene.serve(&[]);
    assert_eq!(server.get("/version"), (200, "3.99.0".into()));
    let first = server.pid("hello");
    let (status, body) = server.ask("crash");
    assert_eq!(status, 500);
    assert!(body.contains("INTERNAL_ERROR") && body.contains("started again"), "{body}");
    // This one waits for the new process.
    let second = server.pid("hello");
    assert_ne!(first, second);
    assert_eq!(server.get("/ping").0, 200);
    assert_eq!(server.ask("refuse"), (400, "{\"error_code\": \"BAD_REQUEST\"}".into()));
    assert_eq!(server.ask("raise"), (500, "Internal Server Error".into()));
    assert_eq!(server.ask("print").0, 200);
    let (status, body) = server.ask("big 3000000");
    assert_eq!((status, body.len()), (200, 3_000_000));
    assert_eq!(server.pid("hello"), second);
}

#[test]
fn a_model_that_cannot_be_loaded_again_is_unavailable_and_not_awaited() {
    let scene = Scene::new();
    let server = scene.serve(&[]);
    assert_eq!(server.ask("break").0, 200);
    assert_eq!(server.ask("crash").0, 500);
    let (_, body) = server.until("hello", |(status, _)| *status == 503);
    assert!(body.contains("TEMPORARILY_UNAVAILABLE") && body.contains("the model is broken"), "{body}");
    assert_eq!(server.get("/ping").0, 503);
    fs::remove_file(scene.w.path("model/broken")).unwrap();
    server.until("hello", |(status, _)| *status == 200);
    assert_eq!(server.get("/ping").0, 200);
}

#[test]
fn what_takes_too_long_is_given_up_and_does_not_block_for_ever() {
    let scene = Scene::new();
    let server = scene.serve(&["-t", "1"]);
    let first = server.pid("hello");
    // More than a process works on at once, so that all its places are taken.
    let waiting: Vec<TcpStream> = (0..40).map(|_| server.send("sleep 600")).collect();
    for stream in waiting {
        let (status, body) = answer(stream);
        assert_eq!((status, body.as_str()), (504, "Request processing time exceeded limit"));
    }
    let (_, body) = server.until("hello", |(status, _)| *status == 200);
    assert!(!body.ends_with(&format!(" {first}")), "{body}");
    ends(first);
}

#[test]
fn several_processes_and_none_outlives_the_server() {
    let scene = Scene::new();
    let mut server = scene.serve(&["--workers", "2"]);
    let slow: Vec<TcpStream> = (0..4).map(|_| server.send("sleep 0.5")).collect();
    let mut pids: Vec<String> = slow.into_iter().map(|stream| answer(stream).1).collect();
    pids.sort();
    pids.dedup();
    assert_eq!(pids.len(), 2, "{pids:?}");
    let child: u32 = server.ask("child").1.parse().unwrap();
    assert!(is_alive(child));
    let busy = server.send("sleep 600");
    // Nothing can be tidied up by a server that is killed.
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    for pid in &pids {
        ends(pid.split(' ').nth(1).unwrap().parse().unwrap());
    }
    ends(child);
    drop(busy);

    let mut server = scene.serve(&[]);
    let (pid, child) = (server.pid("hello"), server.ask("child").1.parse().unwrap());
    Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status().unwrap();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    ends(pid);
    ends(child);
}

#[test]
fn what_cannot_start_says_why() {
    let scene = Scene::new();
    let call = |arguments: &[&str], packages: Option<&str>| {
        let mut command = scene.command(arguments);
        if let Some(packages) = packages {
            command.env("PYTHONPATH", packages);
        }
        crate::workspace::Call::of(command.output().unwrap())
    };
    call(&["--env-manager", "conda"], None)
        .ends_with(2)
        .says(&["`--env-manager conda` is not supported", "virtualenv"]);
    call(&[], Some("/nowhere")).fails().says(&["has no usable mlflow", "hint:", "--env-manager"]);
    fs::write(scene.w.path("model/broken"), "").unwrap();
    call(&[], None).ends_with(1).says(&["could not load the model", "the model is broken"]);
    let mut command = scene.command(&[]);
    command.env("PATH", "/nowhere");
    crate::workspace::Call::of(command.output().unwrap()).ends_with(4).says(&["no python3 is on the PATH"]);
}

#[test]
fn an_environment_is_made_once_from_what_the_model_lists() {
    let scene = Scene::new();
    // A wheel is an archive with a list of what is in it.
    let info = scene.packages.join("mlflow-3.99.0.dist-info");
    fs::create_dir(&info).unwrap();
    fs::write(info.join("METADATA"), "Metadata-Version: 2.1\nName: mlflow\nVersion: 3.99.0\n").unwrap();
    fs::write(
        info.join("WHEEL"),
        "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    )
    .unwrap();
    fs::write(info.join("RECORD"), "").unwrap();
    let wheels = scene.w.beside("wheels");
    fs::create_dir(&wheels).unwrap();
    let wheel = wheels.join("mlflow-3.99.0-py3-none-any.whl");
    let packed = Command::new("python3")
        .args(["-m", "zipfile", "-c", wheel.to_str().unwrap(), "mlflow", "mlflow-3.99.0.dist-info"])
        .current_dir(&scene.packages)
        .status();
    assert!(packed.unwrap().success());
    scene.w.write("model/python_env.yaml", "build_dependencies: []\ndependencies:\n- -r requirements.txt\n");
    scene.w.write("model/requirements.txt", "mlflow==3.99.0\n");
    let environments = scene.w.beside("environments");
    let command = |wheels: &str| {
        let mut command = scene.command(&["--env-manager", "virtualenv"]);
        command.env_remove("PYTHONPATH").env("MLFLOW_ENV_ROOT", &environments);
        command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", wheels);
        command
    };
    // Half an environment is no environment.
    let failed = crate::workspace::Call::of(command("/nowhere").output().unwrap());
    failed.ends_with(1).says(&["cannot make the environment", "pip install"]);
    assert_eq!(Server::start(command(wheels.to_str().unwrap())).get("/version"), (200, "3.99.0".into()));
    // The second time nothing is installed.
    assert_eq!(Server::start(command("/nowhere")).get("/version"), (200, "3.99.0".into()));
}
