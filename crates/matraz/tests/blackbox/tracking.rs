//! The tracking server and its stores: what survives a kill, and what older versions of MLflow left.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::workspace::Workspace;

/// A tracking server that is killed when the test ends.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    pub fn start(w: &Workspace, arguments: &[&str]) -> Self {
        Self::listening(w.command(&[&["server", "-p", "0"], arguments].concat()))
    }

    /// Any program that says where it listens.
    pub fn listening(mut command: std::process::Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
        Self { child, address: address.unwrap().to_owned() }
    }

    /// SIGKILL: nothing is written out any more.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The steps of a metric of a run, in the order in which the server has them.
    pub fn steps(&self, run: &str, metric: &str) -> Vec<i64> {
        let path = format!("metrics/get-history?run_id={run}&metric_key={metric}&max_results=25000");
        let history = Self::ask(&self.address, "GET", &path, "").unwrap();
        let points = history["metrics"].as_array().unwrap_or_else(|| panic!("{history}"));
        points.iter().map(|point| point["step"].as_i64().unwrap()).collect()
    }

    /// The body of an answer with status 200; `None` when there is no whole answer.
    pub fn ask(address: &str, method: &str, path: &str, body: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(address).ok()?;
        let request = format!(
            "{method} /api/2.0/mlflow/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).ok()
    }
}

#[test]
fn a_killed_server_lost_nothing_that_it_acknowledged() {
    let w = Workspace::git();
    let mut kept = 0;
    let mut wanted: Vec<(String, i64)> = Vec::new();
    for _round in 0..3 {
        let mut server = Server::start(&w, &[]);
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let (address, acknowledged) = (server.address.clone(), acknowledged.clone());
                std::thread::spawn(move || {
                    let ask = |path: &str, body: &str| Server::ask(&address, "POST", path, body);
                    let run = ask("runs/create", r#"{"experiment_id": "0"}"#);
                    let run = run.and_then(|run| Some(run.pointer("/run/info/run_id")?.as_str()?.to_owned()));
                    let Some(run) = run else { return (String::new(), 0) };
                    for step in 0.. {
                        let body = format!(
                            r#"{{"run_id": "{run}", "key": "m", "value": {step}, "timestamp": 1, "step": {step}}}"#
                        );
                        if ask("runs/log-metric", &body).is_none() {
                            return (run, step);
                        }
                        acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                    unreachable!()
                })
            })
            .collect();
        while acknowledged.load(Ordering::Relaxed) < 100 {
            std::thread::yield_now();
        }
        server.kill();
        wanted.extend(writers.into_iter().map(|writer| writer.join().unwrap()));
    }
    let server = Server::start(&w, &[]);
    for (run, count) in wanted.into_iter().filter(|(_, count)| *count > 0) {
        let steps = server.steps(&run, "m");
        for step in 0..count {
            assert!(steps.contains(&step), "step {step} of {count} is lost");
        }
        kept += count;
    }
    assert!(kept >= 300);
}

#[test]
fn a_folder_of_runs_is_shown_and_copied() {
    let w = Workspace::git();
    let meta = |id: &str, name: &str| {
        format!(
            "artifact_location: file:///old/{id}\nexperiment_id: '{id}'\nlifecycle_stage: active\nname: {name}\n"
        )
    };
    w.write("mlruns/0/meta.yaml", &meta("0", "Default"));
    w.write("mlruns/417/meta.yaml", &meta("417", "wine"));
    let run = "mlruns/417/0123456789abcdef0123456789abcdef";
    w.write(
        &format!("{run}/meta.yaml"),
        "artifact_uri: file:///old/x\nend_time: 2\nlifecycle_stage: active\nrun_id: 0123456789abcdef0123456789abcdef\n\
         run_name: calm-owl-1\nstart_time: 1\nstatus: 3\nuser_id: ann\n",
    );
    w.write(&format!("{run}/metrics/acc"), "1 0.75 0\n");
    w.matraz(&["runs", "list"]).succeeds().prints(&["calm-owl-1", "0.75"]);
    w.matraz(&["experiments", "create", "-n", "new"])
        .fails()
        .says(&["can only be read", "migrate-filestore"]);
    assert!(!w.path("mlflow.db").exists());
    let target = ["--source", "mlruns", "--target", "sqlite:///mlflow.db"];
    w.matraz(&[&["migrate-filestore"], &target[..]].concat()).succeeds();
    w.matraz(&[&["mlflow", "migrate-filestore"], &target[..]].concat()).fails().says(&["not empty"]);
    w.matraz(&["runs", "list", "--experiment", "wine", "--all"]).succeeds().prints(&["calm-owl-1"]);
    w.matraz(&["db", "upgrade", "sqlite:///mlflow.db"]).succeeds().prints(&["already"]);
    w.matraz(&["db", "upgrade", "mysql://ann:secret@host/db"]).fails().says(&["mysql"]);
}

