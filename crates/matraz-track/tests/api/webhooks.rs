//! Webhooks, with a receiver on this machine.

use std::time::Duration;

use axum::http::Method;
use matraz_track::db::StoreUri;
use matraz_track::webhook::Options;
use matraz_track::{Service, ServiceOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::fixture::Fixture;

/// Answers every request with 200 and passes on what it got.
async fn receiver() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = String::new();
            let mut part = [0; 4096];
            loop {
                let length = stream.read(&mut part).await.unwrap();
                text.push_str(&String::from_utf8_lossy(&part[..length]));
                if length == 0 || text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.ends_with('}')) {
                    break;
                }
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 6\r\n\r\ngot it").await.unwrap();
            sender.send(text).unwrap();
        }
    });
    (url, received)
}

/// A service whose webhooks may call this machine.
async fn fixture() -> Fixture {
    let mut fixture = Fixture::new().await;
    let store = StoreUri::parse(&fixture.uri(), fixture.folder()).unwrap();
    let mut options = ServiceOptions::new(store, fixture.folder().join("mlartifacts"));
    options.webhooks =
        Options { allowed_schemes: vec!["http".to_owned()], allow_private: true, ..Options::default() };
    fixture.service = Service::open(options).await.unwrap();
    fixture
}

async fn next(received: &mut mpsc::UnboundedReceiver<String>) -> (String, Value) {
    let text = tokio::time::timeout(Duration::from_secs(60), received.recv()).await.unwrap().unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn events_of_the_registry_are_told() {
    let fixture = fixture().await;
    let (url, mut received) = receiver().await;
    let events: Vec<Value> = ["REGISTERED_MODEL", "MODEL_VERSION", "MODEL_VERSION_ALIAS", "PROMPT"]
        .iter()
        .map(|entity| json!({"entity": entity, "action": "CREATED"}))
        .collect();
    let body = json!({"name": "hook", "url": url, "events": events, "secret": "s3"});
    let made = fixture.post("webhooks", body).await["webhook"].clone();
    assert!(made.get("secret").is_none());
    let path = format!("webhooks/{}", made["webhook_id"].as_str().unwrap());

    let tested = fixture.post(&format!("{path}/test"), json!({})).await;
    assert_eq!(tested["result"], json!({"success": true, "response_status": 200, "response_body": "got it"}));
    let (head, example) = next(&mut received).await;
    assert!(head.contains("x-mlflow-signature: v1,") && head.contains("x-mlflow-delivery-id: "), "{head}");
    assert_eq!(example["data"]["name"], "example_model");

    fixture.post("registered-models/create", json!({"name": "m", "description": "d", "tags": [{"key": "a", "value": "b"}]})).await;
    let (_, told) = next(&mut received).await;
    assert_eq!((&told["entity"], &told["action"]), (&json!("registered_model"), &json!("created")));
    assert_eq!(told["data"], json!({"name": "m", "tags": {"a": "b"}, "description": "d"}));
    fixture.post("model-versions/create", json!({"name": "m", "source": "s3://b/x"})).await;
    let version = json!({"name": "m", "version": "1", "source": "s3://b/x", "run_id": null, "tags": {}, "description": null});
    assert_eq!(next(&mut received).await.1["data"], version);
    fixture.post("registered-models/alias", json!({"name": "m", "alias": "best", "version": "1"})).await;
    assert_eq!(next(&mut received).await.1["data"], json!({"name": "m", "alias": "best", "version": "1"}));
    let prompt = json!({"name": "p", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]});
    fixture.post("registered-models/create", prompt).await;
    let (_, told) = next(&mut received).await;
    assert_eq!((&told["entity"], &told["data"]["tags"]), (&json!("prompt"), &json!({})));

    let (status, changed) = fixture.call(Method::PATCH, &path, json!({"status": "DISABLED"})).await;
    assert_eq!((status.as_u16(), &changed["webhook"]["status"]), (200, &json!("DISABLED")));
    fixture.call(Method::DELETE, &path, json!({})).await;
    fixture.refused(Method::GET, &path, json!({}), 404, "RESOURCE_DOES_NOT_EXIST").await;
    assert_eq!(fixture.get("webhooks").await, json!({}));

    // Entities and actions have numbers too.
    let body = |entity: Value| json!({"name": "n", "url": url, "events": [{"entity": entity, "action": 1}]});
    let made = fixture.post("webhooks", body(json!(6))).await;
    assert_eq!(made["webhook"]["events"], json!([{"entity": "PROMPT_VERSION", "action": "CREATED"}]));
    fixture.refused(Method::POST, "webhooks", body(json!(0)), 400, "INVALID_PARAMETER_VALUE").await;
}

#[tokio::test]
async fn only_public_https_by_default() {
    let fixture = Fixture::new().await;
    let event = json!([{"entity": "REGISTERED_MODEL", "action": "CREATED"}]);
    for url in ["http://example.com", "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "https://localhost/"] {
        let body = json!({"name": "hook", "url": url, "events": event});
        fixture.refused(Method::POST, "webhooks", body, 400, "INVALID_PARAMETER_VALUE").await;
    }
}
