use axum::http::Method;
use serde_json::{Value, json};

use crate::fixture::{Fixture, pairs};

fn input(name: &str, digest: &str, context: Option<&str>) -> Value {
    let tags: Vec<Value> =
        context.iter().map(|context| json!({"key": "mlflow.data.context", "value": context})).collect();
    json!({"tags": tags, "dataset": {"name": name, "digest": digest, "source_type": "local", "source": "{}", "schema": "{\"a\": 1}"}})
}

#[tokio::test]
async fn inputs_are_kept_once_with_their_first_tags() {
    let fixture = Fixture::new().await;
    let id = fixture.run().await;
    for context in ["training", "other"] {
        fixture
            .post(
                "runs/log-inputs",
                json!({"run_id": id, "datasets": [input("d", "1", Some(context)), input("d", "2", None)]}),
            )
            .await;
    }
    let run = fixture.get(&format!("runs/get?run_id={id}")).await["run"].clone();
    let inputs = run["inputs"]["dataset_inputs"].as_array().unwrap();
    assert_eq!(inputs.len(), 2);
    assert_eq!(pairs(&inputs[0]["tags"]), json!({"mlflow.data.context": "training"}));
    assert_eq!(inputs[0]["dataset"], input("d", "1", None)["dataset"]);
    assert!(inputs[1].get("tags").is_none());
}

#[tokio::test]
async fn limits() {
    let fixture = Fixture::new().await;
    let id = fixture.run().await;
    for (field, length) in [("name", 500), ("digest", 36), ("source", 65_535), ("schema", 1_048_575)] {
        let mut sent = input("d", "1", None);
        sent["dataset"][field] = json!("x".repeat(length));
        fixture.post("runs/log-inputs", json!({"run_id": id, "datasets": [sent]})).await;
        let mut sent = input("d", "1", None);
        sent["dataset"][field] = json!("x".repeat(length + 1));
        let body = json!({"run_id": id, "datasets": [sent]});
        fixture.refused(Method::POST, "runs/log-inputs", body, 400, "INVALID_PARAMETER_VALUE").await;
    }
}

#[tokio::test]
async fn filters_and_summaries() {
    let fixture = Fixture::new().await;
    let experiment = fixture.experiment("e").await;
    let mut names = std::collections::HashMap::new();
    for (name, sent) in [
        ("a", input("iris", "111", Some("train"))),
        ("b", input("Iris-2", "222", Some("eval"))),
        ("c", input("wine", "333", None)),
    ] {
        let made = fixture.post("runs/create", json!({"experiment_id": experiment})).await;
        let id = made["run"]["info"]["run_id"].as_str().unwrap().to_owned();
        fixture.post("runs/log-inputs", json!({"run_id": id, "datasets": [sent]})).await;
        names.insert(id, name);
    }
    for (filter, want) in [
        ("dataset.name = 'iris'", "a"),
        ("datasets.name LIKE 'iris%'", "a"),
        ("dataset.name ILIKE 'iris%'", "ab"),
        ("dataset.digest IN ('111', '333')", "ac"),
        ("dataset.digest NOT IN ('111', '333')", "b"),
        ("dataset.context = 'train'", "a"),
        ("dataset.context != 'train'", "b"),
        ("dataset.name != 'wine' AND dataset.context = 'eval'", "b"),
    ] {
        let found =
            fixture.post("runs/search", json!({"experiment_ids": [experiment], "filter": filter})).await;
        let mut got: Vec<&str> = found["runs"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|run| names[run["info"]["run_id"].as_str().unwrap()])
            .collect();
        got.sort_unstable();
        assert_eq!(got.concat(), want, "{filter}");
    }
    let summaries = fixture
        .post("/ajax-api/2.0/mlflow/experiments/search-datasets", json!({"experiment_ids": [experiment]}))
        .await;
    let got: Vec<(&str, Option<&str>)> = summaries["dataset_summaries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|summary| (summary["name"].as_str().unwrap(), summary["context"].as_str()))
        .collect();
    assert_eq!(got, [("Iris-2", Some("eval")), ("iris", Some("train")), ("wine", None)]);
    for ids in [json!([]), json!(vec!["1"; 21]), json!(["x"])] {
        let body = json!({"experiment_ids": ids});
        fixture
            .refused(Method::POST, "experiments/search-datasets", body, 400, "INVALID_PARAMETER_VALUE")
            .await;
    }
}