#[test]
fn prometheus_reads_what_the_server_counts() {
    let w = Workspace::git();
    let server = Server::start(&w, &["--expose-prometheus", "counters"]);
    Server::ask(&server.address, "POST", "runs/create", r#"{"experiment_id": "0"}"#).unwrap();
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.contains("mlflow_http_request_total{method=\"POST\",status=\"200\"} 1"), "{page}");
    assert!(page.contains("content-type: text/plain; version=0.0.4"), "{page}");
}

#[test]
fn a_crowd_is_served_whole_in_bounded_memory() {
    let w = Workspace::git();
    let server = Server::start(&w, &[]);
    let ask = |path: &str, body: &str| Server::ask(&server.address, "POST", path, body).unwrap();
    let new_run = || {
        ask("runs/create", r#"{"experiment_id": "0"}"#)["run"]["info"]["run_id"].as_str().unwrap().to_owned()
    };
    let shared = new_run();
    let (clients, steps) = (200, 8);
    let runs: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|client| {
                let (ask, new_run, shared) = (&ask, &new_run, &shared);
                scope.spawn(move || {
                    // Eight of them log to one run.
                    let (run, key) = if client < 8 {
                        (shared.clone(), format!("m{client}"))
                    } else {
                        (new_run(), "m".to_owned())
                    };
                    for step in 0..steps {
                        let metric =
                            format!(r#""key": "{key}", "value": {step}, "timestamp": 1, "step": {step}"#);
                        ask("runs/log-metric", &format!(r#"{{"run_id": "{run}", {metric}}}"#));
                    }
                    run
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for (client, run) in runs.iter().enumerate() {
        let key = if client < 8 { format!("m{client}") } else { "m".to_owned() };
        assert_eq!(server.steps(run, &key).len(), steps, "client {client}");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    assert!(kib < 200 << 10, "{kib} KiB");
}

#[test]
fn deleted_runs_go_through_the_trash() {
    let w = Workspace::git();
    w.matraz(&["init"]).succeeds();
    let made = w.matraz(&["mlflow", "runs", "create", "--experiment-name", "x"]).succeeds().json();
    let run = made["run_id"].as_str().unwrap().to_owned();
    w.write("note.txt", "hi\n");
    w.matraz(&["mlflow", "artifacts", "log-artifact", "-l", "note.txt", "-r", &run]).succeeds();
    w.matraz(&["runs", "delete", "--run-id", &run]).succeeds();
    w.matraz(&["runs", "gc", "--dry-run"]).succeeds().prints(&[&run, "Nothing was changed."]);
    w.matraz(&["runs", "gc"]).succeeds().prints(&["Moved 1 run (3 B)", "--undo"]);
    let trash = w.matraz(&["runs", "gc", "--list-trash", "--json"]).succeeds().json();
    assert_eq!(trash[0]["items"][0]["id"], run.as_str());
    assert!(w.git_do(&["status", "--porcelain"]).lines().all(|line| !line.contains("mlartifacts")));
    w.matraz(&["runs", "gc", "--undo"]).succeeds().prints(&["Brought back 1 run"]);
    w.matraz(&["runs", "restore", "--run-id", &run]).succeeds();
    w.matraz(&["artifacts", "list", "-r", &run]).succeeds().prints(&["note.txt"]);
    w.matraz(&["runs", "gc", "--undo"]).fails().says(&["the trash is empty"]);
    w.matraz(&["runs", "delete", "--run-id", &run]).succeeds();
    w.matraz(&["runs", "gc"]).succeeds();
    w.matraz(&["runs", "gc", "--empty-trash"]).succeeds().prints(&["Removed 1 run (3 B) for good."]);
    w.matraz(&["mlflow", "runs", "describe", "--run-id", &run]).fails().says(&["not found"]);
}
