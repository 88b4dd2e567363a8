//! Databases that go away, and several servers on one database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use crate::ON_POSTGRES;
use crate::fixture::Fixture;
use crate::postgres_server::PostgresServer;

/// What the writers of a test share.
#[derive(Default)]
struct Load {
    end: AtomicBool,
    acknowledged: AtomicUsize,
}

impl Load {
    /// Waits until the writers got some more answers.
    async fn goes_on(&self) {
        let before = self.acknowledged.load(Ordering::Relaxed);
        while self.acknowledged.load(Ordering::Relaxed) < before + 50 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Logs a metric with steps that count up until the end; the steps that were acknowledged come back.
async fn log_until_end(fixture: Arc<Fixture>, run: String, key: String, load: Arc<Load>) -> Vec<i64> {
    let mut acknowledged = Vec::new();
    for step in 0.. {
        if load.end.load(Ordering::Relaxed) {
            break;
        }
        let body = json!({"run_id": run, "key": key, "value": 1.0, "timestamp": 1, "step": step});
        let (status, answer) = fixture.call(Method::POST, "runs/log-metric", body).await;
        match status.as_u16() {
            200 => {
                acknowledged.push(step);
                load.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            503 => assert_eq!(answer["error_code"], "TEMPORARILY_UNAVAILABLE"),
            other => panic!("{other}: {answer}"),
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_restarts_under_load_loses_nothing() {
    if !ON_POSTGRES {
        return;
    }
    let mut server = PostgresServer::start();
    let fixture = Arc::new(Fixture::on(&server.template(), tempfile::tempdir().unwrap()).await);
    let run = fixture.run().await;
    let load = Arc::new(Load::default());
    let writers: Vec<_> = (0..6)
        .map(|writer| {
            let (fixture, run, load) = (fixture.clone(), run.clone(), load.clone());
            tokio::spawn(log_until_end(fixture, run, format!("m{writer}"), load))
        })
        .collect();
    for _ in 0..2 {
        load.goes_on().await;
        server = tokio::task::spawn_blocking(move || {
            server.stop();
            std::thread::sleep(Duration::from_millis(200));
            server.resume();
            server
        })
        .await
        .unwrap();
    }
    load.goes_on().await;
    load.end.store(true, Ordering::Relaxed);
    for (writer, acknowledged) in writers.into_iter().enumerate() {
        let acknowledged = acknowledged.await.unwrap();
        let history =
            fixture.get(&format!("metrics/get-history?run_id={run}&metric_key=m{writer}")).await;
        let kept: Vec<i64> =
            history["metrics"].as_array().unwrap().iter().map(|point| point["step"].as_i64().unwrap()).collect();
        for step in acknowledged {
            assert!(kept.contains(&step), "step {step} of writer {writer} was acknowledged and is lost");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_servers_share_a_database() {
    let first = Arc::new(Fixture::new().await);
    let second = Arc::new(Fixture::on(&first.uri(), tempfile::tempdir().unwrap()).await);
    first.post("registered-models/create", json!({"name": "m"})).await;
    let run = first.run().await;
    let tasks: Vec<_> = (0..8)
        .map(|task: usize| {
            let fixture = [&first, &second][task % 2].clone();
            let run = run.clone();
            tokio::spawn(async move {
                let source = format!("mlflow-artifacts:/0/{run}/artifacts/x");
                let mut versions = Vec::new();
                for round in 0..10 {
                    let made = json!({"name": "m", "source": source, "run_id": run});
                    let made = fixture.post("model-versions/create", made).await;
                    let version = made["model_version"]["version"].as_str().unwrap().to_owned();
                    let alias = json!({"name": "m", "alias": "best", "version": version});
                    fixture.post("registered-models/alias", alias).await;
                    let stage = json!({"name": "m", "version": version, "stage": "Production",
                        "archive_existing_versions": true});
                    fixture.post("model-versions/transition-stage", stage).await;
                    versions.push(version.parse::<i64>().unwrap());
                    // Every task logs the same points and params, in an order of its own.
                    let step = (round + task) % 10;
                    let metric = json!({"key": "m", "value": step, "timestamp": step, "step": step});
                    let other = json!({"key": "n", "value": -1.0, "timestamp": task, "step": round});
                    let batch = json!({"run_id": run, "metrics": [metric, other],
                        "params": [{"key": format!("p{step}"), "value": "v"}],
                        "tags": [{"key": "mlflow.runName", "value": format!("{task}")}, {"key": "t", "value": "1"}]});
                    fixture.post("runs/log-batch", batch).await;
                    let name = json!({"name": format!("e{step}")});
                    let (status, answer) = fixture.call(Method::POST, "experiments/create", name).await;
                    assert!(status == 200 || answer["error_code"] == "RESOURCE_ALREADY_EXISTS", "{answer}");
                }
                versions
            })
        })
        .collect();
    let mut versions = Vec::new();
    for task in tasks {
        versions.extend(task.await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=80).collect::<Vec<i64>>());
    let filter = "model-versions/search?filter=name%3D%27m%27&max_results=1000";
    let found = second.get(filter).await["model_versions"].clone();
    let staged = |stage: &str| {
        found.as_array().unwrap().iter().filter(|version| version["current_stage"] == stage).count()
    };
    assert_eq!((staged("Production"), staged("Archived")), (1, 79));
    let data = second.data(&run).await;
    let latest: Vec<&Value> = data["metrics"].as_array().unwrap().iter().map(|metric| &metric["step"]).collect();
    assert_eq!(latest, [9, 9]);
    assert_eq!(data["params"].as_array().unwrap().len(), 10);
    let history = second.get(&format!("metrics/get-history?run_id={run}&metric_key=m")).await;
    assert_eq!(history["metrics"].as_array().unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_transaction_is_broken_off_is_done_again() {
    use sqlx::Connection as _;

    if !ON_POSTGRES {
        return;
    }
    let fixture = Arc::new(Fixture::new().await);
    let run = fixture.run().await;
    fixture.post("registered-models/create", json!({"name": "m"})).await;
    let source = format!("mlflow-artifacts:/0/{run}/artifacts/x");
    fixture.post("model-versions/create", json!({"name": "m", "source": source, "run_id": run})).await;
    let mut other = sqlx::PgConnection::connect(&fixture.uri()).await.unwrap();
    let mut execute = async |sql: &'static str| sqlx::query(sql).execute(&mut other).await.unwrap().rows_affected();
    // The request is to be the one that finds the deadlock, and is broken off for it.
    execute("SET deadlock_timeout = '60s'").await;
    execute("BEGIN").await;
    execute("UPDATE model_versions SET run_link = 'x' WHERE name = 'm'").await;
    let request = tokio::spawn({
        let fixture = fixture.clone();
        async move {
            let stage = json!({"name": "m", "version": "1", "stage": "Staging", "archive_existing_versions": false});
            fixture.call(Method::POST, "model-versions/transition-stage", stage).await
        }
    });
    // It holds the model and waits for the version.
    let mut watcher = sqlx::PgConnection::connect(&fixture.uri()).await.unwrap();
    loop {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut watcher).await.unwrap();
        if waiting > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(execute("UPDATE registered_models SET description = 'y' WHERE name = 'm'").await, 1);
    execute("COMMIT").await;
    let (status, answer) = request.await.unwrap();
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["model_version"]["current_stage"], "Staging");
    assert_eq!(fixture.get("registered-models/get?name=m").await["registered_model"]["description"], "y");
}
