use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::fixture::{Fixture, pairs};

const INVALID: &str = "INVALID_PARAMETER_VALUE";

#[tokio::test]
async fn params_never_change() {
    let fixture = Fixture::new().await;
    let id = fixture.run().await;
    let log = |value: &str| json!({"run_id": id, "key": "lr", "value": value});
    fixture.post("runs/log-parameter", log("0.1")).await;
    fixture.post("runs/log-parameter", log("0.1")).await;
    let message = fixture.refused(Method::POST, "runs/log-parameter", log("0.2"), 400, INVALID).await;
    assert!(["lr", "0.1", "0.2"].iter().all(|word| message.contains(word)), "{message}");
    let batch = json!({"run_id": id, "params": [{"key": "new", "value": "x"}, {"key": "lr", "value": "2"}],
        "metrics": [{"key": "m", "value": 1, "timestamp": 1}], "tags": [{"key": "t", "value": "v"}]});
    fixture.refused(Method::POST, "runs/log-batch", batch, 400, INVALID).await;
    let data = fixture.data(&id).await;
    assert_eq!(pairs(&data["params"]), json!({"lr": "0.1"}));
    assert!(data.get("metrics").is_none() && data["tags"].as_array().unwrap().len() == 1, "{data}");
}

#[tokio::test]
async fn long_values_are_cut_and_long_keys_refused() {
    let fixture = Fixture::new().await;
    let id = fixture.run().await;
    for (path, limit, part) in [("runs/log-parameter", 6000, "params"), ("runs/set-tag", 8000, "tags")] {
        fixture.post(path, json!({"run_id": id, "key": "long", "value": "ü".repeat(limit + 1)})).await;
        let kept = pairs(&fixture.data(&id).await[part])["long"].clone();
        assert_eq!(kept, "ü".repeat(limit));
        fixture.post(path, json!({"run_id": id, "key": "k".repeat(250), "value": ""})).await;
        let body = json!({"run_id": id, "key": "k".repeat(251), "value": ""});
        fixture.refused(Method::POST, path, body, 400, INVALID).await;
    }
}

#[tokio::test]
async fn names_must_be_clean_paths() {
    let fixture = Fixture::new().await;
    let id = fixture.run().await;
    let batch = |key: &str| {
        json!({"run_id": id, "metrics": [{"key": key, "value": 1, "timestamp": 1}],
            "params": [{"key": key, "value": "1"}], "tags": [{"key": key, "value": "1"}]})
    };
    for key in ["a b", "a/b/c", "a.b-c_d", "colon:ok", "ünïcode", "0"] {
        fixture.post("runs/log-batch", batch(key)).await;
    }
    assert_eq!(fixture.data(&id).await["metrics"].as_array().unwrap().len(), 6);
    for key in ["a!b", "a,b", "../up", "/abs", "a//b", "./a", "a/../b", ".", "#h"] {
        for (path, body) in [
            ("runs/log-metric", json!({"run_id": id, "key": key, "value": 1, "timestamp": 1})),
            ("runs/log-parameter", json!({"run_id": id, "key": key, "value": "1"})),
            ("runs/set-tag", json!({"run_id": id, "key": key, "value": "1"})),
            ("runs/log-batch", batch(key)),
        ] {
            fixture.refused(Method::POST, path, body, 400, INVALID).await;
        }
    }
}

#[tokio::test]
async fn doubles_come_back_as_they_were() {
    let fixture = Fixture::new().await;
    let id = fixture.run().await;
    for (sent, want) in [
        (json!(0.1), json!(0.1)),
        (json!(123_456_789.123_456_79), json!(123_456_789.123_456_79)),
        (json!(5e-324), json!(5e-324)),
        (json!(3), json!(3.0)),
        (json!("2.5"), json!(2.5)),
        (json!("NaN"), json!("NaN")),
        (json!("Infinity"), json!(f64::MAX)),
        (json!("-Infinity"), json!(f64::MIN)),
    ] {
        let key = format!("m{sent}").replace(['"', '+'], "");
        fixture
            .post("runs/log-metric", json!({"run_id": id, "key": key, "value": sent, "timestamp": "5"}))
            .await;
        let metrics = fixture.data(&id).await["metrics"].clone();
        let metric =
            metrics.as_array().unwrap().iter().find(|metric| metric["key"] == key.as_str()).unwrap().clone();
        assert_eq!(metric, json!({"key": key, "value": want, "timestamp": 5, "step": 0}));
    }
}

