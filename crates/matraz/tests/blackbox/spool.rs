//! `matraz spool` and `matraz sync` between processes that are killed.

use std::time::Duration;

use serde_json::json;

use crate::tracking::Server;
use crate::workspace::Workspace;

fn free_port() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// A server on a port of its own, with a store that outlives it.
fn serve(w: &Workspace, port: &str) -> Server {
    let store = format!("sqlite:///{}", w.beside("server.db").display());
    let artifacts = w.beside("server").display().to_string();
    let place = ["--backend-store-uri", &store, "--artifacts-destination", &artifacts];
    Server::listening(w.command(&[&["server", "--port", port], &place[..]].concat()))
}

#[test]
fn spool_and_server_are_killed_again_and_again_and_every_acknowledged_call_arrives_once() {
    let w = Workspace::git();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let start = || {
        let mut command = w.command(&["spool", "--dir", "waiting", "--listen", "0"]);
        command.env("MLFLOW_TRACKING_URI", &url);
        Server::listening(command)
    };
    let mut acknowledged: Vec<(String, i64)> = Vec::new();
    for round in 0..6 {
        let mut server = (round % 3 != 0).then(|| serve(&w, &port));
        let mut spool = start();
        let ask = |path: &str, body: serde_json::Value| {
            Server::ask(&spool.address, "POST", path, &body.to_string())
        };
        let made =
            ask("runs/create", json!({"experiment_id": "0", "run_name": format!("round {round}")})).unwrap();
        let run = made["run"]["info"]["run_id"].as_str().unwrap().to_owned();
        for step in 0..40 {
            if step == 15 {
                // The server goes away and comes back while the training runs.
                server = match server.take() {
                    Some(_) => None,
                    None => Some(serve(&w, &port)),
                };
            }
            ask(
                "runs/log-metric",
                json!({"run_id": run, "key": "m", "value": step, "timestamp": step, "step": step}),
            )
            .unwrap();
        }
        acknowledged.push((run, 40));
        // It may be delivering just now.
        std::thread::sleep(Duration::from_millis(37 * round));
        spool.kill();
    }
    let server = serve(&w, &port);
    let synced = w.matraz(&["sync", "waiting", "--json"]).succeeds().json();
    assert_eq!((&synced["waiting"], &synced["refused"]), (&json!(0), &json!([])), "{synced}");
    let found = Server::ask(&server.address, "POST", "runs/search", r#"{"experiment_ids": ["0"]}"#).unwrap();
    assert_eq!(found["runs"].as_array().map(Vec::len), Some(acknowledged.len()));
    for (run, count) in acknowledged {
        assert_eq!(server.steps(&run, "m"), (0..count).collect::<Vec<_>>(), "{run}");
    }
}

#[test]
fn a_training_gets_the_address_of_the_spool_and_keeps_its_exit_code() {
    let w = Workspace::git();
    let url = format!("http://127.0.0.1:{}", free_port());
    let uri = [("MLFLOW_TRACKING_URI", url.as_str())];
    let script = "echo $MLFLOW_TRACKING_URI > address; exit 3";
    w.matraz_with(&["spool", "--", "sh", "-c", script], &uri).ends_with(3);
    let address = w.read("address");
    assert!(address.starts_with("http://127.0.0.1:") && address.trim() != url, "{address}");
    assert!(!w.path("matraz-spool").exists(), "nothing was logged, and nothing is left");
    w.matraz_with(&["spool", "--", "no-such-program"], &uri).fails().says(&["no-such-program"]);
    w.matraz(&["sync"]).ends_with(4).says(&["no spool"]);
    w.matraz(&["spool", "--", "true"]).ends_with(2).says(&["no server"]);
}
