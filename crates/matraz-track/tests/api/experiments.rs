use axum::http::Method;
use serde_json::json;

use crate::fixture::{Fixture, pairs};

const INVALID: &str = "INVALID_PARAMETER_VALUE";
const MISSING: &str = "RESOURCE_DOES_NOT_EXIST";

#[tokio::test]
async fn the_default_experiment_is_there() {
    let fixture = Fixture::new().await;
    let got = fixture.get("experiments/get?experiment_id=0").await;
    let experiment = &got["experiment"];
    assert_eq!(experiment["name"], "Default");
    assert_eq!(experiment["artifact_location"], "mlflow-artifacts:/0");
    assert!(experiment["creation_time"].is_i64() && experiment.get("tags").is_none());
    let message =
        fixture.refused(Method::GET, "experiments/get?experiment_id=77", json!({}), 404, MISSING).await;
    assert_eq!(message, "No Experiment with id=77 exists");
}

#[tokio::test]
async fn names_stay_taken_and_lead_back() {
    let fixture = Fixture::new().await;
    let id = fixture.experiment("näme 実験").await;
    let found = fixture.get("experiments/get-by-name?experiment_name=n%C3%A4me%20%E5%AE%9F%E9%A8%93").await;
    assert_eq!(found["experiment"]["experiment_id"], id.as_str());
    fixture.post("experiments/delete", json!({"experiment_id": id})).await;
    for name in ["näme 実験", "Default"] {
        let body = json!({"name": name});
        fixture.refused(Method::POST, "experiments/create", body, 400, "RESOURCE_ALREADY_EXISTS").await;
    }
    let other = fixture.experiment("other").await;
    let body = json!({"experiment_id": other, "new_name": "Default"});
    fixture.refused(Method::POST, "experiments/update", body, 400, "RESOURCE_ALREADY_EXISTS").await;
    for name in ["", "  ", &"n".repeat(501)] {
        fixture.refused(Method::POST, "experiments/create", json!({"name": name}), 400, INVALID).await;
    }
}

#[tokio::test]
async fn deleting_takes_the_runs_along_and_restoring_brings_them_back() {
    let fixture = Fixture::new().await;
    let id = fixture.experiment("e").await;
    let run = fixture.post("runs/create", json!({"experiment_id": id})).await;
    let run = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let stage = async || {
        fixture.get(&format!("runs/get?run_id={run}")).await["run"]["info"]["lifecycle_stage"].clone()
    };
    fixture.post("experiments/delete", json!({"experiment_id": id})).await;
    assert_eq!(stage().await, "deleted");
    for (path, status, code) in [
        ("experiments/delete", 404, MISSING),
        ("runs/create", 400, INVALID),
        ("experiments/update", 500, "INVALID_STATE"),
    ] {
        let body = json!({"experiment_id": id, "new_name": "x"});
        fixture.refused(Method::POST, path, body, status, code).await;
    }
    fixture.post("experiments/restore", json!({"experiment_id": id})).await;
    assert_eq!(stage().await, "active");
    fixture.refused(Method::POST, "experiments/restore", json!({"experiment_id": id}), 404, MISSING).await;
}

#[tokio::test]
async fn tags() {
    let fixture = Fixture::new().await;
    let body = json!({"name": "e", "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "ü"}]});
    let id = fixture.post("experiments/create", body).await["experiment_id"].clone();
    let set = "experiments/set-experiment-tag";
    fixture.post(set, json!({"experiment_id": id, "key": "a", "value": "2"})).await;
    fixture.post(set, json!({"experiment_id": id, "key": "big", "value": "v".repeat(20_000)})).await;
    fixture.post("experiments/delete-experiment-tag", json!({"experiment_id": id, "key": "b"})).await;
    let path = format!("experiments/get?experiment_id={}", id.as_str().unwrap());
    let tags = pairs(&fixture.get(&path).await["experiment"]["tags"]);
    assert_eq!((&tags["a"], tags.as_object().unwrap().len()), (&json!("2"), 2));
    for (key, value) in
        [("a!", "x".to_owned()), ("a", "v".repeat(20_001)), (&"k".repeat(251), "x".to_owned())]
    {
        fixture
            .refused(
                Method::POST,
                set,
                json!({"experiment_id": id, "key": key, "value": value}),
                400,
                INVALID,
            )
            .await;
    }
    let body = json!({"experiment_id": id, "key": "b"});
    fixture.refused(Method::POST, "experiments/delete-experiment-tag", body, 404, MISSING).await;
}

#[tokio::test]
async fn search() {
    let fixture = Fixture::new().await;
    for name in ["alpha", "beta", "Gamma"] {
        let id = fixture.experiment(name).await;
        fixture
            .post("experiments/set-experiment-tag", json!({"experiment_id": id, "key": "n", "value": name}))
            .await;
    }
    fixture.post("experiments/delete", json!({"experiment_id": "3"})).await;
    let names = async |body: serde_json::Value| {
        let found = fixture.post("experiments/search", body).await;
        let list = found["experiments"].as_array().cloned().unwrap_or_default();
        list.iter()
            .map(|experiment| experiment["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (filter, view, order, want) in [
        ("", "ACTIVE_ONLY", "name", "Default alpha beta"),
        ("", "DELETED_ONLY", "name", "Gamma"),
        ("", "ALL", "name DESC", "beta alpha Gamma Default"),
        ("name LIKE '%a'", "ALL", "experiment_id", "alpha beta Gamma"),
        ("name LIKE 'g%'", "ALL", "name", ""),
        ("name ILIKE 'g%'", "ALL", "name", "Gamma"),
        ("experiment_id IN ('1', '3')", "ALL", "name", "Gamma alpha"),
        ("experiment_id != '0'", "ACTIVE_ONLY", "name", "alpha beta"),
        ("tags.n IS NULL", "ALL", "name", "Default"),
        ("tags.n != 'alpha' AND tag.n IS NOT NULL", "ALL", "name", "Gamma beta"),
        ("creation_time > 5 AND last_update_time >= 5", "ACTIVE_ONLY", "name", "Default alpha beta"),
    ] {
        let body = json!({"max_results": 10, "filter": filter, "view_type": view, "order_by": [order]});
        assert_eq!(names(body).await, want, "{filter} {view}");
    }
    let first = fixture.get("experiments/search?max_results=2&order_by=name").await;
    let token = first["next_page_token"].as_str().unwrap();
    assert_eq!(names(json!({"max_results": 2, "order_by": ["name"], "page_token": token})).await, "beta");
    for body in [json!({}), json!({"max_results": 50_001}), json!({"max_results": 5, "filter": "name > 'a'"})]
    {
        fixture.refused(Method::POST, "experiments/search", body, 400, INVALID).await;
    }
}
