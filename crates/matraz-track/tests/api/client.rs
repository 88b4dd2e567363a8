use std::net::Ipv4Addr;
use std::path::Path;

use matraz_base::{Explain, Kind};
use matraz_track::client::{Client, ClientError, RemoteOptions};
use serde_json::json;

use crate::fixture::Fixture;

/// The same service in-process and behind a socket.
async fn both(fixture: &Fixture) -> [Client; 2] {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = fixture.service.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    [Client::local(fixture.service.router()), Client::remote(&url).unwrap()]
}

#[tokio::test]
async fn json_goes_both_ways() {
    let fixture = Fixture::new().await;
    for (index, client) in both(&fixture).await.iter().enumerate() {
        let name = format!("ü/{index} &=?");
        let made = client.post("experiments/create", &json!({ "name": name })).await.unwrap();
        let got = client.get("experiments/get-by-name", &[("experiment_name", &name)]).await.unwrap();
        assert_eq!(got["experiment"]["experiment_id"], made["experiment_id"]);
        let error = client.get("runs/get", &[("run_id", "nope")]).await.unwrap_err();
        assert!(error.is_missing(), "{error:?}");
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Missing, "Run with id=nope not found"));
        let error = client.post("runs/create", &json!({"experiment_id": "x"})).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), (Some("INVALID_PARAMETER_VALUE"), Kind::Usage));
        client.post("registered-models/create", &json!({"name": format!("m{index}")})).await.unwrap();
        client
            .patch("registered-models/update", &json!({"name": format!("m{index}"), "description": "d"}))
            .await
            .unwrap();
        assert_eq!(
            client.delete("registered-models/delete", &json!({"name": format!("m{index}")})).await.unwrap(),
            json!({})
        );
    }
}

#[tokio::test]
async fn files_go_both_ways() {
    let fixture = Fixture::new().await;
    let folder = tempfile::tempdir().unwrap();
    let big = folder.path().join("big.bin");
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(&big, &bytes).unwrap();
    let local = folder.path().join("local root").to_string_lossy().into_owned();
    for (index, client) in both(&fixture).await.iter().enumerate() {
        for uri in [format!("mlflow-artifacts:/{index}/run"), format!("{local}/{index}")] {
            client.upload(&format!("{uri}/d/ü 1.bin"), &big).await.unwrap();
            client.upload_bytes(&format!("{uri}/top.txt"), "text").await.unwrap();
            let listed = client.list(&uri, "").await.unwrap();
            let listed: Vec<(&str, bool, Option<u64>)> =
                listed.iter().map(|e| (e.path.as_str(), e.is_folder, e.size)).collect();
            assert_eq!(listed, [("d", true, None), ("top.txt", false, Some(4))]);
            let files = client.files(&uri, "").await.unwrap();
            assert_eq!(files.iter().map(|e| e.path.as_str()).collect::<Vec<_>>(), ["d/ü 1.bin", "top.txt"]);
            assert_eq!(client.files(&uri, "top.txt").await.unwrap().len(), 1);
            assert_eq!(client.files(&uri, "none").await.unwrap(), []);

            let to = folder.path().join(format!("out/{index}/big"));
            client.download(&format!("{uri}/d/ü 1.bin"), &to).await.unwrap();
            assert!(std::fs::read(&to).unwrap() == bytes);
            assert_eq!(client.download_bytes(&format!("{uri}/top.txt")).await.unwrap(), "text");
            let missing = folder.path().join("missing");
            let error = client.download(&format!("{uri}/none"), &missing).await.unwrap_err();
            assert!(error.is_missing() && !missing.exists(), "{error:?}");
        }
        for hostile in ["mlflow-artifacts:/../x", "mlflow-artifacts:/a/%2e%2e/%2e%2e/x", "s3://bucket/x"] {
            assert!(matches!(client.upload(hostile, &big).await, Err(ClientError::Artifact(_))), "{hostile}");
        }
        let error = client.upload("mlflow-artifacts:/x", Path::new("/no/such/file")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Missing);
    }
}

#[tokio::test]
async fn servers_that_are_away_or_something_else() {
    assert!(matches!(Client::remote("ftp://host"), Err(ClientError::BadUrl { .. })));
    let patience = RemoteOptions { retries: 1, ..RemoteOptions::default() };
    let away = Client::remote_with("http://127.0.0.1:9", patience.clone()).unwrap();
    let error = away.get("experiments/get", &[]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(!error.to_string().contains("error sending request"), "{error}");

    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let other = axum::Router::new().fallback(|| async { "<html>hello</html>" });
    tokio::spawn(async move { axum::serve(listener, other).await });
    let error = Client::remote_with(&url, patience).unwrap().get("experiments/get", &[]).await.unwrap_err();
    assert!(matches!(error, ClientError::NotTracking { status: 200, .. }), "{error:?}");
}
