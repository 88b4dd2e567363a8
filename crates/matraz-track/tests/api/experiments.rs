use axum::http::Method;
use serde_json::json;

use crate::fixture::Fixture;

#[tokio::test]
async fn the_default_experiment_is_there() {
    let fixture = Fixture::new().await;
    let got = fixture.get("experiments/get?experiment_id=0").await;
    let experiment = &got["experiment"];
    assert_eq!(experiment["name"], "Default");
    assert_eq!(experiment["artifact_location"], "mlflow-artifacts:/0");
    let message = fixture
        .refused(Method::GET, "experiments/get?experiment_id=77", json!({}), 404, "RESOURCE_DOES_NOT_EXIST")
        .await;
    assert_eq!(message, "No Experiment with id=77 exists");
}
