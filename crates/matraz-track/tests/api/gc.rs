//! Removal for good: what is marked goes with its artifacts, what is not stays.

use axum::body::Body;
use axum::http::{Method, Request};
use matraz_track::gc::trash::{self, TrashError};
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

#[tokio::test]
async fn the_trash_gives_back_what_it_took_until_it_is_emptied() {
    let f = Fixture::new().await;
    let (keep, drop) = (f.experiment("keep").await, f.experiment("drop").await);
    let (goes, restored_meanwhile) = (run_with_file(&f, &keep).await, run_with_file(&f, &keep).await);
    let with_experiment = model_with_file(&f, &drop).await;
    for run in [&goes, &restored_meanwhile] {
        f.post("runs/delete", json!({"run_id": run})).await;
    }
    f.post("experiments/delete", json!({"experiment_id": drop})).await;
    let plan = async || {
        let mut plan = gc::plan(&mut f.service.db().read().await.unwrap(), &Wanted::default(), 0).await.unwrap();
        let held = trash::held(&f.service).unwrap();
        plan.retain(|doomed| !held.contains(&doomed.id));
        plan
    };
    let download = async |run: &str| {
        let request = Request::get(format!("/get-artifact?run_id={run}&path=d/file.txt")).header("host", "localhost");
        f.send(request.body(Body::empty()).unwrap()).await.0
    };
    assert!(matches!(trash::undo(&f.service, None).await, Err(TrashError::Empty)));

    let taken = trash::take(&f.service, &plan().await, "one").await.unwrap();
    assert_eq!((taken.name.as_str(), taken.items.len(), taken.bytes()), ("one", 4, 3));
    assert_eq!((files(&f), plan().await), (0, Vec::new()));
    // Rows are there, as deleted as they were.
    let found = f.get(&format!("runs/get?run_id={goes}")).await;
    assert_eq!((&found["run"]["info"]["lifecycle_stage"], found["run"]["data"]["params"][0]["value"].as_str()), (&json!("deleted"), Some("1")));
    let wrong = trash::undo(&f.service, Some("two")).await.unwrap_err();
    assert!(matches!(&wrong, TrashError::NoSuchRemoval { known, .. } if known == &["one"]), "{wrong}");
    let back = trash::undo(&f.service, Some("one")).await.unwrap();
    assert_eq!((back.restored.len(), back.stays.len(), files(&f)), (4, 0, 3));
    f.post("runs/restore", json!({"run_id": goes})).await;
    assert_eq!(download(&goes).await, 200);
    f.post("runs/delete", json!({"run_id": goes})).await;

    let names = async |name: &str| trash::take(&f.service, &plan().await, name).await.unwrap().name;
    assert_eq!(names("one").await, "one");
    assert_eq!(names("one").await, "one-002", "an empty plan of the same second");
    f.post("runs/restore", json!({"run_id": restored_meanwhile})).await;
    let emptied = trash::empty(&f.service, None).await.unwrap();
    assert_eq!((emptied.removed.len(), emptied.restored.len()), (3, 1));
    assert_eq!(download(&restored_meanwhile).await, 200);
    assert!(!exists(&f, &format!("runs/get?run_id={goes}")).await);
    assert!(!exists(&f, &format!("logged-models/{with_experiment}")).await);
    assert!(!exists(&f, &format!("experiments/get?experiment_id={drop}")).await);
    assert_eq!((files(&f), f.folder().join("mlartifacts.trash").exists()), (1, false));
}
