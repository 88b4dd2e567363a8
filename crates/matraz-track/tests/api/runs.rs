use axum::http::Method;
use serde_json::json;

use crate::fixture::{Fixture, pairs};

const INVALID: &str = "INVALID_PARAMETER_VALUE";
const MISSING: &str = "RESOURCE_DOES_NOT_EXIST";

#[tokio::test]
async fn a_new_run_has_mlflows_shape() {
    let fixture = Fixture::new().await;
    let body = json!({"experimentId": "0", "start_time": "1700000000000", "user_id": "me", "news": 1,
        "tags": [{"key": "any!", "value": "v"}]});
    let made = fixture.post("runs/create", body).await;
    let info = &made["run"]["info"];
    let id = info["run_id"].as_str().unwrap();
    let name = info["run_name"].as_str().unwrap();
    assert_eq!(
        *info,
        json!({"run_uuid": id, "experiment_id": "0", "run_name": name, "user_id": "me", "status": "RUNNING",
            "start_time": 1_700_000_000_000_i64, "artifact_uri": format!("mlflow-artifacts:/0/{id}/artifacts"),
            "lifecycle_stage": "active", "run_id": id})
    );
    assert_eq!(id.len(), 32);
    assert_eq!(pairs(&made["run"]["data"]["tags"]), json!({"any!": "v", "mlflow.runName": name}));
    // As with MLflow, a run that is read has outputs, one that was just made has none.
    let mut read = made.clone();
    read["run"]["outputs"] = json!({});
    assert_eq!(fixture.get(&format!("runs/get?run_uuid={id}")).await, read);
    let data = &made["run"]["data"];
    assert!(
        data.get("metrics").is_none() && data.get("params").is_none() && made["run"]["inputs"] == json!({})
    );
}

#[tokio::test]
async fn the_name_and_its_tag_stay_equal() {
    let fixture = Fixture::new().await;
    let tagged = json!({"experiment_id": "0", "tags": [{"key": "mlflow.runName", "value": "by tag"}]});
    let made = fixture.post("runs/create", tagged).await;
    assert_eq!(made["run"]["info"]["run_name"], "by tag");
    let id = made["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let both = async || {
        let run = fixture.get(&format!("runs/get?run_id={id}")).await["run"].clone();
        (
            run["info"]["run_name"].as_str().unwrap().to_owned(),
            pairs(&run["data"]["tags"])["mlflow.runName"].clone(),
        )
    };
    for (path, body, want) in [
        ("runs/update", json!({"run_id": id, "run_name": "two"}), "two"),
        ("runs/update", json!({"run_id": id, "run_name": ""}), "two"),
        ("runs/set-tag", json!({"run_id": id, "key": "mlflow.runName", "value": "three"}), "three"),
        (
            "runs/log-batch",
            json!({"run_id": id, "tags": [{"key": "mlflow.runName", "value": "four"}]}),
            "four",
        ),
    ] {
        fixture.post(path, body).await;
        assert_eq!(both().await, (want.to_owned(), json!(want)), "{path}");
    }
    let clash =
        json!({"experiment_id": "0", "run_name": "a", "tags": [{"key": "mlflow.runName", "value": "b"}]});
    fixture.refused(Method::POST, "runs/create", clash, 400, INVALID).await;
}

#[tokio::test]
async fn updates_change_only_what_they_name() {
    let fixture = Fixture::new().await;
    let id = fixture.run().await;
    let info = fixture.post("runs/update", json!({"run_id": id, "end_time": 2000})).await["run_info"].clone();
    assert_eq!((&info["status"], &info["end_time"]), (&json!("RUNNING"), &json!(2000)));
    for (status, name) in [(json!("FAILED"), "FAILED"), (json!(3), "FINISHED"), (json!("KILLED"), "KILLED")] {
        let info =
            fixture.post("runs/update", json!({"run_id": id, "status": status})).await["run_info"].clone();
        assert_eq!((&info["status"], &info["end_time"]), (&json!(name), &json!(2000)));
    }
    fixture.refused(Method::POST, "runs/update", json!({"run_id": id, "status": "DONE"}), 400, INVALID).await;
}

#[tokio::test]
async fn deleted_runs_are_read_only() {
    let fixture = Fixture::new().await;
    let id = fixture.run().await;
    for _ in 0..2 {
        fixture.post("runs/delete", json!({"run_id": id})).await;
    }
    for (path, body) in [
        ("runs/update", json!({"run_id": id, "status": "FINISHED"})),
        ("runs/log-metric", json!({"run_id": id, "key": "m", "value": 1, "timestamp": 1})),
        ("runs/log-parameter", json!({"run_id": id, "key": "p", "value": "1"})),
        ("runs/set-tag", json!({"run_id": id, "key": "t", "value": "1"})),
        ("runs/delete-tag", json!({"run_id": id, "key": "t"})),
        ("runs/log-batch", json!({"run_id": id})),
        ("runs/log-inputs", json!({"run_id": id})),
    ] {
        let message = fixture.refused(Method::POST, path, body, 400, INVALID).await;
        assert_eq!(
            message,
            format!("The run {id} must be in the 'active' state. Current state is deleted."),
            "{path}"
        );
    }
    fixture.post("runs/restore", json!({"run_id": id})).await;
    fixture.post("runs/set-tag", json!({"run_id": id, "key": "t", "value": "1"})).await;
}

#[tokio::test]
async fn unknown_runs_and_experiments() {
    let fixture = Fixture::new().await;
    let id = "e".repeat(32);
    fixture.refused(Method::GET, &format!("runs/get?run_id={id}"), json!({}), 404, MISSING).await;
    for path in ["runs/update", "runs/delete", "runs/restore", "runs/log-batch", "runs/log-inputs"] {
        fixture.refused(Method::POST, path, json!({"run_id": id}), 404, MISSING).await;
    }
    fixture.refused(Method::POST, "runs/create", json!({"experiment_id": "99"}), 404, MISSING).await;
    for body in [json!({}), json!({"experiment_id": "x"})] {
        fixture.refused(Method::POST, "runs/create", body, 400, INVALID).await;
    }
    fixture.refused(Method::POST, "runs/log-batch", json!({"run_id": "a b"}), 400, INVALID).await;
}
