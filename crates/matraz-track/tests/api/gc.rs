//! Removal for good: what is marked goes with its artifacts, what is not stays.

use axum::body::Body;
use axum::http::{Method, Request};
use matraz_track::gc::{self, Doomed, Kind, Wanted};
use serde_json::{Value, json};

use crate::fixture::Fixture;

async fn run_with_file(f: &Fixture, experiment: &str) -> String {
    let made = f.post("runs/create", json!({"experiment_id": experiment, "start_time": 1000})).await;
    let info = &made["run"]["info"];
    let id = info["run_id"].as_str().unwrap().to_owned();
    f.post("runs/log-metric", json!({"run_id": id, "key": "m", "value": 1.0, "timestamp": 1})).await;
    f.post("runs/log-parameter", json!({"run_id": id, "key": "p", "value": "1"})).await;
    f.post("runs/set-tag", json!({"run_id": id, "key": "t", "value": "1"})).await;
    put(f, info["artifact_uri"].as_str().unwrap()).await;
    id
}

async fn model_with_file(f: &Fixture, experiment: &str) -> String {
    let body = json!({"experiment_id": experiment, "name": "n", "params": [{"key": "a", "value": "1"}]});
    let made = f.post("logged-models", body).await;
    let info = &made["model"]["info"];
    put(f, info["artifact_uri"].as_str().unwrap()).await;
    info["model_id"].as_str().unwrap().to_owned()
}

async fn put(f: &Fixture, uri: &str) {
    let below = uri.strip_prefix("mlflow-artifacts:/").unwrap();
    let path = format!("/api/2.0/mlflow-artifacts/artifacts/{below}/d/file.txt");
    let request = Request::put(path).header("host", "localhost").body(Body::from("x")).unwrap();
    assert_eq!(f.send(request).await.0, 200);
}

async fn collect(f: &Fixture, wanted: Wanted) -> Vec<Doomed> {
    let now = jiff::Timestamp::now().as_millisecond();
    let plan = gc::plan(&mut f.service.db().read().await.unwrap(), &wanted, now).await.unwrap();
    for doomed in &plan {
        assert!(gc::remove_artifacts(&f.service, doomed).await.unwrap());
        gc::remove_rows(&f.service, doomed).await.unwrap();
    }
    plan
}

/// Files below the artifact root.
fn files(f: &Fixture) -> usize {
    fn count(folder: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
    }
    count(&f.folder().join("mlartifacts"))
}

async fn exists(f: &Fixture, path: &str) -> bool {
    let (status, _): (_, Value) = f.call(Method::GET, path, json!({})).await;
    status == 200
}

#[tokio::test]
async fn what_is_marked_goes_and_the_rest_stays() {
    let f = Fixture::new().await;
    let (keep, drop) = (f.experiment("keep").await, f.experiment("drop").await);
    let (stays, goes) = (run_with_file(&f, &keep).await, run_with_file(&f, &keep).await);
    f.post("runs/delete", json!({"run_id": goes})).await;
    let (model_stays, model_goes) = (model_with_file(&f, &keep).await, model_with_file(&f, &keep).await);
    assert_eq!(f.call(Method::DELETE, &format!("logged-models/{model_goes}"), json!({})).await.0, 200);
    let with_experiment = run_with_file(&f, &drop).await;
    model_with_file(&f, &drop).await;
    f.post("experiments/set-experiment-tag", json!({"experiment_id": drop, "key": "k", "value": "v"})).await;
    f.post("experiments/delete", json!({"experiment_id": drop})).await;
    assert_eq!(files(&f), 6);

    // Nothing is old enough, and what is not marked cannot be named.
    assert_eq!(collect(&f, Wanted { older_than: Some(3_600_000), ..Wanted::default() }).await, []);
    let wrong = [
        Wanted { runs: Some(vec![stays.clone()]), ..Wanted::default() },
        Wanted { runs: Some(vec!["0".repeat(32)]), ..Wanted::default() },
        Wanted { models: Some(vec![model_stays.clone()]), ..Wanted::default() },
        Wanted { experiments: Some(vec![keep.clone()]), ..Wanted::default() },
        Wanted { runs: Some(vec![goes.clone()]), older_than: Some(3_600_000), ..Wanted::default() },
    ];
    for wanted in wrong {
        let mut session = f.service.db().read().await.unwrap();
        let now = jiff::Timestamp::now().as_millisecond();
        assert!(gc::plan(&mut session, &wanted, now).await.is_err(), "{wanted:?}");
    }
    let only = Wanted { runs: Some(vec![goes.clone()]), only_named: true, ..Wanted::default() };
    let removed = collect(&f, only).await;
    assert_eq!(removed.iter().map(|one| (one.kind, one.id.as_str())).collect::<Vec<_>>(), [(Kind::Run, goes.as_str())]);
    assert_eq!(files(&f), 5);
    assert!(!exists(&f, &format!("runs/get?run_id={goes}")).await);

    let kinds: Vec<Kind> = collect(&f, Wanted::default()).await.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [Kind::Run, Kind::LoggedModel, Kind::LoggedModel, Kind::Experiment]);
    assert_eq!(files(&f), 2);
    assert!(!exists(&f, &format!("runs/get?run_id={with_experiment}")).await);
    assert!(!exists(&f, &format!("experiments/get?experiment_id={drop}")).await);
    assert!(exists(&f, &format!("runs/get?run_id={stays}")).await);
    assert!(exists(&f, &format!("logged-models/{model_stays}")).await);
    // The name is free again.
    f.experiment("drop").await;
    assert_eq!(collect(&f, Wanted::default()).await, []);
}
