//! Many clients that log at once to a tracking server, and a count of what arrived.
//!
//! `cargo run --release -p matraz-track --example load -- http://127.0.0.1:5000 [CLIENTS] [SECONDS] [SERVER_PID]`
//!
//! Every client makes a run and logs until the time is over: single metrics and, every tenth time, a batch of twenty. An
//! answer 429 is waited out as MLflow's client does. Then every acknowledged point is looked for. The program ends with 1
//! when one is missing, or when the server answered 5xx.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What a client saw.
#[derive(Default)]
struct Seen {
    run: String,
    acknowledged: usize,
    statuses: BTreeMap<u16, usize>,
    broken: usize,
    took: Vec<Duration>,
}

async fn post(http: &reqwest::Client, url: &str, path: &str, body: &Value, seen: &mut Seen) -> Option<Value> {
    loop {
        let start = Instant::now();
        let sent = http.post(format!("{url}/api/2.0/mlflow/{path}")).json(body).send().await;
        let Ok(answer) = sent else {
            seen.broken += 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        seen.took.push(start.elapsed());
        let status = answer.status().as_u16();
        *seen.statuses.entry(status).or_default() += 1;
        match status {
            200 => return answer.json().await.ok(),
            429 | 503 => tokio::time::sleep(Duration::from_secs(1)).await,
            _ => return None,
        }
    }
}

async fn client(http: reqwest::Client, url: Arc<str>, experiment: Value, until: Instant) -> Seen {
    let mut seen = Seen::default();
    let made = post(&http, &url, "runs/create", &json!({"experiment_id": experiment}), &mut seen).await;
    let run = made.and_then(|made| Some(made.pointer("/run/info/run_id")?.as_str()?.to_owned()));
    seen.run = run.unwrap_or_default();
    let mut step = 0;
    while Instant::now() < until && !seen.run.is_empty() {
        let count = if step % 10 == 9 { 20 } else { 1 };
        let points = (step..step + count)
            .map(|step| json!({"key": "m", "value": step, "timestamp": step, "step": step}));
        let points: Vec<Value> = points.collect();
        let (path, body) = match points.as_slice() {
            [point] => {
                let mut body = point.clone();
                body["run_id"] = json!(seen.run);
                ("runs/log-metric", body)
            }
            _ => ("runs/log-batch", json!({"run_id": seen.run, "metrics": points})),
        };
        let run_is_there = post(&http, &url, path, &body, &mut seen).await.is_some();
        seen.acknowledged += if run_is_there { count } else { 0 };
        step += count;
    }
    seen
}

/// How many points of a run the server has.
async fn count(http: &reqwest::Client, url: &str, run: &str) -> usize {
    let (mut found, mut token) = (0, String::new());
    loop {
        let path =
            format!("{url}/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key=m&max_results=20000");
        let answer = http.get(format!("{path}&page_token={token}")).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        found += answer["metrics"].as_array().map_or(0, Vec::len);
        match answer["next_page_token"].as_str() {
            Some(next) => token = next.replace('=', "%3D"),
            None => return found,
        }
    }
}

/// The largest resident memory of a process, in MiB.
fn peak(pid: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    let url: Arc<str> = arguments.first().map_or("http://127.0.0.1:5000", String::as_str).into();
    let (clients, seconds) = (number(1, 2000), number(2, 60));
    let http = reqwest::Client::builder().timeout(Duration::from_secs(120)).build().unwrap();
    let name = format!("load {}", std::process::id());
    let made = post(&http, &url, "experiments/create", &json!({"name": name}), &mut Seen::default()).await;
    let experiment = made.unwrap()["experiment_id"].clone();
    let until = Instant::now() + Duration::from_secs(seconds);
    let tasks: Vec<_> = (0..clients)
        .map(|_| tokio::spawn(client(http.clone(), Arc::clone(&url), experiment.clone(), until)))
        .collect();
    let (mut all, mut lost, mut extra) = (Seen::default(), 0, 0);
    let mut runs = Vec::new();
    for task in tasks {
        let seen = task.await.unwrap();
        runs.push((seen.run, seen.acknowledged));
        all.acknowledged += seen.acknowledged;
        all.broken += seen.broken;
        all.took.extend(seen.took);
        for (status, count) in seen.statuses {
            *all.statuses.entry(status).or_default() += count;
        }
    }
    let memory = arguments.get(3).and_then(|pid| peak(pid));
    for (run, acknowledged) in runs.iter().filter(|(run, _)| !run.is_empty()) {
        let found = count(&http, &url, run).await;
        lost += acknowledged.saturating_sub(found);
        extra += found.saturating_sub(*acknowledged);
    }
    all.took.sort();
    let at = |part: usize| all.took.get(all.took.len() * part / 100).map_or(0, Duration::as_millis) as u64;
    let failed: usize =
        all.statuses.iter().filter(|(status, _)| **status >= 500).map(|(_, count)| count).sum();
    println!(
        "{}",
        json!({
            "clients": clients, "seconds": seconds, "runs": runs.len(), "acknowledged": all.acknowledged, "lost": lost,
            "unacknowledged_but_there": extra, "statuses": all.statuses.iter().map(|(status, count)| (status.to_string(), json!(count))).collect::<serde_json::Map<_, _>>(),
            "broken_connections": all.broken, "p50_ms": at(50), "p99_ms": at(99), "server_peak_mib": memory,
        })
    );
    ExitCode::from(u8::from(lost > 0 || failed > 0))
}
