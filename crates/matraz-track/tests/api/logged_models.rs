use axum::http::Method;
use serde_json::{Value, json};

use crate::fixture::{Fixture, pairs};

async fn make(fixture: &Fixture, body: Value) -> String {
    let mut whole = json!({"experiment_id": "0"});
    whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let made = fixture.post("logged-models", whole).await;
    made["model"]["info"]["model_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_model_from_its_making_to_its_end() {
    let fixture = Fixture::new().await;
    let run = fixture.run().await;
    let body = json!({
        "experiment_id": "0", "name": "mod", "source_run_id": run, "model_type": "clf",
        "params": [{"key": "p", "value": "1"}], "tags": [{"key": "t", "value": "2"}],
    });
    let made = fixture.post("logged-models", body).await;
    let info = &made["model"]["info"];
    let id = info["model_id"].as_str().unwrap();
    assert!(id.len() == 34 && id.starts_with("m-"), "{id}");
    assert_eq!(
        (&info["status"], &info["artifact_uri"]),
        (&json!("LOGGED_MODEL_PENDING"), &json!(format!("mlflow-artifacts:/0/models/{id}/artifacts")))
    );
    assert_eq!(
        (pairs(&made["model"]["data"]["params"]), pairs(&info["tags"])),
        (json!({"p": "1"}), json!({"t": "2"}))
    );

    let path = format!("logged-models/{id}");
    let (_, ready) =
        fixture.call(Method::PATCH, &path, json!({"model_id": id, "status": "LOGGED_MODEL_READY"})).await;
    assert_eq!(ready["model"]["info"]["status"], "LOGGED_MODEL_READY");
    fixture
        .call(
            Method::PATCH,
            &format!("{path}/tags"),
            json!({"tags": [{"key": "t", "value": "3"}, {"key": "u", "value": "4"}]}),
        )
        .await;
    fixture.call(Method::DELETE, &format!("{path}/tags/u"), json!({})).await;
    fixture
        .refused(Method::DELETE, &format!("{path}/tags/u"), json!({}), 404, "RESOURCE_DOES_NOT_EXIST")
        .await;
    let param = json!({"model_id": id, "params": [{"key": "q", "value": "9"}]});
    fixture.post(&format!("{path}/params"), param.clone()).await;
    fixture.refused(Method::POST, &format!("{path}/params"), param, 400, "BAD_REQUEST").await;
    let metric = json!({"run_id": run, "key": "acc", "value": 0.5, "timestamp": 5, "step": 2, "model_id": id, "dataset_name": "ds", "dataset_digest": "1"});
    fixture.post("runs/log-metric", metric).await;
    let got = fixture.get(&path).await["model"].clone();
    assert_eq!(
        (pairs(&got["info"]["tags"]), pairs(&got["data"]["params"])),
        (json!({"t": "3"}), json!({"p": "1", "q": "9"}))
    );
    assert_eq!(got["data"]["metrics"][0]["value"], 0.5);
    assert_eq!(got["data"]["metrics"][0]["run_id"], json!(run));

    assert_eq!(fixture.call(Method::DELETE, &path, json!({})).await.0, 200);
    fixture.refused(Method::GET, &path, json!({}), 404, "RESOURCE_DOES_NOT_EXIST").await;
    assert_eq!(fixture.get(&format!("{path}?allow_deleted=true")).await["model"]["info"]["model_id"], id);
    let found = fixture.post("logged-models/search", json!({"experiment_ids": ["0"]})).await;
    assert_eq!(found, json!({}));
}

#[tokio::test]
async fn faulty_models_are_refused() {
    let fixture = Fixture::new().await;
    for name in ["a/b", "a:b", "a.b", "a%b", "a\"b", "a'b"] {
        let body = json!({"experiment_id": "0", "name": name});
        fixture.refused(Method::POST, "logged-models", body, 400, "INVALID_PARAMETER_VALUE").await;
    }
    fixture.refused(Method::POST, "logged-models", json!({}), 400, "INVALID_PARAMETER_VALUE").await;
    fixture
        .refused(
            Method::POST,
            "logged-models",
            json!({"experiment_id": "99"}),
            404,
            "RESOURCE_DOES_NOT_EXIST",
        )
        .await;
    fixture.post("experiments/create", json!({"name": "gone"})).await;
    fixture.post("experiments/delete", json!({"experiment_id": "1"})).await;
    fixture
        .refused(Method::POST, "logged-models", json!({"experiment_id": "1"}), 400, "INVALID_PARAMETER_VALUE")
        .await;
    let twice =
        json!({"experiment_id": "0", "params": [{"key": "p", "value": "1"}, {"key": "p", "value": "1"}]});
    fixture.refused(Method::POST, "logged-models", twice, 400, "BAD_REQUEST").await;
    let found = fixture.post("logged-models/search", json!({"experiment_ids": ["0"]})).await;
    assert_eq!(found, json!({}), "nothing of a refused model is kept");
}

#[tokio::test]
async fn runs_know_their_models() {
    let fixture = Fixture::new().await;
    let run = fixture.run().await;
    let id = make(&fixture, json!({"name": "m"})).await;
    let outputs = json!({"run_id": run, "models": [{"model_id": id, "step": 3}]});
    fixture.post("runs/outputs", outputs.clone()).await;
    fixture.refused(Method::POST, "runs/outputs", outputs, 400, "BAD_REQUEST").await;
    let got = fixture.get(&format!("runs/get?run_id={run}")).await;
    assert_eq!(got["run"]["outputs"]["model_outputs"], json!([{"model_id": id, "step": 3}]));

    let mlmodel = json!({"artifact_path": "m", "flavors": {"a": {"x": 1, "config": {}}}, "utc_time_created": "2020", "run_id": run});
    fixture.post("runs/log-model", json!({"run_id": run, "model_json": mlmodel.to_string()})).await;
    let tags = pairs(&fixture.data(&run).await["tags"]);
    let want = format!(
        "[{{\"run_id\": \"{run}\", \"artifact_path\": \"m\", \"utc_time_created\": \"2020\", \"model_uuid\": null, \
         \"flavors\": {{\"a\": {{\"x\": 1}}}}}}]"
    );
    assert_eq!(tags["mlflow.log-model.history"], json!(want));
    for wrong in ["x", "{}"] {
        let body = json!({"run_id": run, "model_json": wrong});
        fixture.refused(Method::POST, "runs/log-model", body, 400, "INVALID_PARAMETER_VALUE").await;
    }
}

#[tokio::test]
async fn searches() {
    let fixture = Fixture::new().await;
    let run = fixture.run().await;
    for (index, (name, kind, accuracy)) in [
        ("one", "clf", Some(0.1)),
        ("two", "clf", Some(0.9)),
        ("three", "reg", Some(0.5)),
        ("Four", "", None),
    ]
    .into_iter()
    .enumerate()
    {
        let params = json!([{"key": "k", "value": index.to_string()}]);
        let id = make(&fixture, json!({"name": name, "model_type": kind, "params": params})).await;
        if let Some(value) = accuracy {
            let dataset = if index < 2 { "ds" } else { "other" };
            let metric = json!({"run_id": run, "key": "acc", "value": value, "timestamp": 1, "model_id": id, "dataset_name": dataset, "dataset_digest": "1"});
            fixture.post("runs/log-metric", metric).await;
        }
    }
    let find = async |mut body: Value| {
        body["experiment_ids"] = json!(["0"]);
        if body.get("order_by").is_none() {
            body["order_by"] = json!([{"field_name": "name"}]);
        }
        let found = fixture.post("logged-models/search", body).await;
        let names = found["models"].as_array().cloned().unwrap_or_default();
        let names: Vec<String> =
            names.iter().map(|m| m["info"]["name"].as_str().unwrap().to_owned()).collect();
        (names.join(" "), found["next_page_token"].as_str().map(str::to_owned))
    };
    for (filter, want) in [
        ("name = 'two'", "two"),
        ("name LIKE 't%'", "three two"),
        ("model_type = 'clf' AND metrics.acc > 0.4", "two"),
        ("params.k = '2'", "three"),
        ("params.k = 2", "three"),
        ("name IN ('one', 'Four')", "Four one"),
        ("status = 'PENDING'", "Four one three two"),
        ("status != 'PENDING'", ""),
        ("creation_time > 0", "Four one three two"),
    ] {
        assert_eq!(find(json!({ "filter": filter })).await.0, want, "{filter}");
    }
    let by_metric =
        |ascending: bool| json!({"order_by": [{"field_name": "metrics.acc", "ascending": ascending}]});
    assert_eq!(find(by_metric(true)).await.0, "one three two Four");
    assert_eq!(find(by_metric(false)).await.0, "two three one Four");
    for dataset in [json!({"dataset_name": "ds"}), json!({"dataset_name": "ds", "dataset_digest": "1"})] {
        assert_eq!(find(json!({ "datasets": [dataset] })).await.0, "one two");
    }
    assert_eq!(find(json!({"datasets": [{"dataset_name": "ds", "dataset_digest": "2"}]})).await.0, "");
    let (first, token) = find(json!({"max_results": 3})).await;
    let token = token.unwrap();
    let (rest, end) = find(json!({"max_results": 3, "page_token": token})).await;
    assert_eq!((first.as_str(), rest.as_str(), end), ("Four one three", "two", None));
    for wrong in [
        json!({"filter": "bogus = 'x'"}),
        json!({"filter": "status = 'DONE'"}),
        json!({"filter": "metrics.acc > 'x'"}),
        json!({"filter": "a = 'x' OR b = 'y'"}),
        json!({"order_by": [{"field_name": "params.x"}]}),
        json!({"datasets": [{}]}),
        json!({"max_results": -1}),
        json!({"page_token": "x"}),
        json!({"page_token": token, "filter": "name = 'other'"}),
    ] {
        let mut body = wrong.clone();
        body["experiment_ids"] = json!(["0"]);
        fixture.refused(Method::POST, "logged-models/search", body, 400, "INVALID_PARAMETER_VALUE").await;
    }
    let empty = fixture.post("logged-models/search", json!({"experiment_ids": []})).await;
    assert_eq!(empty, json!({}));
}