#[tokio::test]
async fn the_latest_point_is_the_one_with_the_largest_step_time_and_value() {
    let fixture = Fixture::new().await;
    let id = fixture.run().await;
    for (value, timestamp, step, latest) in [
        (1.0, 100, 5, 1.0),
        (2.0, 200, 4, 1.0),
        (3.0, 50, 5, 1.0),
        (0.5, 100, 5, 1.0),
        (9.0, 100, 5, 9.0),
        (-1.0, 1, 6, -1.0),
    ] {
        let body = json!({"run_id": id, "key": "m", "value": value, "timestamp": timestamp, "step": step});
        fixture.post("runs/log-metric", body).await;
        assert_eq!(fixture.data(&id).await["metrics"][0]["value"], latest);
    }
    let points: Vec<Value> = [(1, 3.0), (2, 1.0), (2, 7.0), (2, 4.0)]
        .map(|(step, value)| json!({"key": "b", "value": value, "timestamp": 1, "step": step}))
        .into();
    fixture.post("runs/log-batch", json!({"run_id": id, "metrics": points})).await;
    assert_eq!(pairs(&fixture.data(&id).await["metrics"]), json!({"b": 7.0, "m": -1.0}));
}

#[tokio::test]
async fn batches_have_limits() {
    let fixture = Fixture::new().await;
    let id = fixture.run().await;
    let metrics = |count: usize| -> Vec<Value> {
        (0..count).map(|step| json!({"key": "m", "value": step, "timestamp": 1, "step": step})).collect()
    };
    let keyed = |count: usize| -> Vec<Value> {
        (0..count).map(|index| json!({"key": format!("k{index}"), "value": "v"})).collect()
    };
    fixture.post("runs/log-batch", json!({"run_id": id, "metrics": metrics(1000)})).await;
    fixture
        .post(
            "runs/log-batch",
            json!({"run_id": id, "metrics": metrics(800), "params": keyed(100), "tags": keyed(100)}),
        )
        .await;
    for body in [
        json!({"run_id": id, "metrics": metrics(1001)}),
        json!({"run_id": id, "params": keyed(101)}),
        json!({"run_id": id, "tags": keyed(101)}),
        json!({"run_id": id, "metrics": metrics(950), "params": keyed(51)}),
        json!({"run_id": id, "params": [{"key": "twice", "value": "1"}, {"key": "twice", "value": "1"}]}),
    ] {
        fixture.refused(Method::POST, "runs/log-batch", body, 400, INVALID).await;
    }
    let twice = json!({"run_id": id, "tags": [{"key": "t", "value": "1"}, {"key": "t", "value": "2"}]});
    fixture.post("runs/log-batch", twice).await;
    assert_eq!(pairs(&fixture.data(&id).await["tags"])["t"], "2");
    let history = fixture.get(&format!("metrics/get-history?run_id={id}&metric_key=m")).await;
    assert_eq!(history["metrics"].as_array().unwrap().len(), 1000, "equal points are stored once");
}

