//! Evaluation datasets: records that are merged by their inputs, tags, links to experiments.

use axum::http::Method;
use serde_json::{Value, json};

use crate::fixture::Fixture;

const DATASETS: &str = "/api/3.0/mlflow/datasets";

fn parsed(text: &Value) -> Value {
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn records_are_merged_by_their_inputs() {
    let fixture = Fixture::new().await;
    let body = json!({"name": "d", "experiment_ids": ["0"], "tags": "{\"a\": \"b\", \"n\": 5}"});
    let made = fixture.post(&format!("{DATASETS}/create"), body).await["dataset"].clone();
    assert_eq!((parsed(&made["tags"]), &made["experiment_ids"]), (json!({"a": "b", "n": "5"}), &json!(["0"])));
    let path = format!("{DATASETS}/{}", made["dataset_id"].as_str().unwrap());
    let add = async |records: Value| {
        fixture.post(&format!("{path}/records"), json!({"records": records.to_string()})).await
    };
    let first = json!([{"inputs": {"q": "a", "n": 1}, "expectations": {"e": 1.5},
        "source": {"source_type": "TRACE", "source_data": {"trace_id": "tr-1"}}}, {"inputs": {"q": "b"}, "outputs": [1]}]);
    assert_eq!(add(first).await, json!({"inserted_count": 2, "updated_count": 0}));
    let again = json!([{"inputs": {"n": 1, "q": "a"}, "expectations": {"y": true}, "tags": {"k": "v"}}]);
    assert_eq!(add(again).await, json!({"inserted_count": 0, "updated_count": 1}));

    let mut records = Vec::new();
    let mut page = fixture.get(&format!("{path}/records?max_results=1")).await;
    records.extend(parsed(&page["records"]).as_array().unwrap().clone());
    let token = page["next_page_token"].as_str().unwrap().to_owned();
    page = fixture.get(&format!("{path}/records?max_results=1&page_token={token}")).await;
    records.extend(parsed(&page["records"]).as_array().unwrap().clone());
    assert!(page.get("next_page_token").is_none());
    let merged = records.iter().find(|record| record["inputs"]["q"] == "a").unwrap();
    assert_eq!(merged["expectations"], json!({"e": 1.5, "y": true}));
    assert_eq!((&merged["tags"], &merged["source_id"]), (&json!({"k": "v"}), &json!("tr-1")));
    let other = records.iter().find(|record| record["inputs"]["q"] == "b").unwrap();
    assert_eq!(other["outputs"], json!([1]));

    let dataset = fixture.get(&path).await["dataset"].clone();
    assert_eq!(parsed(&dataset["profile"]), json!({"num_records": 2}));
    assert_eq!(parsed(&dataset["schema"])["expectations"], json!({"e": "float", "y": "boolean"}));
    let ids = json!({"dataset_record_ids": [other["dataset_record_id"], "x"]});
    let (_, deleted) = fixture.call(Method::DELETE, &format!("{path}/records"), ids).await;
    assert_eq!(deleted, json!({"deleted_count": 1}));
    let path = format!("{path}/records");
    let refused = fixture.refused(Method::POST, &path, json!({"records": "x"}), 400, "INVALID_PARAMETER_VALUE").await;
    assert!(refused.contains("JSON list"), "{refused}");
}

#[tokio::test]
async fn searches_tags_and_links() {
    let fixture = Fixture::new().await;
    let other = fixture.experiment("other").await;
    let made = fixture.post(&format!("{DATASETS}/create"), json!({"name": "d1", "experiment_ids": ["0"]})).await;
    let path = format!("{DATASETS}/{}", made["dataset"]["dataset_id"].as_str().unwrap());
    fixture.call(Method::PATCH, &format!("{path}/tags"), json!({"tags": "{\"a\": \"b\", \"c\": \"d\"}"})).await;
    fixture.call(Method::DELETE, &format!("{path}/tags/c"), json!({})).await;
    fixture.post(&format!("{path}/add-experiments"), json!({"experiment_ids": [other]})).await;
    fixture.post(&format!("{path}/remove-experiments"), json!({"experiment_ids": ["0", "7"]})).await;
    let linked = fixture.get(&format!("{path}/experiment-ids")).await;
    assert_eq!(linked["experiment_ids"], json!([other]));
    let count = async |body: Value| {
        let found = fixture.post(&format!("{DATASETS}/search"), body).await;
        found["datasets"].as_array().map_or(0, Vec::len)
    };
    for (body, want) in [
        (json!({}), 1),
        (json!({"experiment_ids": [other]}), 1),
        (json!({"experiment_ids": ["0"]}), 0),
        (json!({"filter_string": "name LIKE 'd%' AND tags.a = 'b' AND created_time > 5"}), 1),
        (json!({"filter_string": "tags.c = 'd'"}), 0),
        (json!({"order_by": ["name ASC", "created_time DESC"]}), 1),
    ] {
        assert_eq!(count(body.clone()).await, want, "{body}");
    }
    let search = format!("{DATASETS}/search");
    for body in [json!({"filter_string": "bogus = 'x'"}), json!({"max_results": -1}), json!({"order_by": ["tags.a"]})] {
        fixture.refused(Method::POST, &search, body, 400, "INVALID_PARAMETER_VALUE").await;
    }
    fixture.call(Method::DELETE, &path, json!({})).await;
    fixture.refused(Method::GET, &path, json!({}), 404, "RESOURCE_DOES_NOT_EXIST").await;
    assert_eq!(count(json!({})).await, 0);
}
