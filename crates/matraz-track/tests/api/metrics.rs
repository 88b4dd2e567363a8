use axum::http::Method;
use serde_json::{Value, json};

use crate::fixture::Fixture;

async fn fill(fixture: &Fixture, run: &str, count: i64, same_step: bool) {
    let points: Vec<Value> = (0..count)
        .map(|n| json!({"key": "m", "value": n, "timestamp": n, "step": if same_step { 0 } else { n }}))
        .collect();
    for chunk in points.chunks(1000) {
        fixture.post("runs/log-batch", json!({"run_id": run, "metrics": chunk})).await;
    }
}

fn values(answer: &Value) -> Vec<i64> {
    answer["metrics"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|point| point["timestamp"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn history_is_in_the_order_of_time_step_and_value() {
    let fixture = Fixture::new().await;
    let id = fixture.run().await;
    for (step, timestamp, value) in [(3, 10, 1.0), (1, 20, 5.0), (2, 10, 7.0), (2, 10, 6.0)] {
        let body = json!({"run_id": id, "key": "m", "value": value, "timestamp": timestamp, "step": step});
        fixture.post("runs/log-metric", body).await;
    }
    let answer = fixture.get(&format!("metrics/get-history?run_id={id}&metric_key=m")).await;
    let got: Vec<f64> =
        answer["metrics"].as_array().unwrap().iter().map(|point| point["value"].as_f64().unwrap()).collect();
    assert_eq!(got, [6.0, 7.0, 1.0, 5.0]);
    assert_eq!(fixture.get(&format!("metrics/get-history?run_id={id}&metric_key=no")).await, json!({}));
}

#[tokio::test]
async fn history_comes_in_pages_when_asked() {
    let fixture = Fixture::new().await;
    let id = fixture.run().await;
    fill(&fixture, &id, 25, false).await;
    let (mut got, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let answer = fixture
            .get(&format!("metrics/get-history?run_id={id}&metric_key=m&max_results=10&page_token={token}"))
            .await;
        got.extend(values(&answer));
        pages += 1;
        match answer["next_page_token"].as_str() {
            Some(next) => token = next.replace('=', "%3D"),
            None => break,
        }
    }
    assert_eq!((pages, got), (3, (0..25).collect()));
    for size in ["0", "-1", "x"] {
        let path = format!("metrics/get-history?run_id={id}&metric_key=m&max_results={size}");
        fixture.refused(Method::GET, &path, json!({}), 400, "INVALID_PARAMETER_VALUE").await;
    }
}

#[tokio::test]
async fn samples_keep_both_ends() {
    let fixture = Fixture::new().await;
    let id = fixture.run().await;
    fill(&fixture, &id, 1000, false).await;
    let flat = fixture.run().await;
    fill(&fixture, &flat, 50, true).await;
    let sample = async |rest: &str| {
        values(
            &fixture
                .get(&format!("/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?metric_key=m{rest}"))
                .await,
        )
    };
    assert_eq!(sample(&format!("&run_ids={id}")).await.len(), 1000);
    assert_eq!(sample(&format!("&run_ids={id}&max_results=1")).await, [999]);
    assert_eq!(sample(&format!("&run_ids={id}&max_results=2")).await, [0, 999]);
    assert_eq!(sample(&format!("&run_ids={id}&max_results=5")).await, [0, 200, 400, 600, 999]);
    assert_eq!(
        sample(&format!("&run_ids={id}&max_results=3&start_step=100&end_step=109")).await,
        [100, 104, 109]
    );
    assert_eq!(sample(&format!("&run_ids={flat}&run_ids={id}&max_results=2")).await, [0, 49, 0, 999]);
    assert!(sample("&run_ids=unknown").await.is_empty());
    for rest in [
        "",
        "&run_ids=x&max_results=0",
        "&run_ids=x&max_results=2501",
        "&run_ids=x&start_step=1",
        "&run_ids=x&start_step=2&end_step=1",
    ] {
        let path = format!("metrics/get-history-bulk-interval?metric_key=m{rest}");
        fixture.refused(Method::GET, &path, json!({}), 400, "INVALID_PARAMETER_VALUE").await;
    }
}

#[tokio::test]
async fn bulk_history_goes_by_run_and_stops_at_the_limit() {
    let fixture = Fixture::new().await;
    let mut ids = [fixture.run().await, fixture.run().await];
    ids.sort();
    for id in &ids {
        fill(&fixture, id, 3, false).await;
    }
    let path =
        format!("metrics/get-history-bulk?run_id={}&run_id={}&metric_key=m&max_results=5", ids[1], ids[0]);
    let answer = fixture.get(&path).await;
    let runs: Vec<&str> =
        answer["metrics"].as_array().unwrap().iter().map(|point| point["run_id"].as_str().unwrap()).collect();
    assert_eq!(values(&answer), [0, 1, 2, 0, 1]);
    assert_eq!(runs, [&ids[0], &ids[0], &ids[0], &ids[1], &ids[1]]);
    fixture
        .refused(
            Method::GET,
            "metrics/get-history-bulk?metric_key=m",
            json!({}),
            400,
            "INVALID_PARAMETER_VALUE",
        )
        .await;
}