#[tokio::test]
async fn writers_at_the_same_time_lose_nothing() {
    let fixture = std::sync::Arc::new(Fixture::new().await);
    let id = fixture.run().await;
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let (fixture, id) = (fixture.clone(), id.clone());
        tasks.spawn(async move {
            for step in 0..20 {
                let body = json!({"run_id": id, "key": "m", "value": writer, "timestamp": 1, "step": step});
                fixture.post("runs/log-metric", body).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let history = fixture.get(&format!("metrics/get-history?run_id={id}&metric_key=m")).await;
    assert_eq!(history["metrics"].as_array().unwrap().len(), 160);
    assert_eq!(fixture.data(&id).await["metrics"][0]["value"], 7.0);
}

#[tokio::test]
async fn malformed_requests_get_mlflows_error_body() {
    let fixture = Fixture::new().await;
    let send = async |kind: &str, body: &'static str| {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/api/2.0/mlflow/runs/log-metric")
            .header("host", "localhost");
        fixture.send(request.header("content-type", kind).body(Body::from(body)).unwrap()).await
    };
    for (kind, body, want) in [
        ("application/json", "{oops", "Missing value for required parameter 'run_id'."),
        ("application/json; charset=utf-8", "[1]", "The body of the request must be a JSON object."),
        (
            "application/json",
            r#"{"run_id": "r", "key": "k", "value": "abc", "timestamp": 1}"#,
            "Invalid value \"abc\" for parameter 'value' supplied",
        ),
        (
            "application/json",
            r#"{"run_id": "r", "runId": "s"}"#,
            "Request specifies both 'run_id' and 'runId'",
        ),
        ("text/plain", "{}", "Bad Request. Content-Type must be one of ['application/json']."),
    ] {
        let (status, answer) = send(kind, body).await;
        assert_eq!(
            (status.as_u16(), answer["error_code"].as_str()),
            (400, Some(INVALID)),
            "{body}: {answer}"
        );
        assert!(answer["message"].as_str().unwrap().starts_with(want), "{answer}");
    }
}

#[tokio::test]
async fn models_of_old_clients_are_noted_in_a_tag() {
    let fixture = Fixture::new().await;
    let id = fixture.run().await;
    for path in ["one", "two"] {
        let model = json!({"artifact_path": path, "flavors": {"f": {"config": "big", "a": 1}}, "utc_time_created": "t", "run_id": id, "signature": {}});
        fixture.post("runs/log-model", json!({"run_id": id, "model_json": model.to_string()})).await;
    }
    let tag = pairs(&fixture.data(&id).await["tags"])["mlflow.log-model.history"].clone();
    let history: Value = serde_json::from_str(tag.as_str().unwrap()).unwrap();
    assert_eq!(
        history[1],
        json!({"run_id": id, "artifact_path": "two", "utc_time_created": "t", "model_uuid": null, "flavors": {"f": {"a": 1}}})
    );
    for bad in ["{", "{}", "[]"] {
        fixture
            .refused(Method::POST, "runs/log-model", json!({"run_id": id, "model_json": bad}), 400, INVALID)
            .await;
    }
}

#[tokio::test]
async fn half_a_dataset_and_an_empty_id_are_refused() {
    let fixture = Fixture::new().await;
    let id = fixture.run().await;
    for half in ["dataset_name", "dataset_digest"] {
        let metric = json!({"key": "m", "value": 1, "timestamp": 1, half: "d"});
        let batch = json!({"run_id": id, "metrics": [metric]});
        fixture.refused(Method::POST, "runs/log-batch", batch, 400, INVALID).await;
        let mut alone = metric;
        alone["run_id"] = json!(id);
        let message = fixture.refused(Method::POST, "runs/log-metric", alone, 400, INVALID).await;
        assert!(message.starts_with("Both dataset_name and dataset_digest must be provided"), "{message}");
    }
    fixture.refused(Method::GET, "runs/get?run_uuid=", json!({}), 400, INVALID).await;
    for (path, body) in [
        ("runs/search", json!({"experiment_ids": ["0"], "filter": " "})),
        ("experiments/search", json!({"max_results": 1, "filter": " "})),
        ("logged-models/search", json!({"experiment_ids": ["0"], "filter": " "})),
    ] {
        fixture.refused(Method::POST, path, body, 400, INVALID).await;
    }
}
